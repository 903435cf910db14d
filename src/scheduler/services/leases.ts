/**
 * The leases of one worker's connection: many short jobs in one answer, and many ends in one call,
 * with one commit for all of each (`lease.ts` has their states).
 *
 * What a job given alone has, one given among many has, too: its attempt is on disk before its
 * worker learns of it; its log is on disk before its end is, and its end before its worker is
 * answered, and may forget it; what is said of an attempt that is not the current one is dropped. A
 * job that takes longer is handed over to an `AttemptRun`, with all that this can: its log as it
 * grows, files, a cancellation at once.
 *
 * Nothing of what a worker holds is lost to others for long: it begins a lease within moments or
 * gives it back, and is given no more than its part of what is queued (docs/protocol.md).
 */
import { setTimeout as pause } from "node:timers/promises";
import type { BulkQueue, DurableQueue } from "../../api/index.js";
import type { Caller, Capability } from "../../rpc/index.js";
import type { PoolWorker } from "../pool/pool-worker.js";
import type { Ticket } from "../pool/ticket.js";
import type { AttemptLog } from "../state/attempt-log.js";
import { LOG_NOT_KEPT } from "./attempt-run.js";
import type { DurableJobs } from "./durable-jobs.js";
import { Lease, type Lessor } from "./lease.js";
import { ANSWER_BYTES, LeaseContents } from "./lease-contents.js";
import { type DurableRecord, isAttached, type PoolJob } from "./pool-job.js";
import type { Outcome } from "./worker-session.js";

/** How long logs that cannot be written wait until they are tried again, in ms. */
const RETRY_AFTER_MS = 1000;

export interface LeasesOptions {
  readonly jobs: DurableJobs;
  readonly poolWorker: PoolWorker<PoolJob>;
  onFinished(outcome: Outcome): void;
  /** Has the attempt followed from now on, with its worker's `Job`, which is taken. */
  follow(id: BulkQueue.LeaseId, run: Capability): void;
}

/** A job that the pool has found for the worker. */
export interface Found {
  readonly ticket: Ticket<PoolJob>;
  readonly job: DurableRecord;
}

interface Offer {
  readonly job: DurableRecord;
  readonly attempt: number;
}

export class Leases implements Lessor {
  /** By job. */
  private readonly granted = new Map<number, Lease>();
  private readonly notWanted = new Set<number>();
  private readonly contents: LeaseContents;
  private isOver = false;

  constructor(private readonly options: LeasesOptions) {
    this.contents = new LeaseContents(options.jobs);
  }

  /** What else is there for the worker at this moment, so many in all at most. */
  findMore(first: Found, wanted: number): Found[] {
    const { contents } = this;
    const { poolWorker } = this.options;
    const found = [first];
    const most = Math.min(wanted, 1 + poolWorker.part);
    let bytes = contents.sizeOf(first.job);
    const accepts = (job: PoolJob) =>
      !isAttached(job) && bytes + contents.sizeOf(job) <= ANSWER_BYTES;
    while (found.length < most) {
      const ticket = poolWorker.takeNow(accepts);
      if (!ticket || isAttached(ticket.job)) break;
      bytes += contents.sizeOf(ticket.job);
      found.push({ ticket, job: ticket.job });
    }
    return found;
  }

  /**
   * Gives these jobs to the worker; null if none is left that could be given. All count as running
   * there already.
   *
   * @param templates the batches whose templates it has
   */
  async grant(
    found: readonly Found[],
    templates: readonly number[],
    caller: Caller,
  ): Promise<BulkQueue.Taken | null> {
    const { jobs, poolWorker } = this.options;
    const { book, records } = jobs;
    const offers: Offer[] = [];
    for (const { job, ticket } of found) {
      jobs.taken(job.id);
      const how = { worker: poolWorker.name, resumes: true, cached: ticket.cached };
      const attempt = book.offer(job.id, how)?.attempt;
      if (attempt === undefined) poolWorker.jobFinished();
      else offers.push({ job, attempt });
    }
    const [contents] = await Promise.all([
      this.contents.of(offers.map(({ job }) => job)),
      records.promised(),
    ]);
    const leases: BulkQueue.Lease[] = [];
    for (const [index, offer] of offers.entries()) {
      const lease = this.grantOne(offer, contents[index]!, caller);
      if (lease) leases.push(lease);
      else poolWorker.jobFinished();
    }
    if (leases.length === 0) return null;
    return {
      kind: "leases",
      leases,
      templates: this.contents.templates(leases, templates),
      book: records.book,
      reattach: jobs.lease,
    };
  }

  /** The worker says that it goes on. Takes `run`. */
  begun(id: BulkQueue.LeaseId, run: Capability): DurableQueue.Verdict {
    const lease = this.current(id);
    if (!lease || this.options.jobs.book.attempt(id.job)?.attempt !== id.attempt) {
      if (lease) this.finish(lease, "failed");
      run.release();
      return "stop";
    }
    // It is running there, as before.
    this.options.jobs.unfollow(lease);
    this.remove(lease);
    this.options.follow(id, run);
    return "goOn";
  }

