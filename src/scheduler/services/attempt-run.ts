/**
 * An attempt at a durable job that its worker has, as the scheduler follows it: its log goes into
 * the spool, the files of its result into their store, its outcome into the book, and the worker is
 * told when it may forget all of them.
 *
 * States:
 *
 * - *offered*: the worker has been given it. When it says that it has begun, or that it cannot:
 *   *followed*.
 * - *followed*: log and outcome are read, then the files. When all of them are on disk, *ended*.
 * - *given up*: the book does not want it any more. The worker is told to stop, and waited for;
 *   what it says does not count.
 * - *ended*: the outcome is on disk, or does not count, and the worker may forget the attempt.
 * - *lost*: the connection has ended. The book decides what that means; a worker of ours comes back
 *   with a new `Job`.
 * - *detached*: somebody else follows the attempt, or the scheduler is about to end. Nothing that
 *   happens counts.
 */
import { setTimeout as pause } from "node:timers/promises";
import { DurableJob, Job, OutputUpload } from "../../api/index.js";
import { Backoff, type BackoffRange } from "../../async/index.js";
import type { Logger } from "../../console/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import type { JobBook } from "../jobs/job-book.js";
import type { AttemptReport } from "../jobs/types.js";
import type { AttemptLog } from "../state/attempt-log.js";
import type { JobRecords } from "../state/job-records.js";
import type { LogSpool } from "../state/log-spool.js";
import { type OutputStore, OutputsDamaged } from "../state/output-store.js";
import type { Follower } from "./durable-jobs.js";

/**
 * What a log may have in memory until it is on disk, in bytes: a worker that prints faster than
 * that waits.
 */
const TAIL_BYTES = 256 * 1024;

/** How long what cannot be kept waits until it is tried again. */
const RETRY_AFTER: BackoffRange = { minMs: 1000, maxMs: 15_000 };

/** Where the log of a client ends that has too much of logs. */
export const LOG_NOT_KEPT = Buffer.from(
  "\n[The rest of this log is not kept: its client's logs have reached the scheduler's --max-logs-size]\n",
);

export interface RunOptions {
  readonly book: JobBook;
  readonly records: JobRecords;
  readonly spool: LogSpool;
  readonly outputs: OutputStore;
  /** Bytes that the files may have. */
  readonly outputLimit: number;
  /** Whether its client may have more of logs. */
  hasRoomForLog(): boolean;
  /** See `DurableJobs`. */
  readonly whole: Promise<void>;
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

export class AttemptRun implements Follower {
  private isDetached = false;
  /**
   * When something of its log came, in seconds since the Unix epoch; null: not since it is
   * followed.
   */
  lastOutput: number | null = null;

  constructor(private readonly options: RunOptions) {}

  get job(): number {
    return this.options.job;
  }

  get attempt(): number {
    return this.options.attempt;
  }

  /** Follows it from now on. */
  start(): void {
    const { attempt, isBack, job, spool } = this.options;
    // So that there is something to read for who waits for it. Of one that is back, a part may be
    // on disk.
    if (!isBack) spool.begin(job, attempt);
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
    const { attempt, book, job, records, resumes, run, whole } = this.options;
    if ((await this.hasBegun()) && !this.isDetached && !book.begun(job, attempt)) this.stop();
    const [end, log] = await Promise.all([this.outcome(), this.copyLog()]);
    // What follows from its end may concern jobs that are yet to be taken in.
    await whole;
    if (log) await this.keep(() => log.close());
    const { files, ...said } = end;
    const report = files && this.isCurrent ? await this.copyFiles(said, files) : said;
    if (this.isDetached) return report;
    const logSize = log?.length;
    book.ended(job, attempt, logSize === undefined ? report : { ...report, logSize });
    await records.promised();
    // It may have ended its connection: then it asks when it is back.
    if (resumes) await DurableJob.settled(run).catch(() => {});
    return report;
  }

