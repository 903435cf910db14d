/**
 * The attempts that go on, by job and by worker. A job has one at most: that is what makes its
 * number a fence.
 */

import type { AttemptRecord } from "./types.js";

export class OpenAttempts {
  private readonly byJob = new Map<number, AttemptRecord>();
  private readonly byWorker = new Map<string, Set<AttemptRecord>>();

  get size(): number {
    return this.byJob.size;
  }

  /** The job's attempt that goes on. */
  of(job: number): AttemptRecord | undefined {
    return this.byJob.get(job);
  }

  /** This very attempt, if it goes on; one that was given up, or never was, does not. */
  current(job: number, attempt: number): AttemptRecord | undefined {
    const open = this.byJob.get(job);
    return open?.attempt === attempt ? open : undefined;
  }

  /** All, in the order in which workers were offered them. */
  all(): AttemptRecord[] {
    return [...this.byJob.values()];
  }

  /** Those of a worker, in the order in which it was offered them. */
  on(worker: string): AttemptRecord[] {
    return [...(this.byWorker.get(worker) ?? [])];
  }

  add(attempt: AttemptRecord): void {
    this.byJob.set(attempt.job, attempt);
    const others = this.byWorker.get(attempt.worker);
    if (others) others.add(attempt);
    else this.byWorker.set(attempt.worker, new Set([attempt]));
  }

  remove(attempt: AttemptRecord): void {
    this.byJob.delete(attempt.job);
    const others = this.byWorker.get(attempt.worker);
    others?.delete(attempt);
    if (others?.size === 0) this.byWorker.delete(attempt.worker);
  }
}
