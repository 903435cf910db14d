/**
 * The inside of a capability: what a reference leads to. `Capability` objects of users are handles on hooks (handle.ts).
 *
 * Ownership: a hook is counted. Who makes one, or gets one from a function that says so, holds one reference and gives it back
 * with `release`; `addRef` makes another. Everything here is synchronous: a call passes through any number of hooks and has
 * been queued at an object or written to a connection when `call` returns. That is what keeps calls in order.
 */
import type { RpcError } from "../errors.js";
import type { CallRequest } from "./request.js";
import type { ResultPromise } from "./result.js";

/** Who wants to know what a hook turns into. */
export interface Watcher {
  /**
   * Called once when a hook turns into another one, which the watcher does not own – or, with the hook itself, when a promise
   * has got closer to what it will be.
   */
  turned(next: Hook): void;
}

export abstract class Hook {
  private references = 1;
  /** Mostly there is one. */
  private watchers: Watcher | Set<Watcher> | undefined;
  /** The entry in the export table of the first connection that it was exported on: mostly there is but one. */
  exported: object | undefined;

  /** What this has turned into for good; undefined while it speaks for itself. Not counted. */
  get next(): Hook | undefined {
    return undefined;
  }

  /** Why calls on this fail. */
  get error(): RpcError | undefined {
    return undefined;
  }

  /** True while this will turn into something else. */
  get isPromise(): boolean {
    return false;
  }

  /** What must happen before this promise can resolve: another hook or a result. Used to find cycles. */
  get blocker(): Hook | ResultPromise | undefined {
    return undefined;
  }

  /** The entry in the tables of `connection` that calls on this are addressed to, if they go there directly. */
  remote(_connection: object): unknown {
    return undefined;
  }

  /** Delivers a call. Takes it: the payload is released, and the result settled, whatever happens. */
  abstract call(request: CallRequest): void;

  addRef(): this {
    this.references++;
    return this;
  }

  release(): void {
    if (--this.references === 0) this.dispose();
  }

  /** A reference was lost without having been released; it is released now. See leaks.ts. */
  onLeak(): void {}

  /** Tells `watcher`, once. Only for hooks that have no `next` yet. */
  watch(watcher: Watcher): void {
    const { watchers } = this;
    if (watchers === undefined) this.watchers = watcher;
    else if (watchers instanceof Set) watchers.add(watcher);
    else this.watchers = new Set([watchers, watcher]);
  }

  unwatch(watcher: Watcher): void {
    if (this.watchers === watcher) this.watchers = undefined;
    else if (this.watchers instanceof Set) this.watchers.delete(watcher);
  }

  /** To be called by subclasses once everything that waited has been passed on. */
  protected notifyWatchers(next: Hook): void {
    const { watchers } = this;
    if (watchers === undefined) return;
    this.watchers = undefined;
    if (watchers instanceof Set) for (const watcher of watchers) watcher.turned(next);
    else watchers.turned(next);
  }

  get isReferenced(): boolean {
    return this.references > 0;
  }

  /** The last reference is gone. */
  protected abstract dispose(): void;
}

/** The end of the chain of `next`. Not counted. */
export function shortest(hook: Hook): Hook {
  let at = hook;
  for (let { next } = at; next !== undefined; { next } = at) at = next;
  return at;
}
