/**
 * A batch as it runs: which of its rows begin when, and when no more do. It is told what happens,
 * and asked what is next; it has no clock, no disk and no jobs itself.
 *
 * A row is *unbegun* until there is a job for it, which is *queued* or *running* and ends as
 * *succeeded*, *failed* or *cancelled*. A job that has failed or was cancelled may be tried again:
 * it is *due again* first, then queued.
 *
 * The states of a batch:
 *
 * - *open*, then *closed*: rows still come; these are all. Rows begin in either.
 * - *canary*: until the first rows, as many as the rules say, have succeeded, none of the others
 *   begins.
 * - *going on*: rows begin in their order, as many at a time as there is room for.
 * - *stopped*: by the rules, as a canary or too many rows have failed. No row begins, queued jobs
 *   are cancelled, running ones go on.
 * - *cancelled*: by somebody. No row begins, and all jobs are cancelled.
 * - *ended*: no job is left, and no row will begin. It *goes on* when its jobs are tried again.
 */
import { RowSet } from "./row-set.js";

export interface RunRules {
  /** The first so many rows must succeed before others begin. */
  readonly canary: number;
  /** Jobs that have not ended, at a time; may be infinite. */
  readonly maxRunning: number;
  /** More failed rows than that stop the batch; may be infinite. */
  readonly maxFailures: number;
  /** The same in percent of all rows, as soon as these have come. */
  readonly maxFailuresPercent: number;
}

export type LiveState = "queued" | "running";
export type EndState = "succeeded" | "failed" | "cancelled";

export type Halt = "stopped" | "cancelled";

/** What its jobs and unbegun rows come to. */
export type RunState = "running" | "succeeded" | "failed" | Halt;

export interface Counts {
  /** With those that have not begun, and will. */
  readonly queued: number;
  readonly running: number;
  readonly succeeded: number;
  readonly failed: number;
  /** With those that have not begun, and will not. */
  readonly cancelled: number;
}

/** What to do next: make a job for a row, or try one again. */
export type Step =
  | { readonly kind: "begin"; readonly row: number }
  | { readonly kind: "again"; readonly job: number };

export class BatchRun {
  private readonly begun = new RowSet();
  private readonly live = new Map<number, LiveState>();
  private readonly ends = { succeeded: 0, failed: 0, cancelled: 0 };
  private running = 0;
  private canaries = 0;
  /** Failed rows since the batch began, or went on. */
  private failures = 0;
  private due: number[] = [];
  /** Jobs that somebody is about to try again. */
  private pending = 0;
  /** The row that is to begin, until its job is known, or it has not. */
  private beginning: number | null = null;
  private total = 0;
  private isClosed = false;
  private halted: { readonly halt: Halt; readonly reason: string } | null = null;

  constructor(private readonly rules: RunRules) {}

  get rows(): number {
    return this.total;
  }

  get closed(): boolean {
    return this.isClosed;
  }

  /** Null while it goes on. */
  get halt(): { readonly halt: Halt; readonly reason: string } | null {
    return this.halted;
  }

  /** The jobs that have not ended. */
  get jobs(): ReadonlyMap<number, LiveState> {
    return this.live;
  }

  get counts(): Counts {
    const unbegun = this.total - this.begun.size;
    const { cancelled, failed, succeeded } = this.ends;
    const waiting = this.live.size - this.running;
    return {
      queued: waiting + (this.halted ? 0 : unbegun),
      running: this.running,
      succeeded,
      failed,
      cancelled: cancelled + (this.halted ? unbegun : 0),
    };
  }

  get hasEnded(): boolean {
    if (this.live.size + this.pending > 0 || this.beginning !== null) return false;
    if (this.halted) return true;
    return this.isClosed && this.due.length === 0 && this.begun.size === this.total;
  }

  get state(): RunState {
    if (this.halted) return this.halted.halt;
    if (!this.hasEnded) return "running";
    return this.ends.failed + this.ends.cancelled === 0 ? "succeeded" : "failed";
  }

  /** More rows have come. */
  add(rows: number): void {
    this.total += rows;
  }

  close(): void {
    this.isClosed = true;
    this.judge();
  }

