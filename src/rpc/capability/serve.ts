/**
 * Making capabilities: objects that live here, promises, and broken ones.
 */
import type { Struct } from "capnp-es";
import type { RpcError } from "../errors.js";
import type { Capability, Handler, Method } from "../types.js";
import { BrokenHook } from "./broken.js";
import { Handle, takeHook } from "./handle.js";
import { LocalHook, type MethodEntry, ObjectType } from "./local.js";
import { PromiseHook } from "./promise.js";

export type { MethodEntry };

/**
 * A method with its implementation, for `serve` and `objectType`. `descriptor`: an entry of the
 * generated `X$Client.methods`.
 */
export function method<P extends Struct, R extends Struct, Self = unknown>(
  descriptor: Method<P, R>,
  handler: (...args: [...Parameters<Handler<P, R>>, self: Self]) => void | Promise<void>,
): MethodEntry<Self> {
  // Only params and results of these very classes ever reach the handler.
  return { method: descriptor, handler } as unknown as MethodEntry<Self>;
}

/**
 * An object that answers calls. Its methods may be of several interfaces. The caller owns the
 * capability. `name`: what the object is, for error messages. `release` is called, from a task of
 * its own, once the last reference to it is gone, here and at all peers; calls that started before
 * may still be running.
 */
export function serve(
  name: string,
  methods: readonly MethodEntry[],
  options?: { release?(): void },
): Capability {
  return objectType(name, methods, () => options?.release?.())(undefined);
}

/**
 * Objects that differ only in their `Self`, which the handlers are given with each call. Use this
 * for objects that there are many of: each costs little more than its `Self`. Otherwise as `serve`,
 * for each `Self` that the result is called with.
 */
export function objectType<Self>(
  name: string,
  methods: readonly MethodEntry<Self>[],
  release?: (self: Self) => void,
): (self: Self) => Capability {
  const type = new ObjectType(name, methods, release);
  return (self) => new Handle(new LocalHook(type, self));
}

/** A capability that is not known yet. */
export interface CapabilityPromise {
  /**
   * Calls on it wait, in order, until it is resolved. Owned by the caller of `promiseCapability`.
   */
  readonly capability: Capability;
  /**
   * Says what it is. Takes `capability`. Without effect, but for releasing that, the second time.
   */
  resolve(capability: Capability): void;
  /** Says that it will never be: calls on it fail with `error`. */
  reject(error: RpcError): void;
}

export function promiseCapability(): CapabilityPromise {
  const hook = new PromiseHook();
  return {
    capability: new Handle(hook),
    resolve: (capability) => hook.resolve(takeHook(capability)),
    reject: (error) => hook.reject(error),
  };
}

/**
 * The same for promises that there are many of. It holds a reference to the capability itself,
 * which has to be released with `release`, and which no leak counter looks after.
 */
export class PendingCapability {
  private readonly hook = new PromiseHook();
  private isReleased = false;

  /** A reference for the caller. */
  reference(): Capability {
    return new Handle(this.hook.addRef());
  }

  /** See `CapabilityPromise.resolve`. */
  resolve(capability: Capability): void {
    this.hook.resolve(takeHook(capability));
  }

  /** See `CapabilityPromise.reject`. */
  reject(error: RpcError): void {
    this.hook.reject(error);
  }

  /** Idempotent. */
  release(): void {
    if (this.isReleased) return;
    this.isReleased = true;
    this.hook.release();
  }
}

/** A capability whose calls all fail with `error`. */
export function brokenCapability(error: RpcError): Capability {
  return new Handle(new BrokenHook(error));
}
