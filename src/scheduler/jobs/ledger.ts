/**
 * The jobs that have not ended, and the steps that lead from one state to another (`job-book.ts`
 * has them written out). Each step tells the store what it changes and the host what to do, and
 * leaves all indexes true. When to take which step is for others to decide.
 */

import { quoted } from "../../text/index.js";
import { Agenda } from "./agenda.js";
import { Dependencies } from "./dependencies.js";
import { KnownJobs } from "./known-jobs.js";
import { OpenAttempts } from "./open-attempts.js";
import { decide } from "./retry-decision.js";
import type { BookSettings } from "./settings.js";
import type {
  AttemptRecord,
  EndState,
  JobCause,
  JobClock,
  JobHost,
  JobRecord,
  JobState,
  JobStore,
  Offer,
  Outcome,
  ReportedOutcome,
} from "./types.js";

/** How much of what follows from an event is dealt with in one go: some milliseconds of work. */
export const STEPS = 1000;

/** How many workers a job avoids at most. */
const MAX_AVOID = 8;

/** Characters of a reason: more than a line or two is not one. */
const MAX_REASON = 1000;

/** After these another worker may do better. */
const AVOIDED: ReadonlySet<Outcome> = new Set(["failed", "timeout", "no space", "lost", "crashed"]);

/** Of an attempt that ends so, it can be told that it had begun. */
const DONE: ReadonlySet<Outcome> = new Set(["succeeded", "failed", "timeout", "no space"]);

/** What has happened since the book was made. */
export interface BookCounters {
  submitted: number;
  /** Attempts that went on though their workers had been out of touch. */
  resumed: number;
  /** Ended attempts by outcome. */
  readonly attempts: Record<Outcome, number>;
}

export interface LedgerOptions {
  readonly clock: JobClock;
  readonly store: JobStore;
  readonly host: JobHost;
  readonly settings: BookSettings;
}

export class Ledger {
  readonly counters: BookCounters = {
    submitted: 0,
    resumed: 0,
    attempts: {
      succeeded: 0,
      failed: 0,
      timeout: 0,
      "no space": 0,
      evicted: 0,
      lost: 0,
      crashed: 0,
      cancelled: 0,
    },
  };
  readonly jobs = new KnownJobs();
  readonly attempts = new OpenAttempts();
  readonly dependencies = new Dependencies();
  /**
   * The end of a waiting job's delay, of an out of touch job's lease, or of a running job's time.
   */
  readonly agenda = new Agenda();
  readonly clock: JobClock;
  readonly store: JobStore;
  readonly host: JobHost;
  readonly settings: BookSettings;
  /** Of those that have not ended. */
  private readonly byState = new Map<JobState, number>();
  /** Counts the jobs that were queued: see `JobRecord.order`. */
  private order = 0;

  constructor({ clock, store, host, settings }: LedgerOptions) {
    this.clock = clock;
    this.store = store;
    this.host = host;
    this.settings = settings;
  }

  /** How many jobs are in that state. */
  count(state: JobState): number {
    return this.byState.get(state) ?? 0;
  }

  /** Takes in a job in whatever state it is. */
  add(job: JobRecord): void {
    this.jobs.add(job);
    this.changeCount(job.state, 1);
    this.order = Math.max(this.order, job.order);
  }

  /** It never was. Jobs that wait for it are yet to be told. */
  drop(job: JobRecord): void {
    const attempt = this.attempts.of(job.id);
    if (job.state === "queued") this.host.withdraw(job);
    if (attempt) {
      this.attempts.remove(attempt);
      this.host.stop(job, attempt);
    }
    if (this.jobs.get(job.id)) this.changeCount(job.state, -1);
    this.agenda.delete(job.id);
    this.dependencies.remove(job.id);
    this.jobs.forget(job);
    this.dependencies.ended(job.id, "cancelled");
  }

  /** A new or revived job goes on as soon as these have succeeded. */
  awaitOthers(job: JobRecord, others: readonly number[]): void {
    if (others.length === 0) {
      this.enqueue(job);
      return;
    }
    this.dependencies.add(job.id, others);
    this.enter(job, "waiting");
  }

