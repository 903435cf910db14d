/**
 * When to connect again. At most one attempt in `MIN_INTERVAL_MS`; after failures in a row the interval grows, and a
 * random part keeps the workers of a scheduler that was restarted from all coming back in the same moment.
 */
const MIN_INTERVAL_MS = 10_000;
const MAX_INTERVAL_MS = 30_000;
const GROWTH = 1.5;
/** The random part, as a fraction of the interval. */
const JITTER = 0.1;

export class Backoff {
  #failures = 0;
  #lastAttempt = Number.NEGATIVE_INFINITY;

  /** `now` in ms on any clock that does not jump; `random` gives 0 to 1. */
  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly random: () => number = Math.random,
  ) {}

  /** An attempt begins. */
  attempt(): void {
    this.#lastAttempt = this.now();
  }

  /** The attempt got through. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** The connection, or the attempt at one, has failed: the ms to wait before the next attempt. */
  failed(): number {
    const interval = Math.min(MAX_INTERVAL_MS, MIN_INTERVAL_MS * GROWTH ** this.#failures++);
    const left = Math.max(0, this.#lastAttempt + interval - this.now());
    return left + interval * JITTER * this.random();
  }
}