  /**
   * False if the worker says that it cannot begin: then its outcome says why. Rejects as
   * "disconnected" when it is lost.
   */
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
  private async outcome(): Promise<AttemptReport & { readonly files?: DurableJob.OutputStream }> {
    const { resumes, run, worker } = this.options;
    try {
      if (!resumes) return { outcome: "succeeded", output: await Job.result(run) };
      const { cause, output, outputs: files, reason } = await DurableJob.outcome(run);
      // That it was cancelled counts if it was the book that did so; else it has just not
      // succeeded.
      const outcome = cause === "cancelled" ? "failed" : cause;
      return { outcome, output, reason, ...(files && { files }) };
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

  /**
   * Reads the log to its end, as long as anybody wants it and its client may have more; undefined
   * if nobody did from the start.
   */
  private async copyLog(): Promise<AttemptLog | undefined> {
    const { attempt, isBack, job, log: logger, run, spool, worker } = this.options;
    if (!this.isCurrent) return undefined;
    const log = isBack ? await spool.grow(job, attempt) : spool.begin(job, attempt);
    try {
      for (;;) {
        const { data } = await Job.log(run, log.length);
        if (data.length === 0 || !this.isCurrent) return log;
        if (!this.options.hasRoomForLog()) {
          log.append(LOG_NOT_KEPT);
          return log;
        }
        log.append(data);
        this.lastOutput = Date.now() / 1000;
        if (log.tailSize > TAIL_BYTES) await this.keep(() => spool.write());
      }
    } catch (error) {
      const { kind, message } = RpcError.from(error);
      if (kind === "disconnected") throw error;
      logger.warn(`The log of job ${job} on ${quoted(worker)} is not complete: ${message}`);
      return log;
    }
  }

  /**
   * Has the files kept, as long as anybody wants them; what has come over an earlier connection
   * need not come again. The report is then what was said, or that they could not be had. Rejects
   * as "disconnected" when the worker is lost.
   */
  private async copyFiles(
    said: AttemptReport,
    { sha256, size }: DurableJob.OutputStream,
  ): Promise<AttemptReport> {
    const { attempt, job, outputLimit, outputs, run, worker } = this.options;
    if (size > outputLimit) {
      const reason = `Its files have ${size} bytes, and ${outputLimit} are allowed.`;
      return { ...said, outcome: "failed", output: "", reason };
    }
    try {
      await outputs.take({
        ...{ job, attempt, size, sha256, worker },
        read: (start, limit) => DurableJob.readOutputs(run, start, limit),
        put: (url, start, length) => OutputUpload.put(run, { url, start, length }),
        isWanted: () => this.isCurrent,
        persist: (write) => this.keep(write),
      });
      return said;
    } catch (error) {
      const { kind, message } = RpcError.from(error);
      if (kind === "disconnected" || this.isDetached) throw error;
      await this.dropFiles();
      const reason = `Its files cannot be had from its worker ${quoted(worker)}: ${message}`;
      return { outcome: "crashed", reason };
    } finally {
      // Who follows it next goes on with what is there.
      if (!this.isDetached && !this.isCurrent) await this.dropFiles();
    }
  }

  /** What cannot be removed now is when the store is swept. */
  private async dropFiles(): Promise<void> {
    const { attempt, job, log, outputs } = this.options;
    await outputs.drop(job, attempt).catch((error) => {
      log.warn(`What came of the files of job ${job} cannot be removed yet: ${error}`);
    });
  }

  /**
   * Puts log or files on disk. If that is full, its worker waits and keeps what it has, until there
   * is room.
   */
  private async keep(write: () => Promise<void>): Promise<void> {
    const backoff = new Backoff(undefined, undefined, RETRY_AFTER);
    for (let isNew = true; this.isCurrent; isNew = false) {
      backoff.attempt();
      try {
        return await write();
      } catch (error) {
        if (error instanceof OutputsDamaged || error instanceof RpcError) throw error;
        if (!this.isCurrent) return;
        const { job, log } = this.options;
        if (isNew) {
          log.warn(`What there is of job ${job} cannot be kept, and it waits: ${error}`);
        }
        await pause(backoff.failed(), undefined, { ref: false });
      }
    }
  }

  /** Whether what it says counts. */
  private get isCurrent(): boolean {
    const { attempt, book, job } = this.options;
    return !this.isDetached && book.attempt(job)?.attempt === attempt;
  }
}
