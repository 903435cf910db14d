/**
 * The durable jobs of a scheduler: the book with what it is given (records, spool, pools, time),
 * from the files in the state directory at the start to these files at the end.
 *
 * Life: *opened*, with files; *started*, when the jobs that workers had are known, and these are
 * waited for; *whole*, when all others that were on file are in their queues, too: not before then
 * are jobs given out, new ones taken, or anything decided about one, as all that needs the others,
 * and their order; *closed*, when nothing is written any more. A scheduler that is killed instead
 * has lost nothing that it has answered for.
 */

import { join } from "node:path";
import { AbleQueue } from "../../api/index.js";
import { deferred, Slices } from "../../async/index.js";
import type { Logger } from "../../console/index.js";
import { RpcError } from "../../rpc/index.js";
import { type BookOptions, JobBook } from "../jobs/job-book.js";
import { ShardedMap } from "../jobs/sharded-map.js";
import { type AttemptRecord, type JobHost, type JobRecord, OWN_ENDS } from "../jobs/types.js";
import type { LearnedEstimates } from "../pool/learned-estimates.js";
import type { Pool } from "../pool/pool.js";
import type { Ticket } from "../pool/ticket.js";
import { CONTEXTS } from "../state/backup-copy.js";
import { ContextStore } from "../state/context-store.js";
import { JobRecords } from "../state/job-records.js";
import { LogSpool } from "../state/log-spool.js";
import { openOutputs } from "../state/open-outputs.js";
import type { OutputStore } from "../state/output-store.js";
import { ActiveJobs } from "./active-jobs.js";
import { AttachedHistory } from "./attached-history.js";
import { Batches } from "./batches.js";
import type { ClientLimits } from "./client-limits.js";
import type { DurableSettings } from "./durable-settings.js";
import type { JobLines } from "./job-lines.js";
import { JobRevisions } from "./job-revisions.js";
import { JobTimer } from "./job-timer.js";
import { AWAY, HERE, takeIn } from "./jobs-on-file.js";
import type { PoolJob } from "./pool-job.js";
import { WatchedStore } from "./watched-store.js";

/** The directory of logs in the state directory. */
export const LOGS = "job-logs";

/**
 * From how many attempts on record it is learned at the start how long jobs take: some 50 ms for
 * the thread, 20 for the loop.
 */
const LEARNED_FROM = 10_000;

/** How often what a worker asks for at a time is to be queued. */
const ASKED_AHEAD = 3;

export interface DurableJobsOptions {
  /** The state directory. */
  readonly directory: string;
  /** 32 bytes, with which descriptions are encrypted. */
  readonly key: Uint8Array;
  readonly settings: DurableSettings;
  readonly clientLimits: ClientLimits;
  readonly log: Logger;
  /** Is told of each job that has ended. */
  readonly lines?: JobLines | undefined;
  onCommit?(seconds: number, records: number): void;
}

/** Who jobs come from, and where they go. */
export interface Cluster {
  readonly pools: ReadonlyMap<
    string,
    { readonly pool: Pool<PoolJob>; readonly learned: LearnedEstimates | undefined }
  >;
  /** Whether there is a client of that id: it may have been removed. */
  isClient(id: string): boolean;
}

/** Who follows an attempt that a worker has. */
export interface Follower {
  readonly job: number;
  readonly attempt: number;
  /** When something of its log came, in seconds since the Unix epoch; null: not yet. */
  readonly lastOutput: number | null;
  /** Follows it from now on. */
  start(): void;
  /** The book has given it up. */
  stop(): void;
  /** It is better off elsewhere, if it has not begun. */
  recall?(): void;
  /** Somebody else follows it, or the scheduler is about to end. */
  detach(): void;
}

