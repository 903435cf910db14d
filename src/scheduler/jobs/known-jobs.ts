/**
 * The jobs that a book has in memory, by id and by key: those that have not ended, and for some
 * seconds those that have. For older ones the records answer, but asking them takes a while, in
 * which a job may end: what has ended since somebody asked is known here.
 */

import { ShardedMap } from "./sharded-map.js";
import type { JobRecord } from "./types.js";

/** How long an ended job stays known, in seconds: longer than any question to the records takes. */
const MEMORY = 20;

/** How often they are forgotten: together, as thousands may end in a second. */
const FORGETTING = 1;

interface Ended {
  readonly job: JobRecord;
  readonly at: number;
}

export class KnownJobs {
  private readonly active = new ShardedMap<number, JobRecord>();
  /** In the order of their ends. */
  private readonly ended = new Map<number, Ended>();
  private readonly keys = new Map<string, ShardedMap<string, number>>();
  private expiry = Number.POSITIVE_INFINITY;

  /** How many have not ended. */
  get size(): number {
    return this.active.size;
  }

  /** When some of those that ended are to be forgotten; infinite if there are none. */
  get nextExpiry(): number {
    return this.expiry;
  }

  /** A job that has not ended. */
  get(id: number): JobRecord | undefined {
    return this.active.get(id);
  }

  /** One that has ended only just now. */
  justEnded(id: number): JobRecord | undefined {
    return this.ended.get(id)?.job;
  }

  /** Of jobs outside of batches. */
  idOf(client: string, key: string): number | undefined {
    return this.keys.get(client)?.get(key);
  }

  /** A job that is new, or that is to be tried again though it had ended. */
  add(job: JobRecord): void {
    this.ended.delete(job.id);
    this.active.set(job.id, job);
    if (job.key === "" || job.batch !== null) return;
    let keys = this.keys.get(job.client);
    if (keys === undefined) {
      keys = new ShardedMap();
      this.keys.set(job.client, keys);
    }
    keys.set(job.key, job.id);
  }

  /** It has ended. */
  end(job: JobRecord, now: number): void {
    this.active.delete(job.id);
    this.ended.set(job.id, { job, at: now });
    if (this.ended.size === 1) this.expiry = now + MEMORY;
  }

  /** It is as if it had never been. */
  forget(job: JobRecord): void {
    this.active.delete(job.id);
    this.ended.delete(job.id);
    const keys = this.keys.get(job.client);
    if (keys?.get(job.key) === job.id) keys.delete(job.key);
    if (keys?.size === 0) this.keys.delete(job.client);
  }

  /** Forgets those that ended long enough ago, if it is time to. */
  expire(now: number): void {
    if (now < this.expiry) return;
    this.expiry = Number.POSITIVE_INFINITY;
    for (const { job, at } of this.ended.values()) {
      if (at + MEMORY > now) {
        this.expiry = Math.max(at + MEMORY, now + FORGETTING);
        return;
      }
      this.forget(job);
    }
  }
}
