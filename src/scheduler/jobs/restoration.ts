/**
 * A book after a restart: from the records of all jobs that had not ended to the state in which it
 * was, but for the workers, which are all out of touch. Every lease is a fresh one, as the workers
 * had nobody to come back to.
 */

import { Agenda } from "./agenda.js";
import type { Ledger } from "./ledger.js";
import { MAX_PAUSE } from "./retry-decision.js";
import type { AttemptRecord, EndState, JobRecord, RestoredJob } from "./types.js";

/** Jobs that a step deals with. */
const STEP = 100;

export class Restoration {
  /**
   * What came in one go, in the order in which it was queued: a million in one list would take too
   * long to sort.
   */
  private readonly queued: JobRecord[][] = [];
  private readonly waiting: RestoredJob[] = [];
  /** What was to be done when the scheduler ended, or has to be as it did. */
  private readonly overdue: { readonly id: number; act(): void }[] = [];

  constructor(private readonly ledger: Ledger) {}

  /** Takes in some jobs. Throws if it has one of them already. */
  add(jobs: Iterable<RestoredJob>): void {
    const queued: JobRecord[] = [];
    for (const restored of jobs) {
      const { job, attempt } = restored;
      const before = this.ledger.jobs.size;
      this.ledger.add(job);
      if (this.ledger.jobs.size === before) throw new Error(`job ${job.id} was restored twice`);
      if (attempt) this.addOpen(job, attempt);
      else if (job.state === "waiting") this.waiting.push(restored);
      else queued.push(job);
    }
    if (queued.length > 0) this.queued.push(queued.sort((a, b) => a.order - b.order));
  }

  /**
   * All have come: queues them in order, then does what is overdue. In steps that take no time to
   * speak of.
   */
  *finish(): Generator<void, void> {
    let steps = 0;
    for (const job of this.inOrder()) {
      this.ledger.requeue(job);
      if (++steps % STEP === 0) yield;
    }
    // Not before now: what they wait for had to be there.
    for (const { job, past } of this.waiting) {
      this.addWaiting(job, past);
      if (++steps % STEP === 0) yield;
    }
    for (const { act } of this.overdue.sort((a, b) => a.id - b.id)) {
      act();
      if (++steps % STEP === 0) yield;
    }
  }

  /** All that are queued. Most lists begin where the one before ends. */
  private *inOrder(): Generator<JobRecord, void> {
    const heads = new Agenda();
    const taken = this.queued.map(() => 0);
    for (const [list, [first]] of this.queued.entries()) heads.set(list, first!.order);
    for (let list = heads.take(LAST); list !== undefined; list = heads.take(LAST)) {
      const jobs = this.queued[list]!;
      let at = taken[list]!;
      do yield jobs[at++]!;
      while (at < jobs.length && jobs[at]!.order <= heads.next);
      taken[list] = at;
      if (at < jobs.length) heads.set(list, jobs[at]!.order);
    }
  }

  private addOpen(job: JobRecord, attempt: AttemptRecord): void {
    this.ledger.attempts.add(attempt);
    if (attempt.resumes) {
      this.ledger.startLease(job);
      return;
    }
    const act = () => {
      // It may have been given up meanwhile, when its worker was.
      if (this.ledger.attempts.current(job.id, attempt.attempt) !== attempt) return;
      this.ledger.endAttempt(attempt, "lost", "The scheduler was restarted.");
    };
    this.overdue.push({ id: job.id, act });
  }

  private addWaiting(job: JobRecord, past: ReadonlyMap<number, EndState>): void {
    const { agenda, clock, dependencies, jobs } = this.ledger;
    const { id } = job;
    if (job.notBefore !== null) {
      // The wall clock may have been set meanwhile; no delay is longer than this.
      const longest = Math.max(job.options.retryDelay, MAX_PAUSE);
      const rest = Math.min(Math.max(job.notBefore - clock.wall(), 0), longest);
      agenda.set(id, clock.steady() + rest);
      return;
    }
    const { after } = job.options;
    const failed = after.find((other) => past.has(other) && past.get(other) !== "succeeded");
    const active = after.filter((other) => jobs.get(other));
    if (failed !== undefined) {
      const act = () => this.ledger.cancelAfter(job, failed, past.get(failed)!);
      this.overdue.push({ id, act });
    } else if (active.length > 0) {
      dependencies.add(id, active);
    } else {
      this.overdue.push({ id, act: () => this.ledger.enqueue(job) });
    }
  }
}

const LAST = Number.POSITIVE_INFINITY;