export class DurableJobs {
  readonly revisions = new JobRevisions();
  readonly active: ActiveJobs;
  readonly book: JobBook;
  /** Of attached jobs; null if there is to be none. */
  readonly history: AttachedHistory | null;
  readonly batches: Batches;
  private readonly timer: JobTimer;
  private cluster: Cluster = { pools: new Map(), isClient: () => true };
  /** Of the queued ones. */
  private readonly tickets = new ShardedMap<number, Ticket<PoolJob>>();
  /** The attempts that are followed, by job. */
  private readonly current = new Map<number, Follower>();
  /** Also those that were given up, and whose workers are waited for. */
  private readonly runs = new Set<Follower>();
  /** Pools that jobs on file were for, and that there are none of. */
  readonly homeless = new Set<string>();
  /** The attempt that has ended last. */
  private lastEnded: AttemptRecord | undefined;
  private readonly becomesWhole = deferred();
  private readonly stopping = new AbortController();
  private wholeNow = false;

  /** Clients of the jobs on file. */
  private readonly owners = new Set<string>();

  private constructor(
    private readonly options: DurableJobsOptions,
    readonly records: JobRecords,
    readonly spool: LogSpool,
    /** The files of jobs' results. */
    readonly outputs: OutputStore,
    /** The local directories that jobs are built from. */
    readonly contexts: ContextStore,
  ) {
    this.active = new ActiveJobs(contexts, options.settings.keepFailed);
    const clock: BookOptions["clock"] = {
      wall: () => Date.now() / 1000,
      steady: () => performance.now() / 1000,
    };
    const store = new WatchedStore(records, {
      jobChanged: (job) => {
        this.revisions.changed(job.id);
        this.timer.changed();
        this.batches.jobChanged(job);
      },
      attemptChanged: (job, attempt) => this.attemptChanged(job, attempt),
    });
    this.book = new JobBook({ ...options.settings, clock, store, host: this.host() });
    const { clientLimits, settings } = options;
    this.history = settings.history ? new AttachedHistory(records, clientLimits.recordBytes) : null;
    this.timer = new JobTimer(this.book, clock.steady);
    this.batches = new Batches(this, (pool) => this.capacityOf(pool), {
      log: options.log,
      limits: clientLimits,
    });
  }

  /** Opens or makes the files. Rejects with a `StoreError` or the system's errors. */
  static async open(options: DurableJobsOptions): Promise<DurableJobs> {
    const { directory, key, log, onCommit, settings } = options;
    const records = await JobRecords.open({
      directory,
      key,
      onWarning: (warning) =>
        log.warn(`Records of jobs cannot be kept for now: ${warning.message}`),
      ...(onCommit && { onCommit }),
    });
    try {
      const spool = await LogSpool.open({
        directory: join(directory, LOGS),
        records,
        maxSize: settings.keepLogs,
        onWarning: (message) => log.warn(message),
      });
      try {
        const outputs = await openOutputs({
          ...settings.outputs,
          stateDir: directory,
          book: records.book,
          onInfo: (message) => log.info(message),
          onWarning: (message) => log.warn(message),
        });
        const contexts = new ContextStore({
          directory: join(directory, CONTEXTS),
          settings: settings.contexts,
          onWarning: (message) => log.warn(message),
        });
        return new DurableJobs(options, records, spool, outputs, contexts);
      } catch (error) {
        await spool.close();
        throw error;
      }
    } catch (error) {
      await records.close();
      throw error;
    }
  }

  /** Seconds for which a worker that is out of touch is waited for. */
  get lease(): number {
    return this.options.settings.lease;
  }

  /** Whether more may be kept of the log of a job, which its client's others count for, too. */
  hasRoomForLog(job: number): boolean {
    const client = this.book.job(job)?.client;
    const { logBytes } = this.options.clientLimits;
    return client === undefined || this.records.useOf(client).logs < logBytes;
  }

  /** Bytes that the files of one job's result may have. */
  get outputLimit(): number {
    return this.options.settings.outputs.limit;
  }

