/**
 * Work that may wait a little, done in slices so that nothing else has to wait for it: a connection that breaks can leave
 * a million tickets behind, and each takes some microseconds to clear away.
 */

/** How long a slice may take, in ms. */
const SLICE = 5;

/** How many chores are done between looks at the clock. */
const BATCH = 64;

/** Something to be done. An object, as a closure for each of a million would take memory when that is scarce already. */
export interface Chore {
  do(): void;
}

export class Chores {
  private pending: Chore[] = [];
  private done = 0;
  private scheduled = false;

  /** @param onError told what a chore threw; the others are done nevertheless. */
  constructor(private readonly onError: (error: unknown) => void) {}

  /** Has it done soon, after those that were added before. */
  add(chore: Chore): void {
    this.pending.push(chore);
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
    const end = performance.now() + SLICE;
    while (this.done < this.pending.length) {
      for (let n = 0; n < BATCH && this.done < this.pending.length; n++) {
        try {
          this.pending[this.done++]!.do();
        } catch (error) {
          this.onError(error);
        }
      }
      if (performance.now() >= end) break;
    }
    if (this.done < this.pending.length) {
      this.schedule();
    } else {
      this.pending = [];
      this.done = 0;
    }
  }
}
