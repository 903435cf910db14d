/*
 * The event loop's time, shared. What a client sends can take long to go through, and a process has
 * others' calls to answer meanwhile: long work gives the thread away when it has had it for a
 * slice. All who do so have their time from here.
 */

import { setImmediate as immediate } from "node:timers/promises";

/** A slice of work that somebody waits for, in ms. */
const SLICE_MS = 10;

/** A slice of work that nobody waits for: others come first. */
const UNHURRIED_MS = 5;

/** How many steps are done between looks at the clock. */
const BATCH = 256;

/** The time until which somebody may have the thread. */
export class TimeSlice {
  readonly #ms: number;
  #end: number;

  constructor(ms: number = SLICE_MS) {
    this.#ms = ms;
    this.#end = performance.now() + ms;
  }

  get over(): boolean {
    return performance.now() > this.#end;
  }

  /** Another slice begins. */
  renew(): void {
    this.#end = performance.now() + this.#ms;
  }
}

/**
 * Work in slices: between them others run, and then it is asked whether the work is still wanted.
 */
export class Slices {
  readonly #signal: AbortSignal | undefined;
  readonly #slice = new TimeSlice();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether the slice is over. For loops that are too tight to await anything each time. */
  get over(): boolean {
    return this.#slice.over;
  }

  /** Lets others run, if the slice is over. Throws the signal's reason. */
  async turn(): Promise<void> {
    if (!this.over) return;
    await immediate();
    this.#signal?.throwIfAborted();
    this.#slice.renew();
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

/**
 * Does steps that nobody waits for until their slice is over, or `step` returns false because there
 * are none left. Returns which: true if there may be more to do. After each `batch` of steps it
 * looks at the clock.
 */
export function doForASlice(step: () => boolean, batch = BATCH): boolean {
  const slice = new TimeSlice(UNHURRIED_MS);
  do {
    for (let left = batch; left > 0; left--) if (!step()) return false;
  } while (!slice.over);
  return true;
}

/**
 * Does all of `steps`, such as letting go of what a lost peer held: some at once, the rest later.
 */
export function inSlices(steps: Iterator<unknown>): void {
  if (doForASlice(() => steps.next().done !== true)) setImmediate(inSlices, steps);
}
