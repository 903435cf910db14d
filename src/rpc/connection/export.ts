/**
 * An entry of the export table: an object or a promise of ours that the peer was told about.
 *
 * Life: made when we first mention it. Each mention adds to `mentions`, each Release of the peer's
 * takes some away; at zero the entry is gone. A promise is watched: when it resolves, one Resolve
 * is sent. If it turns out to be something of the peer's own, that is kept in `target`, and
 * everything that comes for this export goes there and nowhere else (rpc.capnp, "Tribble 4-way
 * race").
 */
import type { Hook, Watcher } from "../capability/hook.js";
import type { Report } from "./inspection.js";
import type { Protocol } from "./protocol.js";
import { type CountedEntry, describeTarget, type RemoteTarget } from "./remote.js";

export class Export implements Watcher {
  mentions = 1;
  target: RemoteTarget | undefined;
  /** The promise that is watched. */
  private watched: Hook | undefined;

  constructor(
    readonly protocol: Protocol,
    readonly id: number,
    /** Held. */
    readonly hook: Hook,
    /** The peer waits for a Resolve, or had one. */
    readonly isPromise: boolean,
  ) {}

  /** To be told what comes of `promise`, in place of what was watched before. */
  watch(promise: Hook): void {
    this.watched = promise;
    promise.watch(this);
  }

  turned(next: Hook): void {
    this.watched = undefined;
    this.protocol.exportTurned(this, next);
  }

  /** Gone from the table. */
  dispose(): void {
    this.watched?.unwatch(this);
    this.watched = undefined;
    const { hook, target } = this;
    this.target = undefined;
    if (hook.exported === this) hook.exported = undefined;
    hook.release();
    target?.release();
  }

  // For tests and diagnosis (inspection.ts).

  eachHeld(count: (entry: CountedEntry) => void): void {
    if (this.target !== undefined) count(this.target.counted);
  }

  /**
   * Reports violated invariants. `isRemembered`: the hook is mentioned under this entry when it is
   * mentioned again.
   */
  check(isRemembered: boolean, fault: Report): void {
    const { hook, isPromise, mentions, target, watched } = this;
    if (mentions < 1) fault("it has no mentions left");
    if (!hook.isReferenced) fault("its object is released");
    if (!isPromise && (watched !== undefined || target !== undefined)) fault("it is no promise");
    if (watched !== undefined && target !== undefined) fault("it is resolved and still watched");
    // What it was resolved to is mentioned from then on, and a broken promise is never mentioned
    // again.
    const isLasting = !isPromise || watched !== undefined;
    if (isLasting !== isRemembered) fault(isLasting ? "it is forgotten" : "it is not forgotten");
  }

  describe(): string {
    const { isPromise, mentions, target, watched } = this;
    const state = watched === undefined ? "promise, resolved" : "promise, waiting";
    const way = target === undefined ? "" : ` to ${describeTarget(target)}`;
    return `${isPromise ? state + way : "object"}, mentions ${mentions}`;
  }
}
