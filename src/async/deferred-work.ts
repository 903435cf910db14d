/**
 * Work that may wait a little, done in slices so that nothing else has to wait for it: a connection
 * that breaks can leave a million tickets behind, and each takes some microseconds to clear away.
 */
import { doForASlice } from "./slices.js";

/** How many tasks are done between looks at the clock: they are longer than other steps. */
const BATCH = 64;

/** How many are in a list: one list of a million would be copied as it grows, in one go. */
const LIST = 4096;

/**
 * Something to be done. An object, as a closure for each of a million would take memory when that
 * is scarce already.
 */
export interface DeferredTask {
  do(): void;
}

export class DeferredWork {
  /** In order, all but the last of length `LIST`. */
  private readonly pending: DeferredTask[][] = [];
  /** How many of the first list are done. */
  private done = 0;
  private scheduled = false;

  /** @param onError told what a task threw; the others are done nevertheless. */
  constructor(private readonly onError: (error: unknown) => void) {}

  /** Has it done soon, after those that were added before. */
  add(task: DeferredTask): void {
    const last = this.pending.at(-1);
    if (last !== undefined && last.length < LIST) last.push(task);
    else this.pending.push([task]);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.work();
    });
  }

  private work(): void {
    if (doForASlice(this.doNext, BATCH)) this.schedule();
  }

  /** Does a task; false if there is none. */
  private readonly doNext = (): boolean => {
    const list = this.pending[0];
    if (list === undefined) return false;
    try {
      list[this.done++]!.do();
    } catch (error) {
      this.onError(error);
    }
    if (this.done === list.length) {
      this.pending.shift();
      this.done = 0;
    }
    return true;
  };
}