  /** The worker says how they ended. Resolves when that is on disk, to jobs that are not wanted. */
  async ended(ends: readonly BulkQueue.LeaseEnd[]): Promise<readonly number[]> {
    const { jobs } = this.options;
    const { book, records, spool } = jobs;
    const logs: (AttemptLog | undefined)[] = [];
    const own = ends.filter((end) => this.current(end) !== undefined);
    for (const { attempt, job, log: printed } of own) {
      const isKept = printed.length === 0 || jobs.hasRoomForLog(job);
      const log = isKept ? printed : LOG_NOT_KEPT;
      const isWanted = log.length > 0 && book.attempt(job)?.attempt === attempt;
      const grown = isWanted ? spool.begin(job, attempt) : undefined;
      // What was told before, and could not be answered.
      if (grown && grown.length < log.length) grown.append(log.subarray(grown.length));
      logs.push(grown);
    }
    // What follows from ends may concern jobs that are yet to be taken in.
    if (!jobs.isWhole) await jobs.whole;
    if (logs.some((log) => log !== undefined)) await this.keepLogs(own);
    const over: [Lease, Outcome][] = [];
    for (const [index, end] of own.entries()) {
      const lease = this.current(end);
      if (!lease) continue;
      over.push([lease, end.cause === "succeeded" ? "ok" : "failed"]);
      const { attempt, begun, cause, job, output, reason, seconds } = end;
      const logSize = logs[index]?.length;
      book.ended(job, attempt, {
        // That it was cancelled counts if it was the book that did so.
        outcome: cause === "cancelled" ? "failed" : cause,
        ...(begun && { seconds }),
        ...{ output, reason },
        ...(logSize !== undefined && { logSize }),
      });
    }
    await records.promised();
    for (const [lease, outcome] of over) {
      if (this.granted.get(lease.job) !== lease) continue;
      this.finish(lease, outcome);
    }
    return [...this.notWanted];
  }

  /** The worker has leases of these jobs only. Resolves when it is on disk what follows. */
  async keep(these: readonly number[]): Promise<void> {
    const { jobs } = this.options;
    if (!jobs.isWhole) await jobs.whole;
    const kept = new Set(these);
    for (const lease of [...this.granted.values()]) {
      const { attempt, job } = lease;
      if (kept.has(job)) continue;
      this.finish(lease, "failed");
      jobs.book.ended(job, attempt, { outcome: "evicted", reason: "Its worker gave it back." });
    }
    await jobs.records.promised();
  }

  /** The worker's connection has ended, or it has given its queue up. */
  end(): void {
    const { jobs, poolWorker } = this.options;
    for (const lease of [...this.granted.values()]) {
      this.finish(lease, "disconnected");
      if (jobs.book.attempt(lease.job)?.attempt === lease.attempt) {
        jobs.book.outOfTouch(poolWorker.name, lease.job);
      }
    }
    this.isOver = true;
  }

  unwanted({ job }: Lease): void {
    this.notWanted.add(job);
  }

  over(lease: Lease): void {
    if (this.granted.get(lease.job) === lease) this.finish(lease, "disconnected");
  }

  private finish(lease: Lease, outcome: Outcome): void {
    const { jobs, onFinished, poolWorker } = this.options;
    jobs.unfollow(lease);
    this.remove(lease);
    poolWorker.jobFinished();
    onFinished(outcome);
  }

  private remove({ job }: Lease): void {
    this.granted.delete(job);
    this.notWanted.delete(job);
  }

  private grantOne(
    { attempt, job }: Offer,
    content: BulkQueue.LeaseContent | string,
    caller: Caller,
  ): BulkQueue.Lease | null {
    const { jobs, poolWorker } = this.options;
    const { book } = jobs;
    const { id } = job;
    if (book.attempt(id)?.attempt !== attempt) return null;
    if (typeof content === "string") {
      book.ended(id, attempt, { outcome: "failed", reason: content });
      return null;
    }
    if (caller.isCancelled || poolWorker.released || this.isOver) {
      book.ended(id, attempt, { outcome: "evicted", reason: "Its worker did not wait for it." });
      return null;
    }
    // The worker has not said yet how an attempt ended that was given up.
    const former = this.granted.get(id);
    if (former) this.finish(former, "failed");
    const lease = new Lease(id, attempt, this);
    this.granted.set(id, lease);
    jobs.follow(lease);
    const { outputs, timeout } = job.options;
    return {
      ...{ job: id, attempt, client: job.client, timeout: timeout ?? 0, content },
      ...(outputs && { outputs, outputLimit: jobs.outputLimit }),
    };
  }

  /** The lease if what its worker says of it counts. */
  private current({ attempt, job }: BulkQueue.LeaseId): Lease | undefined {
    const lease = this.granted.get(job);
    return lease?.attempt === attempt ? lease : undefined;
  }

  /** Puts their logs on disk. If that is full the worker waits, and keeps what it has. */
  private async keepLogs(ends: readonly BulkQueue.LeaseEnd[]): Promise<void> {
    const { log, spool } = this.options.jobs;
    for (let isNew = true; !this.isOver; isNew = false) {
      try {
        return await spool.write();
      } catch (error) {
        if (isNew) log.warn(`Logs of ${ends.length} jobs cannot be kept, and wait: ${error}`);
        await pause(RETRY_AFTER_MS, undefined, { ref: false });
      }
    }
  }
}
