/**
 * How many jobs a worker asks for beyond those that it can begin at once: none, unless its last
 * jobs were so short that asking for each took longer than they did.
 *
 * A job that is held and not begun is one that another worker could have. So it is only asked for
 * if it is expected to begin within moments (`TARGET_MS`): as many as the capacity gets through in
 * that time, by how long the last jobs took. It takes some short jobs in a row to ask for many, and
 * one long one to ask for none.
 */

/** What is held is to be begun within so many ms. */
const TARGET_MS = 100;

/** Jobs that take longer are not asked for ahead, in ms. */
const SHORT_MS = 25;

/** What the last job counts for in the average. */
const SHARE = 1 / 8;

/** Ever so short: what it takes to begin and end one is in there. */
const LEAST_MS = 0.1;

export class Appetite {
  private average = SHORT_MS;
  /** Short jobs since the last long one. */
  private inRow = 0;

  /** @param most jobs that are held at most */
  constructor(private readonly most: number) {}

  /** A job has ended that took so many ms. */
  ended(ms: number): void {
    if (ms > SHORT_MS) {
      this.spoil();
      return;
    }
    this.inRow++;
    this.average += SHARE * (Math.max(LEAST_MS, ms) - this.average);
  }

  /** A job takes longer, or was held for too long. */
  spoil(): void {
    this.inRow = 0;
    this.average = SHORT_MS;
  }

  /** How many jobs may be held, by a worker that runs so many at a time. */
  ahead(capacity: number): number {
    const each = Math.floor(TARGET_MS / this.average);
    return Math.min(this.most, 2 * this.inRow, Math.max(1, capacity) * each);
  }
}