  /**
   * Clients with jobs on file that were removed. Those that wait may be left, if the scheduler was
   * killed just then.
   */
  get strangers(): string[] {
    const owners = new Set([...this.owners, ...this.batches.owners]);
    return [...owners].filter((id) => !this.cluster.isClient(id));
  }

  get log(): Logger {
    return this.options.log;
  }

  /** All that was on file is in the book, and in the pools. */
  get isWhole(): boolean {
    return this.wholeNow;
  }

  /**
   * Resolves when that is so. Rejects with a `StoreError`, and as "disconnected" if the scheduler
   * stops before.
   */
  get whole(): Promise<void> {
    return this.becomesWhole.promise;
  }

  /**
   * Takes in the jobs that workers have, so that these may come back; `whole` says when all others
   * are there, too.
   */
  async start(cluster: Cluster): Promise<void> {
    this.cluster = cluster;
    await this.batches.load();
    await takeIn(this.intake(), AWAY);
    await this.history?.closeFormer();
    this.takeInOthers().then(this.becomesWhole.resolve, this.becomesWhole.reject);
    // Who waits for it minds.
    this.whole.catch(() => {});
  }

  /** Decides nothing any more: connections are about to be closed, which is nobody's loss. */
  stop(): void {
    this.stopping.abort(new RpcError("disconnected", "The scheduler is shutting down"));
    this.timer.stop();
    this.history?.stop();
    this.batches.stop();
    for (const run of this.runs) run.detach();
  }

  /** Closes the files. What goes on goes on at its workers. */
  async close(): Promise<void> {
    this.stop();
    await this.spool.close();
    await this.outputs.close();
    await this.contexts.close();
    await this.records.close();
  }

  /** A new job could not be kept. */
  forget(job: JobRecord): void {
    this.active.leave(job);
    this.book.forget(job.id);
  }

  /** Follows an attempt from now on, instead of whoever did so before. */
  follow(run: Follower): void {
    const { job } = run;
    this.current.get(job)?.detach();
    this.current.set(job, run);
    this.runs.add(run);
    run.start();
  }

  /** An attempt is not followed any more. */
  unfollow(run: Follower): void {
    this.runs.delete(run);
    if (this.current.get(run.job) === run) this.current.delete(run.job);
  }

  /** A running job is not to begin, if it has not begun. */
  recall(job: number): void {
    this.current.get(job)?.recall?.();
  }

  private host(): JobHost {
    return {
      enqueue: (job) => this.enqueue(job),
      withdraw: ({ id }) => {
        this.tickets.get(id)?.cancel();
        this.tickets.delete(id);
      },
      stop: (job, { attempt }) => {
        const run = this.current.get(job.id);
        if (run?.attempt !== attempt) return;
        this.current.delete(job.id);
        run.stop();
      },
      isWanted: ({ client }) => this.cluster.isClient(client),
      ended: (job) => this.jobEnded(job),
    };
  }

  private enqueue(job: JobRecord): number {
    const client = this.cluster.pools.get(job.pool)?.pool.client(job.client);
    // Without its pool it stays on record, and is queued when a scheduler is started that has it.
    if (!client) {
      this.homeless.add(job.pool);
      return job.start ?? Date.now() / 1000;
    }
    const { urgent } = job;
    const ticket =
      job.start === null
        ? client.submit(job, { urgent })
        : client.restore(job, job.start, { urgent });
    this.tickets.set(job.id, ticket);
    return ticket.start;
  }

  private jobEnded(job: JobRecord): void {
    this.active.leave(job);
    const { lastEnded: last } = this;
    const isItsLast = last?.job === job.id && last.attempt === job.attempts;
    this.options.lines?.durableEnded(job, isItsLast ? last : undefined);
  }

  /**
   * When something of a running job's log came, in seconds since the Unix epoch; null if none did
   * since it is followed.
   */
  lastOutput(job: number): number | null {
    return this.current.get(job)?.lastOutput ?? null;
  }

