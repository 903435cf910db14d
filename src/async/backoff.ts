/**
 * When to connect again. At most one attempt in `minMs`; after failures in a row the interval
 * grows, and a random part keeps those who wait for a scheduler that was restarted from all coming
 * back in the same moment.
 */
const GROWTH = 1.5;
/** The random part, as a fraction of the interval. */
const JITTER = 0.1;

/** From the first interval to the longest, in ms. */
export interface BackoffRange {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Of workers, which are there for years. */
const PATIENT: BackoffRange = { minMs: 10_000, maxMs: 30_000 };

export class Backoff {
  #failures = 0;
  #lastAttempt = Number.NEGATIVE_INFINITY;

  /** `now` in ms on any clock that does not jump; `random` gives 0 to 1. */
  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly random: () => number = Math.random,
    private readonly range: BackoffRange = PATIENT,
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
    const { maxMs, minMs } = this.range;
    const interval = Math.min(maxMs, minMs * GROWTH ** this.#failures++);
    const left = Math.max(0, this.#lastAttempt + interval - this.now());
    return left + interval * JITTER * this.random();
  }
}
