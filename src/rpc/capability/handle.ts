/**
 * What users hold: a counted reference that knows whether it was released.
 */
import type { Struct } from "capnp-es";
import { enqueueCallback } from "../../async/index.js";
import { RpcError } from "../errors.js";
import { PayloadWriter } from "../payload/builder.js";
import type { Payload } from "../payload/payload.js";
import type { Capability, DetachedPointer, Method, PayloadBuilder, PendingCall } from "../types.js";
import { detachedPayload } from "./detached.js";
import { type Hook, shortest } from "./hook.js";
import { trackHolder, untrackHolder } from "./leaks.js";
import { OutgoingCall } from "./pending-call.js";
import { CallRequest } from "./request.js";
import { ResultPromise } from "./result.js";

const hold = (hook: Hook): Capability => new Handle(hook);

export class Handle implements Capability {
  private hook: Hook | undefined;
  /** What must be told when the handle is released before it happens. */
  private subscriptions: Set<() => void> | undefined;

  /** Takes `hook`. */
  constructor(hook: Hook) {
    this.hook = hook;
    trackHolder(this, hook);
  }

  call<P extends Struct, R extends Struct>(
    method: Method<P, R>,
    build?: (params: P, payload: PayloadBuilder) => void,
    options?: { readonly signal?: AbortSignal | undefined },
  ): PendingCall<R> {
    const hook = this.current();
    const payload = buildPayload(method, build);
    const result = new ResultPromise();
    const call = new OutgoingCall(result, method.ResultsClass, hold, options?.signal);
    hook.call(makeRequest(method, payload, result));
    return call;
  }

  dup(): Capability {
    return new Handle(this.current().addRef());
  }

  release(): void {
    const { hook, subscriptions } = this;
    if (hook === undefined) return;
    this.hook = undefined;
    this.subscriptions = undefined;
    untrackHolder(this);
    hook.release();
    if (subscriptions !== undefined) for (const cancel of subscriptions) cancel();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  whenResolved(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.follow(
        (hook) => {
          if (hook.isPromise) return false;
          if (hook.error === undefined) resolve();
          else reject(hook.error);
          return true;
        },
        () => reject(RELEASED),
      );
    });
  }

  onBroken(listener: (error: RpcError) => void): () => void {
    return this.follow((hook) => {
      const { error } = hook;
      if (error !== undefined) enqueueCallback(() => listener(error));
      return error !== undefined;
    });
  }

  /** The hook, given up by this handle: it is released with what it is put into. */
  take(): Hook {
    const hook = this.current().addRef();
    this.release();
    return hook;
  }

  /** The hook, not counted. Skips what was resolved meanwhile. */
  current(): Hook {
    const { hook } = this;
    if (hook === undefined) throw RELEASED;
    const end = shortest(hook);
    if (end !== hook) {
      this.hook = end.addRef();
      untrackHolder(this);
      trackHolder(this, end);
      hook.release();
    }
    return end;
  }

  /**
   * Calls `check` on this and on whatever it turns into, until it returns true. Returns a function
   * that unsubscribes.
   */
  private follow(check: (hook: Hook) => boolean, onRelease?: () => void): () => void {
    let watched: Hook | undefined;
    const stop = () => {
      watched?.unwatch(watcher);
      this.subscriptions?.delete(released);
    };
    const released = () => {
      stop();
      onRelease?.();
    };
    const step = (hook: Hook) => {
      const end = shortest(hook);
      watched = undefined;
      if (check(end)) {
        this.subscriptions?.delete(released);
      } else {
        watched = end;
        end.watch(watcher);
      }
    };
    const watcher = { turned: step };
    this.subscriptions ??= new Set();
    this.subscriptions.add(released);
    step(this.current());
    return stop;
  }
}

const RELEASED = new RpcError(
  "failed",
  "this capability was released already: use dup() to keep a reference of your own",
);

/**
 * The hook of a capability that is given away. Throws for one that was released, or is not of this
 * library.
 */
export function takeHook(capability: Capability): Hook {
  return handleOf(capability).take();
}

/**
 * A question that can be asked at any later time: does anybody still refer to what this capability
 * leads to? Then it gives one more reference, for the caller; else null. It holds none itself, so
 * it may outlive the capability.
 */
export function weakReference(capability: Capability): () => Capability | null {
  const hook = borrowHook(capability);
  return () => {
    const end = shortest(hook);
    return end.isReferenced ? hold(end.addRef()) : null;
  };
}

/** The hook of a capability that is only used. Not counted. */
export function borrowHook(capability: Capability): Hook {
  return handleOf(capability).current();
}

function handleOf(capability: Capability): Handle {
  if (capability instanceof Handle) return capability;
  throw new RpcError("failed", "this is no capability of this library");
}

/** Lets `build` fill params. */
export function buildPayload<P extends Struct, R extends Struct>(
  method: Method<P, R>,
  build: ((params: P, payload: PayloadBuilder) => void) | undefined,
): Payload {
  const writer = new PayloadWriter(method.ParamsClass);
  try {
    build?.(writer.root, new HandlePayloadBuilder(writer));
  } catch (error) {
    writer.discard();
    throw error;
  }
  return writer.finish();
}

class HandlePayloadBuilder implements PayloadBuilder {
  constructor(private readonly writer: PayloadWriter<Struct>) {}

  setCapability(index: number, capability: Capability): void {
    this.writer.setCapability(index, takeHook(capability));
  }

  setPointer(index: number, pointer: DetachedPointer): void {
    this.writer.setPointer(index, detachedPayload(pointer));
  }
}

export function makeRequest<P extends Struct, R extends Struct>(
  method: Method<P, R>,
  payload: Payload,
  result: ResultPromise,
): CallRequest {
  const [high, low] = interfaceHalves(method.interfaceId);
  return new CallRequest(high, low, method.methodId, payload, result);
}

/** Interface ids are few, and splitting a bigint is slow. */
const halvesOf = new Map<bigint, readonly [number, number]>();

export function interfaceHalves(id: bigint): readonly [high: number, low: number] {
  let halves = halvesOf.get(id);
  if (halves === undefined) {
    halves = [Number(id >> 32n), Number(id & 0xffff_ffffn)];
    halvesOf.set(id, halves);
  }
  return halves;
}
