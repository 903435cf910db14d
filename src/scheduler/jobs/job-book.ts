/**
 * The book of durable jobs: what has been promised to clients and workers, and what follows from
 * what happens. A pure state machine: it is told events, and has a clock, a store and a host handed
 * in. It has no timers and does no I/O: `due` says when `tick` is to be called next.
 *
 * The states of a job:
 *
 * - `waiting`: for other jobs to succeed (`--after`), or for a delay after an attempt to be over.
 *   Then `queued`; but `cancelled` when a job that it waits for ends in another way.
 * - `queued`: in its pool's queue. When the pool has found a worker for it, `offered`.
 * - `offered`: a worker is being given it; an attempt goes on. When the worker says that it has
 *   begun, `running`.
 * - `running`: as far as anybody knows. When its worker cannot be reached, `out of touch`.
 * - `out of touch`: from offered or running. The attempt goes on until its lease is over. When the
 *   worker is back and has the attempt, `running`.
 * - `succeeded`, `failed`, `cancelled`: ended. It leaves memory soon; the records know it. A failed
 *   or cancelled one that still has its description can be retried by hand: it is `waiting` or
 *   `queued` again, with nothing held against it, and will get a second end.
 *
 * An attempt goes on while its job is offered, running or out of touch. It ends by what its worker
 * reports, by its lease, by its timeout or with its job's cancellation, whichever comes first;
 * whatever is said of it later is stale, and changes nothing. Its end leads to an end of the job or
 * back to queued, perhaps by way of waiting: `retry-decision.ts` says which. Any state but the ends
 * leads to `cancelled` when somebody cancels the job.
 *
 * Costs: O(log n) for each event and each thing that follows from it, where n is the number of jobs
 * that have not ended. What follows from one event beyond the first thousand things is left to
 * `tick`.
 */

import { quoted } from "../../text/index.js";
import { type BookCounters, Ledger, STEPS } from "./ledger.js";
import { beginRow, retry, submit, whyNotAgain } from "./requests.js";
import { Restoration } from "./restoration.js";
import { type BookSettings, DEFAULT_SETTINGS } from "./settings.js";
import type {
  AttemptRecord,
  AttemptReport,
  HeldAttempt,
  JobClock,
  JobHost,
  JobRecord,
  JobState,
  JobStore,
  Offer,
  Past,
  Place,
  RestoredJob,
  RetryResult,
  RowSubmission,
  Submission,
  SubmitResult,
  Verdict,
} from "./types.js";

export interface BookOptions extends Partial<BookSettings> {
  readonly clock: JobClock;
  readonly store: JobStore;
  readonly host: JobHost;
}

/** How often old records are looked for, in seconds. */
const CLEANING = 60;

export class JobBook {
  private readonly ledger: Ledger;
  private restoration: Restoration | null = null;
  private nextCleaning: number;

  constructor({ clock, store, host, ...settings }: BookOptions) {
    this.ledger = new Ledger({
      clock,
      store,
      host,
      settings: { ...DEFAULT_SETTINGS, ...settings },
    });
    this.nextCleaning = clock.steady();
  }

  get counters(): Readonly<BookCounters> {
    return this.ledger.counters;
  }

  /** A job that has not ended. */
  job(id: number): Readonly<JobRecord> | undefined {
    return this.ledger.jobs.get(id);
  }

  /** The attempt of a job that goes on. */
  attempt(job: number): Readonly<AttemptRecord> | undefined {
    return this.ledger.attempts.of(job);
  }

  /** The attempts that go on at a worker, in the order in which it was offered them. */
  attemptsOn(worker: string): readonly Readonly<AttemptRecord>[] {
    return this.ledger.attempts.on(worker);
  }

  /** The attempts that go on, in the order in which workers were offered them. */
  openAttempts(): readonly Readonly<AttemptRecord>[] {
    return this.ledger.attempts.all();
  }

  /** The jobs that have to succeed before this one is queued. */
  waitsFor(id: number): number[] {
    return this.ledger.dependencies.unmetOf(id);
  }

