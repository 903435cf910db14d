/*
 * Mutual exclusion between asynchronous pieces of work: one at a time, first come, first served.
 */

import { unlessAborted } from "./abort.js";
import { deferred } from "./deferred.js";

export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all that was asked for before has ended. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}

/**
 * The same by name: whoever holds a name keeps others of that name out. Names that nobody holds
 * take no memory.
 */
export class NamedMutex {
  /** For each name that is held: the end of its queue. */
  readonly #tails = new Map<string, Promise<void>>();

  /** How many names are held. */
  get size(): number {
    return this.#tails.size;
  }

  /**
   * Runs `body` while holding `name`. Throws `signal`'s reason if that is aborted while waiting.
   */
  async hold<T>(name: string, signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(name);
    const { promise: released, resolve: release } = deferred();
    const tail = (before ?? Promise.resolve()).then(() => released);
    this.#tails.set(name, tail);
    // Who leaves the queue must not take the name from those before.
    void tail.then(() => {
      if (this.#tails.get(name) === tail) this.#tails.delete(name);
    });
    try {
      signal?.throwIfAborted();
      if (before) await unlessAborted(before, signal);
      return await body();
    } finally {
      release();
    }
  }
}