  enqueue(job: JobRecord): void {
    job.notBefore = null;
    job.order = ++this.order;
    job.start = this.host.enqueue(job);
    this.enter(job, "queued");
  }

  /** As it was queued before a restart. */
  requeue(job: JobRecord): void {
    const start = this.host.enqueue(job);
    if (start === job.start && job.state === "queued") return;
    job.start = start;
    this.enter(job, "queued");
  }

  /** From a pool that there is not, where it was in no queue. */
  move(job: JobRecord, pool: string): void {
    job.pool = pool;
    if (job.state === "queued") job.start = this.host.enqueue(job);
    this.store.saveJob(job);
  }

  enter(job: JobRecord, state: JobState): void {
    this.changeCount(job.state, -1);
    this.changeCount(state, 1);
    job.state = state;
    this.store.saveJob(job);
  }

  /** Ends a job that is not done, with what it is doing. */
  cancel(job: JobRecord, reason: string): void {
    const attempt = this.attempts.of(job.id);
    if (job.state === "queued") this.host.withdraw(job);
    if (attempt) {
      this.closeAttempt(job, attempt, "cancelled", reason);
      this.host.stop(job, attempt);
    }
    this.end(job, "cancelled", "cancelled", reason);
  }

  /**
   * A job that it was to run after has ended otherwise than it should. It keeps its description, to
   * be retried.
   */
  cancelAfter(job: JobRecord, other: number, state: EndState): void {
    this.cancel(job, `Job ${other}, which it was to run after, ${phrase(state)}.`);
  }

  erase(job: JobRecord): void {
    // That of a batch's job is its batch's.
    if (job.batch !== null) return;
    job.described = false;
    this.store.eraseDescription(job.id);
  }

  /** Lets jobs know that what they waited for has ended. */
  follow(): void {
    for (let steps = 0; steps < STEPS; steps++) {
      const consequence = this.dependencies.take();
      if (!consequence) return;
      const { waiting, on, state, isLast } = consequence;
      const job = this.jobs.get(waiting)!;
      if (state !== "succeeded") this.cancelAfter(job, on, state);
      else if (isLast) this.enqueue(job);
    }
  }

  offer(job: JobRecord, offer: Offer): AttemptRecord {
    job.attempts++;
    const attempt: AttemptRecord = {
      job: job.id,
      attempt: job.attempts,
      ...offer,
      offered: this.clock.wall(),
      started: null,
      ended: null,
      outcome: null,
      reason: "",
      logSize: 0,
    };
    this.attempts.add(attempt);
    this.store.saveAttempt(job, attempt);
    this.enter(job, "offered");
    return attempt;
  }

  /**
   * Its worker has begun, and says so, or it can be told from what it says.
   *
   * @param ago seconds, as its worker says; no longer than it has it
   */
  begin(attempt: AttemptRecord, ago = 0): void {
    const job = this.jobs.get(attempt.job)!;
    if (attempt.started === null) this.noteStart(job, attempt, ago);
    if (job.state === "offered") this.enter(job, "running");
  }

  /** Its worker cannot be reached. */
  leave(attempt: AttemptRecord): void {
    const job = this.jobs.get(attempt.job)!;
    if (job.state !== "out of touch") this.startLease(job);
  }

  /** The lease begins, perhaps anew. */
  startLease(job: JobRecord): void {
    this.agenda.set(job.id, this.clock.steady() + this.settings.lease);
    this.enter(job, "out of touch");
  }

  /** Its worker has it, running or done. */
  resume(attempt: AttemptRecord): void {
    const job = this.jobs.get(attempt.job)!;
    if (job.state !== "out of touch") return;
    this.counters.resumed++;
    this.agenda.delete(job.id);
    this.enter(job, "running");
  }

  /** What was to come of a job at this moment comes. */
  overdue(job: JobRecord): void {
    const attempt = this.attempts.of(job.id);
    if (!attempt) {
      this.enqueue(job);
    } else if (job.state === "out of touch") {
      const { lease } = this.settings;
      const worker = quoted(attempt.worker);
      this.giveUp(attempt, "lost", `Its worker ${worker} was out of touch for ${lease} s.`);
    } else {
      this.giveUp(attempt, "timeout", `It ran for longer than ${job.options.timeout} s.`);
    }
  }

