/**
 * The inside of a capability: what a reference leads to. `Capability` objects of users are handles
 * on hooks (handle.ts).
 *
 * Everything here is synchronous: a call passes through any number of hooks and has been queued at
 * an object or written to a connection when `call` returns. That is what keeps calls in order.
 *
 * A promise turns into another hook for good, which may be a promise itself, and so on. Peers
 * decide how long such a chain gets. So nothing follows one by recursion, who walks along it makes
 * it shorter, and who waits for its end is told of that only.
 *
 * A connection that meets a hook asks it for the way back: what in that connection's own tables it
 * stands for, if anything. Hooks know of connections no more than these types.
 */
import type { Export } from "../connection/export.js";
import type { Protocol } from "../connection/protocol.js";
import type { RemoteTarget } from "../connection/remote.js";
import type { RpcError } from "../errors.js";
import { RefCounted } from "./ref-counted.js";
import type { CallRequest } from "./request.js";
import type { Waiting } from "./waiting.js";

/** Who wants to know what a hook turns into. */
export interface Watcher {
  /**
   * Called once when a hook turns into another one, which the watcher does not own – or, with the
   * hook itself, when a promise has got closer to what it will be.
   */
  turned(next: Hook): void;
}

/** Mostly there is one. */
type Watchers = Watcher | Set<Watcher>;

export abstract class Hook extends RefCounted implements Waiting {
  /** Held. */
  private target: Hook | undefined;
  private watchers: Watchers | undefined;
  /**
   * The entry in the export table of the first connection that it was exported on: mostly there is
   * but one.
   */
  exported: Export | undefined;

  /** What this has turned into for good; undefined while it speaks for itself. Not counted. */
  get next(): Hook | undefined {
    return this.target;
  }

  /** Why calls on this fail. */
  get error(): RpcError | undefined {
    return undefined;
  }

  /** True while this will turn into something else. */
  get isPromise(): boolean {
    return false;
  }

  /**
   * True for a promise that is this process' own: until it is decided, nobody can do more than
   * wait.
   */
  get isUndecided(): boolean {
    return false;
  }

  get waitsFor(): Waiting | undefined {
    return this.target;
  }

  /**
   * The entry in the tables of `connection` that calls on this are addressed to, if they go there
   * directly.
   */
  remote(_connection: Protocol): RemoteTarget | undefined {
    return undefined;
  }

  /**
   * Delivers a call. Takes it: the payload is released, and the result settled, whatever happens.
   */
  call(request: CallRequest): void {
    shortest(this).deliver(request);
  }

  /** `call`, while this has no `next`. */
  protected abstract deliver(request: CallRequest): void;

  /** A reference was lost without having been released; it is released now. See leaks.ts. */
  onLeak(): void {
    const end = shortest(this);
    if (end !== this) end.onLeak();
  }

  /** Tells `watcher`, once. Only for hooks that have no `next` yet. */
  watch(watcher: Watcher): void {
    this.watchers = this.watchers === undefined ? watcher : joined(this.watchers, watcher);
  }

  unwatch(watcher: Watcher): void {
    this.dropWatcher(watcher);
    // Who watches a promise is handed on to what that turns into.
    shortest(this).dropWatcher(watcher);
  }

  private dropWatcher(watcher: Watcher): void {
    if (this.watchers === watcher) this.watchers = undefined;
    else if (this.watchers instanceof Set) this.watchers.delete(watcher);
  }

  /**
   * Turns into `target`, which is taken. The subclass then passes on what waited, and last notifies
   * the watchers.
   */
  protected turnInto(target: Hook): void {
    this.target = target;
  }

  protected notifyWatchers(next: Hook): void {
    const { watchers } = this;
    if (watchers === undefined) return;
    this.watchers = undefined;
    const end = shortest(next);
    if (end !== this && end.isUndecided) {
      end.watchers = end.watchers === undefined ? watchers : joined(end.watchers, watchers);
    } else if (watchers instanceof Set) {
      for (const watcher of watchers) watcher.turned(next);
    } else {
      watchers.turned(next);
    }
  }

  /** Leaves out `next`, which has turned into `after`. */
  skipTo(after: Hook): void {
    const { target } = this;
    // One that was disposed of holds nothing.
    if (!this.isReferenced) return;
    this.target = after.addRef();
    target?.release();
  }

  protected override dispose(): void {
    if (this.target === undefined) this.abandon();
    else this.target.release();
  }

  /** The last reference is gone, and it has turned into nothing else. */
  protected abstract abandon(): void;
}

/**
 * Those of both: the fewer join the more, so that handing them on again and again costs little for
 * each.
 */
function joined(some: Watchers, more: Watchers): Watchers {
  if (!(some instanceof Set)) {
    if (!(more instanceof Set)) return new Set([some, more]);
    return more.add(some);
  }
  if (!(more instanceof Set)) return some.add(more);
  const [few, many] = some.size < more.size ? [some, more] : [more, some];
  for (const watcher of few) many.add(watcher);
  return many;
}

/** The end of the chain of `next`. Not counted. Halves the chain on the way. */
export function shortest(hook: Hook): Hook {
  let at = hook;
  for (let { next } = at; next !== undefined; { next } = at) {
    const after = next.next;
    if (after === undefined) return next;
    at.skipTo(after);
    at = after;
  }
  return at;
}