  /** With what its workers ask for at a time: what they begin next is to be queued by then. */
  private capacityOf(name: string): number {
    let sum = 0;
    for (const worker of this.cluster.pools.get(name)?.pool.workers.values() ?? []) {
      sum += worker.capacity + ASKED_AHEAD * worker.appetite;
    }
    return sum;
  }

  /** Of a queued job of a pool that there is. */
  ticketOf(job: number): Ticket<PoolJob> | undefined {
    return this.tickets.get(job);
  }

  /**
   * In words, why a queued job will not run with the workers that there are; undefined if it may.
   */
  hindrance(job: JobRecord): string | undefined {
    if (job.state !== "queued") return undefined;
    const lacking = this.tickets.get(job.id)?.lacking() ?? [];
    if (lacking.length === 0) return undefined;
    const what = lacking.map(AbleQueue.describeAbility).join(" and ");
    return `It waits for a worker that can ${what}: none that is connected can.`;
  }

  /** A worker has taken a job out of its queue. */
  taken(job: number): void {
    this.tickets.delete(job);
  }

  private attemptChanged(job: JobRecord, attempt: AttemptRecord): void {
    this.revisions.changed(attempt.job);
    const { ended, outcome, started } = attempt;
    if (outcome === null || ended === null) return;
    this.lastEnded = attempt;
    if (started !== null && OWN_ENDS.includes(outcome)) {
      const learned = this.cluster.pools.get(job.pool)?.learned;
      const { client, hint } = job;
      learned?.learn({ client, hint, cached: attempt.cached, seconds: ended - started });
    }
    const log = this.spool.growingLog(attempt.job, attempt.attempt);
    if (!log) return;
    attempt.logSize = log.length;
    // Nobody adds to it any more, and who reads it is to come to its end.
    log.close().catch((error) => {
      this.options.log.warn(`The end of the log of job ${attempt.job} is lost: ${error}`);
      log.abandon();
    });
  }

  /** Has the pools learn from what is on record. */
  private async learn(): Promise<void> {
    const { pools } = this.cluster;
    if ([...pools.values()].every(({ learned }) => !learned)) return;
    const found = await this.records.durations(LEARNED_FROM);
    for (const { cached, pool, ...duration } of found.toReversed()) {
      pools.get(pool)?.learned?.learn({ ...duration, cached: cached === 1 });
    }
  }

  /** What jobs were built from that have ended and can be tried again. */
  private async lockContexts(): Promise<void> {
    const { keepFailed } = this.options.settings;
    const since = Date.now() / 1000 - keepFailed;
    for (const { client, context, ended } of await this.records.retriableContexts(since)) {
      this.contexts.lock(client, context);
      this.contexts.unlock(client, context, ended + keepFailed);
    }
  }

  private intake() {
    return {
      records: this.records,
      book: this.book,
      slices: new Slices(this.stopping.signal),
      onJob: (job: JobRecord, size: number) => {
        this.active.enter(job, size);
        this.batches.restored(job);
        if (!this.cluster.pools.has(job.pool)) this.homeless.add(job.pool);
        this.owners.add(job.client);
      },
    };
  }

  private async takeInOthers(): Promise<void> {
    const intake = this.intake();
    await Promise.all([this.learn(), takeIn(intake, HERE), this.lockContexts()]);
    this.contexts.start();
    await intake.slices.run(this.book.startInSteps());
    this.wholeNow = true;
    this.outputs.expect((job, attempt) => this.book.attempt(job)?.attempt === attempt);
    this.batches.start();
    this.timer.start();
    this.report();
  }

  private report(): void {
    const { book, log } = this;
    const [queued, waiting] = [book.count("queued"), book.count("waiting")];
    const away = book.count("out of touch");
    if (queued + waiting + away > 0) {
      log.info(
        `Durable jobs: ${queued} queued, ${waiting} wait for others, and ${away} are with workers that have ` +
          `${this.lease} s to come back`,
      );
    }
  }
}
