/**
 * Making capabilities: objects that live here, promises, and broken ones.
 */
import type { Struct } from "capnp-es";
import { BrokenHook } from "./capability/broken.js";
import { Handle, interfaceHalves, takeHook } from "./capability/handle.js";
import { LocalHook, type MethodEntry } from "./capability/local.js";
import { PromiseHook } from "./capability/promise.js";
import type { RpcError } from "./errors.js";
import type { Capability, Handler, Method } from "./types.js";

export type { MethodEntry };

/** A method with its implementation, for `serve`. `descriptor`: an entry of the generated `X$Client.methods`. */
export function method<P extends Struct, R extends Struct>(
  descriptor: Method<P, R>,
  handler: Handler<P, R>,
): MethodEntry {
  // Only params and results of these very classes ever reach the handler.
  return { method: descriptor, handler } as unknown as MethodEntry;
}

/**
 * An object that answers calls. Its methods may be of several interfaces. The caller owns the capability.
 * `name`: what the object is, for error messages. `release` is called, from a turn of its own, once the last reference
 * to it is gone, here and at all peers; calls that started before may still be running.
 */
export function serve(
  name: string,
  methods: readonly MethodEntry[],
  options?: { release?(): void },
): Capability {
  const interfaces = new Map<bigint, Map<number, MethodEntry>>();
  for (const entry of methods) {
    const { interfaceId, methodId } = entry.method;
    let table = interfaces.get(interfaceId);
    if (table === undefined) {
      table = new Map();
      interfaces.set(interfaceId, table);
    }
    table.set(methodId, entry);
  }
  const tables = [...interfaces].map(([id, table]) => {
    const [high, low] = interfaceHalves(id);
    return { high, low, methods: table };
  });
  const release = options?.release === undefined ? undefined : () => options.release?.();
  return new Handle(new LocalHook(name, tables, release));
}

/** A capability that is not known yet. */
export interface CapabilityPromise {
  /** Calls on it wait, in order, until it is resolved. Owned by the caller of `promiseCapability`. */
  readonly capability: Capability;
  /** Says what it is. Takes `capability`. Without effect, but for releasing that, the second time. */
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

/** A capability whose calls all fail with `error`. */
export function brokenCapability(error: RpcError): Capability {
  return new Handle(new BrokenHook(error));
}
