/**
 * A promise of the peer's that was called, and then turned out to be something of ours. The earlier calls are still on
 * their way back to us; later ones wait in `promise` until a Disembargo, sent after them on the same way, is back too
 * (rpc.capnp, "Disembargo").
 */
import type { Hook } from "../capability/hook.js";
import type { PromiseHook } from "../capability/promise.js";
import type { Path } from "../wire/messages.js";
import type { Answer } from "./answer.js";
import type { Export } from "./export.js";
import type { RemoteTarget } from "./remote.js";

/** What of ours the peer said that its promise is. */
export type LoopTarget =
  | { readonly export: Export }
  | { readonly answer: Answer; readonly path: Path };

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
   * The Disembargo is back, and all calls have reached what the peer resolved its promise to. If that is itself something of the
   * peer's which has come back to us, they have been sent on: then another Disembargo must follow them.
   */
  get nextPath(): RemoteTarget | undefined {
    const { source } = this;
    const target = "export" in source ? source.export.target : source.answer.targetAt(source.path);
    return target?.embargoPath;
  }
}