  /** How many jobs are in that state; none in one that is an end. */
  count(state: JobState): number {
    return this.ledger.count(state);
  }

  /**
   * Makes a job, or finds the one that the client has submitted with this key before. Of what the
   * records have said, only that is used which the book does not know better.
   */
  submit(submission: Submission, past: Past = {}): SubmitResult {
    return submit(this.ledger, submission, past);
  }

  /** Makes a job of a batch's row, queued. */
  beginRow(row: RowSubmission): Readonly<JobRecord> {
    return beginRow(this.ledger, row);
  }

  /** A job that has not ended has its place in another batch from now on. False if it has. */
  adopt(id: number, { batch, key, row }: Place): boolean {
    const job = this.ledger.jobs.get(id);
    if (!job) return false;
    job.batch = batch;
    job.row = row;
    job.key = key;
    this.ledger.store.saveJob(job);
    return true;
  }

  /**
   * Tries a job again that has ended without success. It avoids the workers that it avoided last.
   *
   * @param record as the records have it; becomes the book's
   */
  retry(record: JobRecord, past: Past = {}): RetryResult {
    return retry(this.ledger, record, past);
  }

  /**
   * Whether a job has ended and can be tried again, by its batch if it is a row's. Those that it
   * runs after may still be against it.
   */
  isRetriable(record: JobRecord): boolean {
    return record.ended !== null && whyNotAgain(this.ledger, record) === null;
  }

  /** Ends a job, whatever it is doing. False if it has ended already, or never was. */
  cancel(id: number, reason: string): boolean {
    const job = this.ledger.jobs.get(id);
    if (!job) return false;
    this.ledger.erase(job);
    this.ledger.cancel(job, reason);
    this.ledger.follow();
    return true;
  }

  /**
   * Its pool was none that there is, and has another name now. False if it has ended, or never was.
   */
  move(id: number, pool: string): boolean {
    const job = this.ledger.jobs.get(id);
    if (job) this.ledger.move(job, pool);
    return job !== undefined;
  }

  /**
   * A new job could not be kept, and its client is told so: it never was. Nothing of it is saved
   * any more.
   */
  forget(id: number): void {
    const job = this.ledger.jobs.get(id) ?? this.ledger.jobs.justEnded(id);
    if (!job) return;
    this.ledger.drop(job);
    this.ledger.follow();
  }

  /**
   * The pool has found a worker for a queued job, which is not in its queue any more. Returns the
   * attempt, to be handed over when it is on disk; null if the job is not queued.
   */
  offer(id: number, offer: Offer): Readonly<AttemptRecord> | null {
    const job = this.ledger.jobs.get(id);
    return job?.state === "queued" ? this.ledger.offer(job, offer) : null;
  }

  /** The worker has begun. False if the attempt is stale: then it is to stop. */
  begun(id: number, number: number): boolean {
    const attempt = this.ledger.attempts.current(id, number);
    if (!attempt) return false;
    this.ledger.begin(attempt);
    return true;
  }

  /** The attempt has ended. False if it is stale: then nothing has changed. */
  ended(id: number, number: number, report: AttemptReport): boolean {
    const attempt = this.ledger.attempts.current(id, number);
    if (!attempt) return false;
    const { outcome, reason = "", output = "", logSize = attempt.logSize, seconds } = report;
    attempt.logSize = logSize;
    if (seconds !== undefined) this.ledger.begin(attempt, seconds);
    this.ledger.endAttempt(attempt, outcome, reason, output);
    this.ledger.follow();
    return true;
  }

  /**
   * A worker cannot be reached any more; or, if `only` is given, cannot be asked about that job. If
   * it was out of touch already nothing changes: coming and going does not prolong a lease, only
   * `resumed` ends it.
   */
  outOfTouch(worker: string, only?: number): void {
    for (const attempt of this.ledger.attempts.on(worker)) {
      if (only !== undefined && attempt.job !== only) continue;
      if (attempt.resumes) this.ledger.leave(attempt);
      else this.ledger.giveUp(attempt, "lost", `Its worker ${quoted(worker)} was disconnected.`);
    }
    this.ledger.follow();
  }

