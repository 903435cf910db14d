/**
 * A promise of the peer's that was called, and then turned out to be something of ours. The earlier
 * calls are still on their way back to us; later ones wait in `promise` until a Disembargo, sent
 * after them on the same way, is back too (rpc.capnp, "Disembargo").
 */
import type { Hook } from "../capability/hook.js";
import type { PromiseHook } from "../capability/promise.js";
import type { Report } from "./inspection.js";
import type { Loop, LoopTarget } from "./remote.js";

export class Embargo {
  constructor(
    readonly id: number,
    /** Held. */
    readonly promise: PromiseHook,
    readonly source: LoopTarget,
    /** What `promise` will be. Held. */
    readonly hook: Hook,
  ) {}

  /**
   * The Disembargo is back, and all calls have reached what the peer resolved its promise to. If
   * that is itself something of the peer's which leads back to us, they have been sent on: then
   * another Disembargo must follow them, on this way.
   */
  get next(): Loop | undefined {
    const { source } = this;
    const target = "export" in source ? source.export.target : source.answer.targetAt(source.path);
    return target?.loop;
  }

  // For tests and diagnosis (inspection.ts).

  /** Reports violated invariants. */
  check(fault: Report): void {
    if (!this.promise.isReferenced) fault("its promise is released");
    if (this.promise.next !== undefined) fault("its promise is resolved");
    if (!this.hook.isReferenced) fault("its object is released");
  }

  describe(): string {
    const { source } = this;
    return "export" in source
      ? `of export ${source.export.id}`
      : `of answer ${source.answer.id} at [${source.path.join(" ")}]`;
  }
}
