/**
 * The store of the book of durable jobs, with somebody who looks on: passes all on to the records,
 * and says what has changed.
 */
import type { AttemptRecord, JobRecord, JobStore } from "../jobs/types.js";

export interface StoreWatcher {
  jobChanged(job: JobRecord): void;
  /** Before it is passed on: the size of its log may be filled in. */
  attemptChanged(job: JobRecord, attempt: AttemptRecord): void;
}

export class WatchedStore implements JobStore {
  constructor(
    private readonly store: JobStore,
    private readonly watcher: StoreWatcher,
  ) {}

  nextId(): number {
    return this.store.nextId();
  }

  saveJob(job: JobRecord): void {
    this.store.saveJob(job);
    this.watcher.jobChanged(job);
  }

  saveAttempt(job: JobRecord, attempt: AttemptRecord): void {
    this.watcher.attemptChanged(job, attempt);
    this.store.saveAttempt(job, attempt);
  }

  saveDescription(id: number, description: Uint8Array): void {
    this.store.saveDescription(id, description);
  }

  eraseDescription(id: number): void {
    this.store.eraseDescription(id);
  }

  eraseDescriptionsBefore(ended: number): void {
    this.store.eraseDescriptionsBefore(ended);
  }

  removeBefore(ended: number): void {
    this.store.removeBefore(ended);
  }
}
