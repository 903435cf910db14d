/**
 * Mutual exclusion by name: whoever holds a name keeps others of that name out, first come, first served. Names that
 * nobody holds take no memory.
 */
import { unlessAborted } from "./time.js";

export class NamedMutex {
  /** For each name that is held: the end of its queue. */
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `body` while holding `name`. Throws `signal`'s reason if that is aborted while waiting. */
  async hold<T>(name: string, signal: AbortSignal, body: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(name);
    let release!: () => void;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const tail = (before ?? Promise.resolve()).then(() => released);
    this.#tails.set(name, tail);
    try {
      signal.throwIfAborted();
      if (before) await unlessAborted(before, signal);
      return await body();
    } finally {
      release();
      if (this.#tails.get(name) === tail) this.#tails.delete(name);
    }
  }
}
