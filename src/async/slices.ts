/*
 * Long work in slices. What a client sends can take long to go through, and a worker has others' calls to answer
 * meanwhile: a loop over it gives the thread away when it has had it for a slice, and then hears whether it is still wanted.
 */

import { setImmediate as immediate } from "node:timers/promises";

/** Longest time without letting others have the thread, in ms. */
const SLICE = 10;

export class Slices {
  readonly #signal: AbortSignal | undefined;
  #end = performance.now() + SLICE;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether the slice is over. For loops that are too tight to await anything each time. */
  get over(): boolean {
    return performance.now() > this.#end;
  }

  /** Lets others run, if the slice is over. Throws the signal's reason. */
  async turn(): Promise<void> {
    if (!this.over) return;
    await immediate();
    this.#signal?.throwIfAborted();
    this.#end = performance.now() + SLICE;
  }
  /** The result of work that yields where it can be interrupted. Throws the signal's reason. */
  async run<T>(work: Iterator<void, T>): Promise<T> {
    for (;;) {
      const { done, value } = work.next();
      if (done) return value;
      await this.turn();
    }
  }
}

/** The result of the same work in one go. */
export function inOneGo<T>(work: Iterator<void, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** How many steps are done between looks at the clock. */
const BATCH = 256;

/** The longest slice of work that nobody waits for, in ms: others come first. */
const UNHURRIED_SLICE = 5;

/** Does `steps` that nobody waits for, such as letting go of all that a lost peer held: some at once, the rest later. */
export function inSlices(steps: Iterator<unknown>): void {
  const end = performance.now() + UNHURRIED_SLICE;
  do {
    for (let left = BATCH; left > 0; left--) if (steps.next().done === true) return;
  } while (performance.now() < end);
  setImmediate(inSlices, steps);
}