  /**
   * A worker is back and tells all attempts that it has, before it is offered others. One that it
   * should have but has not ends here, so that nobody waits for it. Returns what it is to do with
   * each.
   */
  resumed(worker: string, held: readonly HeldAttempt[]): Verdict[] {
    const verdicts = held.map((one) => this.resume(worker, one));
    const kept = new Set(
      held.filter((_, index) => verdicts[index] === "goOn").map(({ job }) => job),
    );
    this.returned(worker, ({ job }) => kept.has(job));
    return verdicts;
  }

  /**
   * A worker is back and tells of one attempt that it has: a part of `resumed`, before `returned`.
   */
  resume(worker: string, { job, attempt: number, state }: HeldAttempt): Verdict {
    const attempt = this.ledger.attempts.current(job, number);
    if (attempt?.worker !== worker) return "stop";
    // That it had begun is certain now, even if its saying so never came.
    this.ledger.begin(attempt);
    if (state !== "crashed") {
      this.ledger.resume(attempt);
      return "goOn";
    }
    this.ledger.endAttempt(attempt, "crashed", `Its worker ${quoted(worker)} was restarted.`);
    this.ledger.follow();
    return "stop";
  }

  /**
   * A worker has told all. Those that it should have, and has not as far as `isThere` knows, end.
   */
  returned(worker: string, isThere: (attempt: Readonly<AttemptRecord>) => boolean): void {
    for (const attempt of this.ledger.attempts.on(worker)) {
      if (isThere(attempt)) continue;
      if (attempt.started === null) {
        const reason = `It did not reach its worker ${quoted(worker)}.`;
        this.ledger.endAttempt(attempt, "evicted", reason);
      } else {
        const reason = `Its worker ${quoted(worker)} came back without it.`;
        this.ledger.endAttempt(attempt, "crashed", reason);
      }
    }
    this.ledger.follow();
  }

  /**
   * When to call `tick` next, on the steady clock; in the past if there is more to be done at once.
   */
  due(): number {
    if (this.ledger.dependencies.pending) return Number.NEGATIVE_INFINITY;
    return Math.min(this.ledger.agenda.next, this.ledger.jobs.nextExpiry, this.nextCleaning);
  }

  /** Does what is due, or as much of it as fits in one go. */
  tick(): void {
    const { agenda, clock, jobs, settings, store } = this.ledger;
    const now = clock.steady();
    for (let steps = 0; steps < STEPS; steps++) {
      const id = agenda.take(now);
      if (id === undefined) break;
      this.ledger.overdue(jobs.get(id)!);
    }
    this.ledger.follow();
    jobs.expire(now);
    if (this.nextCleaning > now) return;
    this.nextCleaning = now + CLEANING;
    store.removeBefore(clock.wall() - settings.keepJobs);
    store.eraseDescriptionsBefore(clock.wall() - settings.keepFailed);
  }

  /**
   * After a restart, takes in the jobs that had not ended: all of them, in as many calls as is
   * convenient, those that wait in ascending order of their ids; then `start` is to be called.
   * Until that is done nothing else is to be, but of attempts that have been taken in: that they
   * have `begun`, go on (`resume`), or are `outOfTouch`.
   */
  restore(jobs: Iterable<RestoredJob>): void {
    this.restoration ??= new Restoration(this.ledger);
    this.restoration.add(jobs);
  }

  /**
   * All have been restored: puts those that are queued into their queues, in order, and goes on.
   */
  start(): void {
    for (const _ of this.startInSteps());
  }

  /** `start` in steps that take no time to speak of. */
  *startInSteps(): Generator<void, void> {
    if (this.restoration) yield* this.restoration.finish();
    this.restoration = null;
    this.ledger.follow();
  }
}