  /** Ends an attempt about which its worker has said nothing. */
  giveUp(attempt: AttemptRecord, outcome: ReportedOutcome, reason: string): void {
    this.host.stop(this.jobs.get(attempt.job)!, attempt);
    this.endAttempt(attempt, outcome, reason);
  }

  /** Ends an attempt, and finds what is to become of its job. */
  endAttempt(attempt: AttemptRecord, outcome: ReportedOutcome, words: string, output = ""): void {
    const job = this.jobs.get(attempt.job)!;
    if (DONE.has(outcome)) this.begin(attempt);
    this.closeAttempt(job, attempt, outcome, words);
    const end = { outcome, begun: attempt.started !== null };
    const { tally, decision } = decide(job.options, job, end, this.settings.poisonAfter);
    job.failures = tally.failures;
    job.losses = tally.losses;
    job.suspicions = tally.suspicions;
    job.troubles = tally.troubles;
    if (AVOIDED.has(outcome)) {
      const others = job.avoid.filter((worker) => worker !== attempt.worker);
      job.avoid = [attempt.worker, ...others].slice(0, MAX_AVOID);
    }
    if (decision.next === "end") {
      const hasSucceeded = outcome === "succeeded";
      if (hasSucceeded) {
        job.output = output;
        this.erase(job);
      }
      const { cause, why } = decision;
      const reason = why === "" ? attempt.reason : `${why} The last time: ${attempt.reason}`;
      this.end(job, hasSucceeded ? "succeeded" : "failed", cause, reason);
      return;
    }
    if (!this.host.isWanted(job)) {
      this.erase(job);
      const reason = `Its client was removed. The last attempt: ${attempt.reason}`;
      this.end(job, "cancelled", "cancelled", reason);
      return;
    }
    job.reason = attempt.reason;
    if (!decision.keepsPlace) job.start = null;
    if (decision.delay > 0) this.delay(job, decision.delay);
    else this.enqueue(job);
  }

  private noteStart(job: JobRecord, attempt: AttemptRecord, ago: number): void {
    const now = this.clock.wall();
    // Of what is no number, and of a clock that was set, nothing is made.
    attempt.started = Math.min(now, Math.max(attempt.offered, now - (ago > 0 ? ago : 0)));
    this.store.saveAttempt(job, attempt);
    const { timeout } = job.options;
    if (timeout !== null && !attempt.resumes) {
      this.agenda.set(job.id, this.clock.steady() + timeout);
    }
    if (job.started !== null) return;
    job.started = attempt.started;
    this.store.saveJob(job);
  }

  private delay(job: JobRecord, seconds: number): void {
    job.notBefore = this.clock.wall() + seconds;
    this.agenda.set(job.id, this.clock.steady() + seconds);
    this.enter(job, "waiting");
  }

  private closeAttempt(
    job: JobRecord,
    attempt: AttemptRecord,
    outcome: Outcome,
    reason: string,
  ): void {
    this.attempts.remove(attempt);
    this.agenda.delete(job.id);
    attempt.ended = this.clock.wall();
    attempt.outcome = outcome;
    attempt.reason = reason.slice(0, MAX_REASON);
    this.counters.attempts[outcome]++;
    this.store.saveAttempt(job, attempt);
  }

  private end(job: JobRecord, state: EndState, cause: JobCause, reason: string): void {
    this.agenda.delete(job.id);
    this.dependencies.remove(job.id);
    job.notBefore = null;
    job.ended = this.clock.wall();
    job.cause = cause;
    job.reason = reason.slice(0, 2 * MAX_REASON);
    this.enter(job, state);
    this.changeCount(state, -1);
    this.jobs.end(job, this.clock.steady());
    this.dependencies.ended(job.id, state);
    this.host.ended(job);
  }

  private changeCount(state: JobState, by: 1 | -1): void {
    this.byState.set(state, this.count(state) + by);
  }
}

/** The end as the rest of a sentence. */
export function phrase(state: EndState): string {
  return state === "cancelled" ? "was cancelled" : `has ${state}`;
}