  /** There is a job for the row, which has ended or is known to `jobChanged` from now on. */
  restored(row: number, end: EndState | null, isRecent: boolean): void {
    this.begun.add(row);
    if (end === null) return;
    this.ends[end]++;
    if (end === "succeeded" && row < this.rules.canary) this.canaries++;
    if (end === "failed" && isRecent) this.failures++;
  }

  /** All that had ended is restored: what the rules say of it holds. */
  judge(): void {
    const { maxFailures, maxFailuresPercent } = this.rules;
    if (this.halted) return;
    if (this.failures > maxFailures) {
      this.stop(`${this.failures} rows have failed, more than ${maxFailures}.`);
    } else if (this.isClosed && this.failures * 100 > maxFailuresPercent * this.total) {
      this.stop(
        `${this.failures} of ${this.total} rows have failed, more than ${maxFailuresPercent}%.`,
      );
    }
  }

  /**
   * What to do next, if no more than `window` jobs are to be there that have not ended; null for
   * nothing. It counts as done from then on: a row that was to begin is known by its job next, and
   * `triedAgain` is to be called for a job. A batch stops here if its first rows have ended, and
   * not well: whoever asks knows all of its jobs, which is not so before.
   */
  next(window: number): Step | null {
    const room = Math.min(window, this.rules.maxRunning);
    if (this.halted || this.live.size + this.pending >= room) return null;
    const job = this.due.pop();
    if (job !== undefined) {
      this.pending++;
      return { kind: "again", job };
    }
    const { canary } = this.rules;
    const row = this.begun.firstMissing();
    if (row < this.total && (row < canary || this.canariesAreWell)) {
      this.begun.add(row);
      this.beginning = row;
      return { kind: "begin", row };
    }
    if (this.isStuck) this.stop(`The first ${canary} rows (--canary) have not all succeeded.`);
    return null;
  }

  /** Somebody is about to try jobs again, until `triedAgain`: it has not ended. */
  hold(): void {
    this.pending++;
  }

  /** A row that was to begin has not, for a reason that may pass. */
  notBegun(row: number): void {
    this.begun.delete(row);
    if (this.beginning === row) this.beginning = null;
  }

  /** A job that was to be tried again is known to be, or cannot be. */
  triedAgain(): void {
    this.pending--;
  }

  /** A job is in another state than before (null: it is new). */
  jobChanged(
    job: number,
    row: number,
    before: LiveState | EndState | null,
    now: LiveState | EndState,
  ): void {
    if (before === now) return;
    this.begun.add(row);
    if (this.beginning === row) this.beginning = null;
    if (before === "running") this.running--;
    if (before === "queued" || before === "running") this.live.delete(job);
    else if (before !== null) this.ends[before]--;
    if (now === "queued" || now === "running") {
      this.live.set(job, now);
      if (now === "running") this.running++;
      return;
    }
    this.ends[now]++;
    const isCanary = row < this.rules.canary;
    if (now === "succeeded" && isCanary) this.canaries++;
    if (now !== "failed") return;
    this.failures++;
    if (isCanary && !this.canariesAreWell && !this.halted) {
      this.stop(`Row ${row + 1}, one of the first ${this.rules.canary} (--canary), has failed.`);
    }
    this.judge();
  }

  /** A job that has not ended is another batch's now. */
  left(job: number): void {
    if (this.live.get(job) === "running") this.running--;
    this.live.delete(job);
  }

  /** It was halted before a restart, or is by somebody. */
  stopFor(halt: Halt, reason: string): void {
    this.halted ??= { halt, reason };
    if (halt === "cancelled") this.halted = { halt, reason };
    this.due = [];
  }

  /** Goes on, with these jobs of it once more. */
  goOn(jobs: readonly number[]): void {
    this.halted = null;
    this.failures = 0;
    this.due = [...jobs].reverse();
  }

  private get canariesAreWell(): boolean {
    const { canary } = this.rules;
    return this.canaries >= (this.isClosed ? Math.min(canary, this.total) : canary);
  }

  /** No row is to begin and no job is left, but the first rows keep others back. */
  private get isStuck(): boolean {
    if (this.canariesAreWell || this.live.size + this.pending > 0) return false;
    return this.isClosed ? this.begun.size < this.total : this.total >= this.rules.canary;
  }

  private stop(reason: string): void {
    this.stopFor("stopped", reason);
  }
}
