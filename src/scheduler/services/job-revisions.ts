/**
 * Which jobs have changed since somebody looked: numbers that grow with each change, over restarts,
 * too.
 *
 * Only jobs that were looked at are remembered, and of these not all: one that is not remembered
 * counts as changed, and who waits for it looks once more than necessary.
 */

/** Jobs that are remembered. */
const REMEMBERED = 100_000;

interface Entry {
  revision: number;
  waiting: Set<() => void> | undefined;
}

export class JobRevisions {
  /**
   * Microseconds to begin with: more than there can be changes, so that no earlier process has come
   * as far.
   */
  private last = Date.now() * 1000;
  /** In the order in which they came. */
  private readonly entries = new Map<number, Entry>();

  /** @param remembered how many jobs */
  constructor(private readonly remembered = REMEMBERED) {}

  /**
   * A number that is another one after the job's next change. What is read of the job after this
   * call is no older.
   */
  of(job: number): number {
    return this.entry(job).revision;
  }

  /**
   * The same for one that nobody is going to wait for soon: at most, it is answered at once then.
   */
  glance(job: number): number {
    return this.entries.get(job)?.revision ?? this.last;
  }

  changed(job: number): void {
    const entry = this.entries.get(job);
    if (!entry) return;
    entry.revision = ++this.last;
    for (const wake of entry.waiting ?? []) wake();
  }

  /** Resolves when the job's revision is not this one. Rejects with the signal's reason. */
  change(job: number, revision: number, signal: AbortSignal): Promise<void> {
    const entry = this.entry(job);
    if (entry.revision !== revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const done = (): void => {
        entry.waiting?.delete(done);
        if (entry.waiting?.size === 0) entry.waiting = undefined;
        signal.removeEventListener("abort", done);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      entry.waiting ??= new Set();
      entry.waiting.add(done);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }

  private entry(job: number): Entry {
    let entry = this.entries.get(job);
    if (entry) return entry;
    if (this.entries.size >= this.remembered) this.forgetOne();
    entry = { revision: ++this.last, waiting: undefined };
    this.entries.set(job, entry);
    return entry;
  }

  private forgetOne(): void {
    // Those that are waited for go to the end, each at most once in a while.
    for (const [job, entry] of this.entries) {
      this.entries.delete(job);
      if (!entry.waiting) return;
      this.entries.set(job, entry);
      if (this.entries.size > 2 * this.remembered) return;
    }
  }
}
