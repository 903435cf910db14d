/**
 * A condition variable: wait until something may have changed, then look again.
 */
import { unlessAborted } from "./abort.js";
import { deferred } from "./deferred.js";

export class Condition {
  readonly #waiting = new Set<() => void>();

  /** Resolves at the next `notify`. Throws `signal`'s reason when it is aborted first. */
  async wait(signal?: AbortSignal): Promise<void> {
    const { promise: woken, resolve: wake } = deferred();
    this.#waiting.add(wake);
    try {
      await unlessAborted(woken, signal);
    } finally {
      this.#waiting.delete(wake);
    }
  }

  /** Wakes all who wait now. */
  notify(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}
