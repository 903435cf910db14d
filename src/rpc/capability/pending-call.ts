/**
 * The caller's side of a call: `PendingCall`, and the `Response` that comes of it. Both stand for
 * one reference to the result; releasing either releases it.
 */
import type { Struct, StructCtor } from "capnp-es";
import { RpcError } from "../errors.js";
import type { Payload } from "../payload/payload.js";
import type { Capability, DetachedPointer, PendingCall, Response } from "../types.js";
import { Detached } from "./detached.js";
import type { Hook } from "./hook.js";
import { trackHolder, untrackHolder } from "./leaks.js";
import type { ResultListener, ResultPromise } from "./result.js";

export class OutgoingCall<R extends Struct> implements PendingCall<R>, ResultListener {
  /** Takes the caller's reference to `result`. */
  private readonly result: ResultPromise;
  private released = false;
  private isTracked = false;
  private promise: Promise<Response<R>> | undefined;
  private resolve: ((response: Response<R>) => void) | undefined;
  private reject: ((error: RpcError) => void) | undefined;
  private removeAbortListener: (() => void) | undefined;

  constructor(
    result: ResultPromise,
    private readonly type: StructCtor<R>,
    /** Makes a capability of a hook, which it takes. */
    readonly hold: (hook: Hook) => Capability,
    signal: AbortSignal | undefined,
  ) {
    this.result = result;
    result.listen(this);
    if (signal !== undefined) this.cancelOn(signal);
  }

  get response(): Promise<Response<R>> {
    if (this.promise === undefined) {
      this.promise = new Promise((resolve, reject) => {
        this.resolve = resolve;
        this.reject = reject;
      });
      // Nobody has to listen.
      this.promise.catch(ignore);
      if (this.result.isSettled || this.released) this.settlePromise();
    }
    return this.promise;
  }

  capability(...path: number[]): Capability {
    if (this.released) throw CANCELLED;
    return this.hold(this.result.pipelined(path));
  }

  cancel(): void {
    if (this.released) return;
    this.released = true;
    if (this.isTracked) untrackHolder(this);
    this.removeAbortListener?.();
    if (!this.result.isSettled) this.reject?.(CANCELLED);
    this.result.release();
  }

  [Symbol.dispose](): void {
    this.cancel();
  }

  get isReleased(): boolean {
    return this.released;
  }

  /** Called by the result. */
  settled(): void {
    this.removeAbortListener?.();
    const { result } = this;
    result.payload?.keep();
    const first = result.payload?.capabilities[0];
    if (first !== undefined && !this.released) {
      // Without capabilities in it there is nothing that an answer could leak.
      this.isTracked = true;
      trackHolder(this, { release: () => result.release(), onLeak: () => first.onLeak() });
    }
    if (this.promise !== undefined && !this.released) this.settlePromise();
  }

  private settlePromise(): void {
    const { payload, error } = this.result;
    if (payload === undefined || this.released) this.reject!(error ?? CANCELLED);
    else this.resolve!(new ReceivedResponse(this, payload, this.type));
  }

  private cancelOn(signal: AbortSignal): void {
    const abort = () => this.cancel();
    if (signal.aborted) {
      // The call is made nevertheless, after this constructor: cancel it then.
      queueMicrotask(abort);
      return;
    }
    signal.addEventListener("abort", abort, { once: true });
    this.removeAbortListener = () => signal.removeEventListener("abort", abort);
  }
}

const CANCELLED = new RpcError("failed", "the call was cancelled");

function ignore(): void {}

class ReceivedResponse<R extends Struct> implements Response<R> {
  private root: R | undefined;

  constructor(
    private readonly call: OutgoingCall<R>,
    /** Owned by the call's result. */
    private readonly payload: Payload,
    private readonly type: StructCtor<R>,
  ) {}

  get results(): R {
    this.checkOpen();
    this.root ??= this.payload.as(this.type);
    return this.root;
  }

  capability(index: number): Capability {
    this.checkOpen();
    return this.call.hold(this.payload.at([index]).addRef());
  }

  detach(index: number): DetachedPointer {
    this.checkOpen();
    return new Detached(this.payload.field(index));
  }

  release(): void {
    this.call.cancel();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  private checkOpen(): void {
    if (this.call.isReleased) throw new RpcError("failed", "this response was released already");
  }
}
