/**
 * A connected worker and durable jobs: it is offered new ones, and has others from earlier
 * connections.
 *
 * An attempt is on disk before its worker gets the description: so one that runs anywhere is always
 * known, and its number is a fence against whatever was said of an earlier one.
 */
import type { DurableQueue } from "../../api/index.js";
import {
  type Caller,
  type Capability,
  type DetachedPointer,
  detachedFromBytes,
} from "../../rpc/index.js";
import type { PoolWorker } from "../pool/pool-worker.js";
import { AttemptRun } from "./attempt-run.js";
import type { DurableJobs } from "./durable-jobs.js";
import { Leases } from "./leases.js";
import type { DurableRecord, PoolJob } from "./pool-job.js";
import type { Outcome } from "./worker-session.js";

export interface DurableSessionOptions {
  readonly jobs: DurableJobs;
  readonly pool: string;
  readonly poolWorker: PoolWorker<PoolJob>;
  onFinished(outcome: Outcome): void;
}

/** What a worker is given. */
export interface Offered {
  readonly descr: DetachedPointer;
  readonly assignment: DurableQueue.DurableAssignment;
}

export class DurableSession {
  /** The jobs that it has from before. */
  private readonly resumed = new Set<number>();
  private hasAsked = false;

  readonly leases: Leases;

  constructor(private readonly options: DurableSessionOptions) {
    const { jobs, onFinished, poolWorker } = options;
    this.leases = new Leases({
      ...{ jobs, onFinished, poolWorker },
      follow: (id, run) => this.follow({ ...id, run, resumes: true, isBack: false }),
    });
  }

  /** The worker asks for jobs: it has told all that it has from before. */
  asked(): void {
    if (this.hasAsked) return;
    this.hasAsked = true;
    const { jobs, pool, poolWorker } = this.options;
    const { book } = jobs;
    // Another pool's worker of the same name is another one.
    book.returned(poolWorker.name, ({ job }) => {
      return this.resumed.has(job) || book.job(job)?.pool !== pool;
    });
  }

  /** See `DurableQueueService.resume`. */
  async resume({ attempt, book, job, run, state }: DurableQueue.HeldAttempt) {
    const { jobs, pool, poolWorker } = this.options;
    // It ends an attempt, which may concern jobs that are yet to be taken in.
    if (state === "crashed") await jobs.whole;
    const of = jobs.book.job(job)?.pool;
    // One whose pool has another name now goes on where it is, whatever becomes of those that wait.
    const isHere = of === pool || (of !== undefined && jobs.homeless.has(of));
    const isOurs = isHere && Buffer.from(jobs.records.book).equals(book);
    const verdict =
      isOurs && !this.hasAsked
        ? jobs.book.resume(poolWorker.name, { job, attempt, state })
        : "stop";
    if (verdict === "stop") {
      run?.release();
    } else {
      this.resumed.add(job);
      poolWorker.jobResumed();
      this.follow({ job, attempt, run: run!, resumes: true, isBack: true });
    }
    await jobs.records.promised();
    return verdict;
  }

  /**
   * The pool has found the job for the worker, whose `run` (taken, unless the answer is null) is
   * how it will run it. Null if it is not to have it after all, as the job was cancelled meanwhile,
   * or the worker does not wait any more.
   *
   * @param how `resumes`: whether it knows durable jobs
   */
  async offer(
    job: DurableRecord,
    run: Capability,
    how: { readonly resumes: boolean; readonly cached: boolean },
    caller: Caller,
  ): Promise<Offered | null> {
    const { jobs, poolWorker } = this.options;
    const { book, records } = jobs;
    const { id } = job;
    jobs.taken(id);
    const attempt = book.offer(id, { worker: poolWorker.name, ...how })?.attempt;
    if (attempt === undefined) return null;
    const [description] = await Promise.all([this.description(job), records.promised()]);
    if (book.attempt(id)?.attempt !== attempt) {
      if (typeof description !== "string") description.release();
      return null;
    }
    if (typeof description === "string") {
      book.ended(id, attempt, { outcome: "failed", reason: description });
      return null;
    }
    if (caller.isCancelled || poolWorker.released) {
      description.release();
      book.ended(id, attempt, { outcome: "evicted", reason: "Its worker did not wait for it." });
      return null;
    }
    this.follow({ job: id, attempt, run, resumes: how.resumes, isBack: false });
    const { outputs, timeout } = job.options;
    const { lease: reattach } = jobs;
    return {
      descr: description,
      assignment: {
        ...{ job: id, attempt, timeout: timeout ?? 0, reattach, book: records.book },
        ...(outputs && { outputs, outputLimit: jobs.outputLimit }),
      },
    };
  }

  /** The description, or in words why there is none. */
  private async description(job: DurableRecord): Promise<DetachedPointer | string> {
    const { batches, records } = this.options.jobs;
    try {
      if (job.batch !== null) return await batches.description(job);
      const bytes = await records.description(job.id);
      return bytes ? detachedFromBytes(bytes) : "Its description is not on record any more.";
    } catch (error) {
      const why = "was the scheduler's key replaced? Submit the job again";
      return `Its description cannot be read (${error}): ${why}.`;
    }
  }

  private follow(of: {
    readonly job: number;
    readonly attempt: number;
    readonly run: Capability;
    readonly resumes: boolean;
    readonly isBack: boolean;
  }): void {
    const { jobs, onFinished, poolWorker } = this.options;
    const { book, log, outputLimit, outputs, records, spool, whole } = jobs;
    const run: AttemptRun = new AttemptRun({
      ...of,
      book,
      records,
      spool,
      outputs,
      outputLimit,
      hasRoomForLog: () => jobs.hasRoomForLog(of.job),
      whole,
      log,
      worker: poolWorker.name,
      onEnded: (outcome) => {
        jobs.unfollow(run);
        poolWorker.jobFinished();
        onFinished(outcome);
      },
    });
    jobs.follow(run);
  }
}
