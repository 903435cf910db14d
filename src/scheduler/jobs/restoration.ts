/**
 * A book after a restart: from the records of all jobs that had not ended to the state in which it was, but for the
 * workers, which are all out of touch. Every lease is a fresh one, as the workers had nobody to come back to.
 */

import type { Ledger } from "./ledger.js";
import { MAX_PAUSE } from "./retry-decision.js";
import type { EndState, JobRecord, RestoredJob } from "./types.js";

/** Jobs that a step deals with. */
const STEP = 100;

export class Restoration {
  private last = 0;
  private readonly queued: JobRecord[] = [];
  /** What was to be done when the scheduler ended, or has to be as it did. */
  private readonly overdue: (() => void)[] = [];

  constructor(private readonly ledger: Ledger) {}

  /** Takes in some jobs. Throws if they do not come in ascending order of their ids. */
  add(jobs: Iterable<RestoredJob>): void {
    for (const { job, attempt, past } of jobs) {
      if (job.id <= this.last) throw new Error(`restored job ${job.id} after job ${this.last}`);
      this.last = job.id;
      this.ledger.add(job);
      if (attempt) {
        this.ledger.attempts.add(attempt);
        if (attempt.resumes) this.ledger.startLease(job);
        else {
          this.overdue.push(() =>
            this.ledger.endAttempt(attempt, "lost", "The scheduler was restarted."),
          );
        }
      } else if (job.state === "waiting") {
        this.addWaiting(job, past);
      } else {
        this.queued.push(job);
      }
    }
  }

  /** All have come: queues them in order, then does what is overdue. In steps that take no time to speak of. */
  *finish(): Generator<void, void> {
    this.queued.sort((a, b) => a.order - b.order);
    for (const [index, job] of this.queued.entries()) {
      this.ledger.requeue(job);
      if (index % STEP === 0) yield;
    }
    for (const [index, act] of this.overdue.entries()) {
      act();
      if (index % STEP === 0) yield;
    }
  }

  private addWaiting(job: JobRecord, past: ReadonlyMap<number, EndState>): void {
    const { agenda, clock, dependencies, jobs } = this.ledger;
    if (job.notBefore !== null) {
      // The wall clock may have been set meanwhile; no delay is longer than this.
      const longest = Math.max(job.options.retryDelay, MAX_PAUSE);
      const rest = Math.min(Math.max(job.notBefore - clock.wall(), 0), longest);
      agenda.set(job.id, clock.steady() + rest);
      return;
    }
    const { after } = job.options;
    const failed = after.find((id) => past.has(id) && past.get(id) !== "succeeded");
    const active = after.filter((id) => jobs.get(id));
    if (failed !== undefined) {
      this.overdue.push(() => this.ledger.cancelAfter(job, failed, past.get(failed)!));
    } else if (active.length > 0) {
      dependencies.add(job.id, active);
    } else {
      this.overdue.push(() => this.ledger.enqueue(job));
    }
  }
}
