/** Random numbers that are the same for the same seed, so that a run can be repeated. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, but not including, 1: mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** From 0 up to, but not including, `limit`. */
  integer(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** Whether something happens that happens in so many of 100 cases. */
  chance(percent: number): boolean {
    return this.next() * 100 < percent;
  }

  /** A number around `mean`, at least half and at most one and a half of it. */
  around(mean: number): number {
    return mean * (0.5 + this.next());
  }

  /**
   * The time until the next of events that come independently of each other, `mean` apart on
   * average.
   */
  interval(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }
}
