/**
 * A capability that stands before another one: it passes all calls on as they are, and tells when
 * calls of one method were answered. So who relays knows that something came by, without a look at
 * what.
 *
 * To others it is an object of its own, also while what it stands for is a promise: what is called
 * on it meanwhile waits there. When that breaks it is broken, too.
 */
import type { Struct } from "capnp-es";
import type { Capability, Method } from "../types.js";
import { Handle, interfaceHalves, takeHook } from "./handle.js";
import { Hook, shortest, type Watcher } from "./hook.js";
import type { CallRequest } from "./request.js";
import type { ResultListener, ResultPromise } from "./result.js";
import type { Waiting } from "./waiting.js";

class WatchedHook extends Hook implements ResultListener, Watcher {
  private readonly high: number;
  private readonly low: number;

  /** Takes `inner`. */
  constructor(
    private readonly inner: Hook,
    private readonly method: Method<Struct, Struct>,
    private readonly onAnswer: () => void,
  ) {
    super();
    [this.high, this.low] = interfaceHalves(method.interfaceId);
    this.turned(inner);
  }

  override get waitsFor(): Waiting {
    return this.next ?? this.inner;
  }

  /** Called by what it stands for. */
  turned(next: Hook): void {
    const end = shortest(next);
    if (end.error === undefined) {
      end.watch(this);
      return;
    }
    this.addRef();
    this.turnInto(end.addRef());
    this.inner.release();
    this.notifyWatchers(end);
    this.release();
  }

  protected override deliver(request: CallRequest): void {
    const { interfaceHigh, interfaceLow, methodId } = request;
    const isWatched =
      methodId === this.method.methodId && interfaceLow === this.low && interfaceHigh === this.high;
    if (isWatched) request.result.listen(this);
    this.inner.call(request);
  }

  /** Called by results. */
  settled(result: ResultPromise): void {
    if (result.error === undefined) this.onAnswer();
  }

  override onLeak(): void {
    if (this.next === undefined) this.inner.onLeak();
    else super.onLeak();
  }

  protected override abandon(): void {
    this.inner.unwatch(this);
    this.inner.release();
  }
}

/**
 * Takes `capability`, and returns what is to be handed on instead of it. `onAnswer` is called
 * whenever a call of `method` was answered, but not when it failed; it must not throw.
 */
export function watched<P extends Struct, R extends Struct>(
  capability: Capability,
  method: Method<P, R>,
  onAnswer: () => void,
): Capability {
  const any = method as unknown as Method<Struct, Struct>;
  return new Handle(new WatchedHook(takeHook(capability), any, onAnswer));
}
