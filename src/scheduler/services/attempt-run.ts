/**
 * An attempt at a durable job that its worker has, as the scheduler follows it: its log goes into the spool, its outcome into the
 * book, and the worker is told when it may forget both.
 *
 * States:
 *
 * - *offered*: the worker has been given it. When it says that it has begun, or that it cannot: *followed*.
 * - *followed*: log and outcome are read. When the outcome has come and all of the log is on disk, *ended*.
 * - *given up*: the book does not want it any more. The worker is told to stop, and waited for; what it says does not count.
 * - *ended*: the outcome is on disk, or does not count, and the worker may forget the attempt.
 * - *lost*: the connection has ended. The book decides what that means; a worker of ours comes back with a new `Job`.
 * - *detached*: somebody else follows the attempt, or the scheduler is about to end. Nothing that happens counts.
 */
import { setTimeout as pause } from "node:timers/promises";
import { DurableJob, Job } from "../../api/index.js";
import type { Logger } from "../../console/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import type { JobBook } from "../jobs/job-book.js";
import type { AttemptReport } from "../jobs/types.js";
import type { AttemptLog } from "../state/attempt-log.js";
import type { JobRecords } from "../state/job-records.js";
import type { LogSpool } from "../state/log-spool.js";

/** What a log may have in memory until it is on disk, in bytes: a worker that prints faster than that waits. */
const TAIL_BYTES = 256 * 1024;

/** How long a log that cannot be written waits until it is tried again, in ms. */
const RETRY_AFTER_MS = 1000;

export interface RunOptions {
  readonly book: JobBook;
  readonly records: JobRecords;
  readonly spool: LogSpool;
  readonly log: Logger;
  readonly job: number;
  readonly attempt: number;
  readonly worker: string;
  /** It is a worker of ours, whose `Job` is a `DurableJob`. */
  readonly resumes: boolean;
  /** It comes from an earlier connection, so that there may be a part of its log. */
  readonly isBack: boolean;
  /** Its `Job`; taken. */
  readonly run: Capability;
  /** The worker is done with it, or is lost, as far as is known here. */
  onEnded(how: "ok" | "failed" | "disconnected"): void;
}

export class AttemptRun {
  private isDetached = false;

  constructor(private readonly options: RunOptions) {}

  get job(): number {
    return this.options.job;
  }

  get attempt(): number {
    return this.options.attempt;
  }

  /** Follows it from now on. */
  start(): void {
    void this.follow();
  }

  /** The book has given it up: its worker is to stop. */
  stop(): void {
    if (this.isDetached) return;
    // Who cannot be told is told when it is back.
    Job.cancel(this.options.run).catch(() => {});
  }

  detach(): void {
    this.isDetached = true;
  }

  private async follow(): Promise<void> {
    const { book, job, log, onEnded, run, worker } = this.options;
    let how: Parameters<typeof onEnded>[0] = "disconnected";
    try {
      const report = await this.runThrough();
      how = report.outcome === "succeeded" ? "ok" : "failed";
    } catch (error) {
      if (this.isDetached) return;
      const { kind, message } = RpcError.from(error);
      if (kind !== "disconnected") log.error(`Cannot follow job ${job}: ${message}`);
      if (this.isCurrent) book.outOfTouch(worker, job);
    } finally {
      run.release();
      onEnded(how);
    }
  }

  private async runThrough(): Promise<AttemptReport> {
    const { attempt, book, job, records, resumes, run } = this.options;
    if ((await this.hasBegun()) && !this.isDetached && !book.begun(job, attempt)) this.stop();
    const [report, log] = await Promise.all([this.outcome(), this.copyLog()]);
    if (log) await this.keep(() => log.close());
    if (this.isDetached) return report;
    const logSize = log?.length;
    book.ended(job, attempt, logSize === undefined ? report : { ...report, logSize });
    await records.synced();
    // It may have ended its connection: then it asks when it is back.
    if (resumes) await DurableJob.settled(run).catch(() => {});
    return report;
  }

  /** False if the worker says that it cannot begin: then its outcome says why. Rejects as "disconnected" when it is lost. */
  private async hasBegun(): Promise<boolean> {
    const { resumes, run } = this.options;
    try {
      if (resumes) await DurableJob.begun(run);
      return true;
    } catch (error) {
      if (RpcError.from(error).kind === "disconnected") throw error;
      return false;
    }
  }

  /** Rejects as "disconnected" when the worker is lost. */
  private async outcome(): Promise<AttemptReport> {
    const { resumes, run, worker } = this.options;
    try {
      if (!resumes) return { outcome: "succeeded", output: await Job.result(run) };
      const { cause, output, reason } = await DurableJob.outcome(run);
      // That it was cancelled counts if it was the book that did so; else it has just not succeeded.
      return { outcome: cause === "cancelled" ? "failed" : cause, output, reason };
    } catch (error) {
      const { kind, message } = RpcError.from(error);
      if (kind === "disconnected") throw error;
      if (kind !== "unimplemented" || !resumes) return { outcome: "failed", reason: message };
      // It has asked for durable jobs and does not know them, which is no fault of the job.
      this.stop();
      const reason = `Its worker ${quoted(worker)} cannot say what becomes of it: ${message}`;
      return { outcome: "crashed", reason };
    }
  }

  /** Reads the log to its end, as long as anybody wants it; undefined if nobody did from the start. */
  private async copyLog(): Promise<AttemptLog | undefined> {
    const { attempt, isBack, job, log: logger, run, spool, worker } = this.options;
    if (!this.isCurrent) return undefined;
    const log = isBack ? await spool.grow(job, attempt) : spool.begin(job, attempt);
    try {
      for (;;) {
        const { data } = await Job.log(run, log.length);
        if (data.length === 0 || !this.isCurrent) return log;
        log.append(data);
        if (log.tailSize > TAIL_BYTES) await this.keep(() => spool.write());
      }
    } catch (error) {
      const { kind, message } = RpcError.from(error);
      if (kind === "disconnected") throw error;
      logger.warn(`The log of job ${job} on ${quoted(worker)} is not complete: ${message}`);
      return log;
    }
  }

  /** Puts log on disk. If that is full, its worker waits and keeps what it has, until there is room. */
  private async keep(write: () => Promise<void>): Promise<void> {
    for (let isNew = true; this.isCurrent; isNew = false) {
      try {
        return await write();
      } catch (error) {
        const { job, log } = this.options;
        if (isNew) log.warn(`The log of job ${job} cannot be kept, and it waits: ${error}`);
        await pause(RETRY_AFTER_MS, undefined, { ref: false });
      }
    }
  }

  /** Whether what it says counts. */
  private get isCurrent(): boolean {
    const { attempt, book, job } = this.options;
    return !this.isDetached && book.attempt(job)?.attempt === attempt;
  }
}
