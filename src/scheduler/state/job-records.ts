/**
 * The records of jobs, as the scheduler has them: what `jobs/` says is to be kept, and what is on
 * file of jobs that have ended.
 *
 * Group commit: everything that is said in one turn of the event loop, and while an earlier commit
 * is on its way to the disk, becomes one transaction. So a thousand submits cost one sync, and a
 * single one waits for no timer.
 *
 * States of a commit:
 *
 * - *collecting*: changed records are noted, to be read once, at the end of a turn.
 * - *committing*: their rows are with the thread; what changes meanwhile is collected for the next
 *   one.
 * - *done*: who waits for it is told.
 * - *refused*: the disk is full, say. Jobs that were new in it are refused, one and all, as nobody
 *   was promised anything yet. All other changes go into the next commit, which is tried again
 *   until it is done: what runs goes on, and nobody is told of an end that is not on disk.
 */
import { join } from "node:path";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import type { AttemptRecord, JobRecord, JobState, JobStore } from "../jobs/types.js";
import type { BatchQueries } from "./batch-tables.js";
import type { ClientUse } from "./client-use.js";
import { copyDatabase } from "./copy-database.js";
import { type EndedRun, packRuns } from "./ended-runs.js";
import { JobsConnection } from "./jobs-connection.js";
import type {
  Changes,
  Duration,
  LogPiece,
  Page,
  PageQuery,
  RetriableContext,
  Unfinished,
  Usage,
} from "./jobs-messages.js";
import { attemptOf, attemptRow, jobOf, jobRow, STATES } from "./jobs-schema.js";
import { RecentDescriptions } from "./recent-descriptions.js";
import type { StoreError } from "./store-error.js";

/** The database's name in the state directory. */
export const JOBS_DATABASE = "jobs.db";

/**
 * How long what nobody waits for may wait to be written down, in ms: rows of batches that have
 * begun, and attached jobs that have ended.
 */
const UNHURRIED_MS = 1000;

/** So many attached jobs that have ended do not wait for others: some ms of work for the thread. */
const ENDED_AT_ONCE = 250;

/** How long a commit that was refused waits before it is tried again, in ms. */
const RETRY_AFTER_MS = 1000;

export interface JobRecordsOptions {
  readonly directory: string;
  /** 32 bytes, with which descriptions are encrypted. */
  readonly key: Uint8Array;
  /** Is told when a commit was refused and is tried again. */
  onWarning(warning: StoreError): void;
  /** Is told how long a commit took, in seconds, and how many records it wrote. */
  onCommit?(seconds: number, records: number): void;
  /** ms before a refused commit is tried again. Default: 1000. */
  readonly retryAfter?: number;
}

export interface RecordedJob {
  readonly job: JobRecord;
  readonly attempts: readonly AttemptRecord[];
}

/** Of a thread's answers about batches: those after which the file is another. */
type BatchChange = "openBatch" | "saveBatch" | "addBatchRows" | "moveJobs" | "removeBatchesBefore";

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

export class JobRecords implements JobStore {
  /** Rows of batches that are queued, and that nobody was told of: see `saveJob`. */
  private readonly unhurried = new Set<JobRecord>();
  private hurrying: NodeJS.Timeout | undefined;
  /** Attached jobs that have ended: those that wait for others, and those that do not. */
  private waitingRuns: EndedRun[] = [];
  private endedRuns: EndedRun[] = [];
  /** Jobs and attempts that have changed since they were last read. */
  private jobs = new Set<JobRecord>();
  private attempts = new Set<AttemptRecord>();
  private descriptions = new Map<number, Uint8Array>();
  private readonly recent = new RecentDescriptions();
  private erased: number[] = [];
  private pieces: LogPiece[] = [];
  /** Who waits for what was said so far. */
  private waiters: Waiter[] = [];
  /** Who submitted the jobs that are new. */
  private submitters = new Map<number, Waiter>();
  private readonly uses = new Map<string, ClientUse>();
  private lastId: number;
  private committing: Promise<void> | undefined;
  private clearing: Promise<unknown> = Promise.resolve();
  private closed = false;

  private constructor(
    private readonly writer: JobsConnection,
    private readonly reader: JobsConnection,
    private readonly options: JobRecordsOptions,
  ) {
    this.lastId = writer.lastId;
  }

  /** Opens the database in the directory, or makes it. Rejects with a `StoreError`. */
  static async open(options: JobRecordsOptions): Promise<JobRecords> {
    const { directory, key } = options;
    const path = join(directory, JOBS_DATABASE);
    const writer = await JobsConnection.open({ path, key, readonly: false });
    // Its own, so that a walk through millions of records keeps no commit waiting.
    const reader = await JobsConnection.open({ path, key, readonly: true });
    const records = new JobRecords(writer, reader, options);
    await records.readUses();
    return records;
  }

  /** 16 random bytes that tell these records from those of all other schedulers. */
  get book(): Uint8Array {
    return this.writer.book;
  }

  nextId(): number {
    return ++this.lastId;
  }

  /**
   * A batch's row that has just begun is written down when a worker gets it, when somebody looks at
   * the records, or soon: if that does not come about, it begins once more.
   */
  saveJob(job: JobRecord): void {
    if (job.batch !== null && job.attempts === 0 && job.state === "queued") {
      this.unhurried.add(job);
      this.hurrySoon();
      return;
    }
    this.unhurried.delete(job);
    this.jobs.add(job);
    this.commitSoon();
  }

  saveAttempt(_job: JobRecord, attempt: AttemptRecord): void {
    this.attempts.add(attempt);
    this.commitSoon();
  }

  /**
   * An attached job has ended of which nothing was said yet. It is written down when somebody looks
   * at the records, or soon.
   */
  saveEnded(run: EndedRun): void {
    this.waitingRuns.push(run);
    if (this.waitingRuns.length < ENDED_AT_ONCE) this.hurrySoon();
    else this.hurryRuns();
  }

  saveDescription(id: number, description: Uint8Array): void {
    this.descriptions.set(id, description);
    this.recent.add(id, description);
    this.commitSoon();
  }

  eraseDescription(id: number): void {
    this.erased.push(id);
    this.recent.forget(id);
    this.commitSoon();
  }

  eraseDescriptionsBefore(ended: number): void {
    this.recent.forgetAll();
    this.clear(() => this.writer.ask("eraseDescriptionsBefore", [ended]));
  }

  removeBefore(ended: number): void {
    this.recent.forgetAll();
    this.clear(() => this.writer.ask("removeBatchesBefore", [ended]));
    this.clear(() => this.writer.ask("removeBefore", [ended]));
  }

  /** A piece of a log is in the spool, and on disk there. */
  savePiece(piece: LogPiece): void {
    this.pieces.push(piece);
    this.commitSoon();
  }

  /**
   * Resolves when all that was said so far is on disk, however long that takes. Rejects when the
   * records are closed.
   */
  async synced(): Promise<void> {
    this.hurry();
    await this.promised();
  }

  /** The same for all but what nobody waits for: see `saveJob` and `saveEnded`. */
  async promised(): Promise<void> {
    if (!this.changed && !this.committing) return;
    await new Promise<void>((resolve, reject) => {
      this.waiters.push({ resolve, reject });
      this.commitSoon();
    });
  }

  /**
   * Resolves when a job that was new in this turn is on disk. Rejects with a `StoreError` if it
   * cannot be kept: then there is no such job, and nothing more is to be said of it.
   */
  submitted(job: number): Promise<void> {
    return new Promise((resolve, reject) => this.submitters.set(job, { resolve, reject }));
  }

  /** The description of a job; null if it was erased. */
  async description(id: number): Promise<Uint8Array | null> {
    return this.said(id) ?? (await this.writer.ask("description", [id]));
  }

  /** Descriptions of many jobs; in words why one cannot be read. What was erased is not in it. */
  async manyDescriptions(
    ids: readonly number[],
  ): Promise<ReadonlyMap<number, Uint8Array | string>> {
    const found = new Map<number, Uint8Array | string>();
    for (const id of ids) {
      const said = this.said(id);
      if (said) found.set(id, said);
    }
    const others = ids.filter((id) => !found.has(id));
    if (others.length === 0) return found;
    for (const [id, bytes] of await this.writer.ask("manyDescriptions", [others])) {
      found.set(id, bytes);
    }
    return found;
  }

  /** What is on file of a job, with all that was said so far. */
  async job(id: number): Promise<RecordedJob | null> {
    await this.synced();
    const found = await this.writer.ask("job", [id]);
    return found && recorded(found);
  }

  /** Bytes of the description of a job; 0 if it was erased. */
  async descriptionSize(id: number): Promise<number> {
    return this.descriptions.get(id)?.length ?? (await this.writer.ask("descriptionSize", [id]));
  }

  /** Newest first; with all that was said so far. */
  async page(query: PageQuery): Promise<{ jobs: RecordedJob[]; before: number | null }> {
    await this.synced();
    const { before, jobs }: Page = await this.reader.ask("page", [query]);
    return { jobs: jobs.map(recorded), before };
  }

  /** The client's job with that key; null if there is none. */
  async keyed(client: string, key: string): Promise<number | null> {
    await this.synced();
    return this.writer.ask("keyed", [client, key]);
  }

  /** Those of the jobs that have ended: whose they are, and the number of their state. */
  async ends(ids: readonly number[]) {
    await this.synced();
    return this.writer.ask("ends", [ids]);
  }

  /** Durable jobs in that state when the scheduler ended, from `after` on, in the order of ids. */
  unfinished(state: JobState, after: number, limit: number): Promise<Unfinished> {
    return this.reader.ask("unfinished", [STATES.indexOf(state), after, limit]);
  }

  /** The attached jobs that are running as far as is known here. */
  async attachedRunning(): Promise<RecordedJob[]> {
    await this.synced();
    return (await this.writer.ask("attachedRunning", [])).map(recorded);
  }

  async usage(since: number, until: number): Promise<readonly Usage[]> {
    await this.synced();
    return this.reader.ask("usage", [since, until]);
  }

  /** How long attempts took, up to so many of the last ones, the newest first. */
  durations(limit: number): Promise<readonly Duration[]> {
    return this.reader.ask("durations", [limit]);
  }

  /**
   * What jobs of clients were built from that ended after that moment without success, and can be
   * tried again.
   */
  retriableContexts(since: number): Promise<readonly RetriableContext[]> {
    return this.reader.ask("retriableContexts", [since]);
  }

  /** Pieces of a log that end after `start`, in order. */
  async logPieces(job: number, attempt: number, start: number, limit: number) {
    await this.synced();
    return this.reader.ask("pieces", [job, attempt, start, limit]);
  }

  /** For batches: what changes in order, and what is read beside. */
  get batches() {
    const { reader, writer } = this;
    return {
      change: async <M extends BatchChange>(method: M, ...args: Parameters<BatchQueries[M]>) => {
        const answer = await writer.ask(method, args);
        if (method === "openBatch" || method === "addBatchRows") await this.readUses();
        return answer;
      },
      read: <M extends Exclude<keyof BatchQueries, BatchChange>>(
        method: M,
        ...args: Parameters<BatchQueries[M]>
      ) => reader.ask(method, args),
    };
  }

  /** Jobs of a batch that have ended, in the order of their ends, from behind that one on. */
  async endedInBatch(batch: number, after: number, limit: number): Promise<RecordedJob[]> {
    await this.synced();
    return (await this.reader.ask("endedInBatch", [batch, after, limit])).map(recorded);
  }

  /**
   * For the spool, about its segments: what is in them, and which logs or pieces are no longer
   * where they were.
   */
  get segments() {
    const { writer } = this;
    return {
      sizes: () => writer.ask("segmentSizes", []),
      pieces: (segment: number) => writer.ask("segmentPieces", [segment]),
      dropLogs: async (logs: readonly (readonly [number, number])[]) => {
        await writer.ask("dropLogs", [logs]);
        await this.readUses();
      },
      movePieces: (pieces: readonly LogPiece[], from: number) =>
        writer.ask("movePieces", [pieces, from]),
    };
  }

  /** What a client has on disk, as of the last commit. */
  useOf(client: string): ClientUse {
    return this.uses.get(client) ?? { client, records: 0, logs: 0 };
  }

  /** The same of all clients that have something. */
  get allUses(): Iterable<ClientUse> {
    return this.uses.values();
  }

  /**
   * Copies the database to a file that must not exist yet, while it is in use: with all that was
   * said so far. Rejects as `copyDatabase` does.
   */
  async backup(to: string, signal?: AbortSignal): Promise<void> {
    await this.synced();
    await copyDatabase({ from: join(this.options.directory, JOBS_DATABASE), to }, signal);
  }

  /** What was said is committed if it can be; who still waits after that is told. */
  async close(): Promise<void> {
    this.closed = true;
    this.hurry();
    await this.committing;
    await this.clearing;
    await this.reader.close();
    // The last that closes empties the write-ahead log, which a reader cannot.
    await this.writer.close();
  }

  /** A description that need not be read from the disk. */
  private said(id: number): Uint8Array | undefined {
    return this.recent.get(id) ?? this.descriptions.get(id);
  }

  private hurrySoon(): void {
    this.hurrying ??= setTimeout(() => this.hurry(), UNHURRIED_MS).unref();
  }

  private hurryRuns(): void {
    const runs = this.waitingRuns;
    if (runs.length === 0) return;
    this.waitingRuns = [];
    for (const run of runs) this.endedRuns.push(run);
    this.commitSoon();
  }

  private hurry(): void {
    clearTimeout(this.hurrying);
    this.hurrying = undefined;
    this.hurryRuns();
    if (this.unhurried.size === 0) return;
    for (const job of this.unhurried) this.jobs.add(job);
    this.unhurried.clear();
    this.commitSoon();
  }

  private get changed(): boolean {
    return (
      this.jobs.size > 0 ||
      this.attempts.size > 0 ||
      this.erased.length > 0 ||
      this.pieces.length > 0 ||
      this.endedRuns.length > 0 ||
      this.waiters.length > 0
    );
  }

  private commitSoon(): void {
    this.committing ??= this.commitAll().finally(() => {
      this.committing = undefined;
      if (this.changed && !this.closed) this.commitSoon();
    });
  }

  private async commitAll(): Promise<void> {
    while (this.changed) {
      await nextTurn();
      const refusal = await this.commit();
      if (!refusal) continue;
      this.options.onWarning(refusal);
      if (this.closed) {
        for (const { reject } of this.waiters.splice(0)) reject(refusal);
        return;
      }
      await pause(this.options.retryAfter ?? RETRY_AFTER_MS);
    }
  }

  /** One commit. Returns why it was refused, if changes are left that have to be tried again. */
  private async commit(): Promise<StoreError | undefined> {
    const { attempts, descriptions, endedRuns, erased, jobs, pieces, submitters, waiters } = this;
    this.jobs = new Set();
    this.attempts = new Set();
    this.descriptions = new Map();
    this.erased = [];
    this.pieces = [];
    this.endedRuns = [];
    this.submitters = new Map();
    this.waiters = [];
    const changes: Changes = {
      jobs: Array.from(jobs, jobRow),
      attempts: Array.from(attempts, attemptRow),
      descriptions: [...descriptions],
      erased,
      pieces,
      ended: packRuns(endedRuns),
      lastId: this.lastId,
    };
    const began = performance.now();
    try {
      this.noteUses(await this.writer.ask("commit", [changes]));
    } catch (error) {
      const isNew = (id: number) => descriptions.has(id);
      for (const job of jobs) if (!isNew(job.id)) this.jobs.add(job);
      for (const attempt of attempts) if (!isNew(attempt.job)) this.attempts.add(attempt);
      this.erased = [...erased.filter((id) => !isNew(id)), ...this.erased];
      this.pieces = [...pieces, ...this.pieces];
      this.endedRuns = [...endedRuns, ...this.endedRuns];
      this.waiters = [...waiters, ...this.waiters];
      for (const id of descriptions.keys()) this.recent.forget(id);
      for (const { reject } of submitters.values()) reject(error);
      // Without the new jobs there may be nothing to try again, or it may fit.
      return descriptions.size > 0 ? undefined : (error as StoreError);
    }
    this.options.onCommit?.(
      (performance.now() - began) / 1000,
      jobs.size + attempts.size + pieces.length + endedRuns.length,
    );
    for (const { resolve } of submitters.values()) resolve();
    for (const { resolve } of waiters) resolve();
    return undefined;
  }

  private noteUses(uses: readonly ClientUse[]): void {
    for (const use of uses) this.uses.set(use.client, use);
  }

  /** After something that may have changed what clients have, other than a commit. */
  private async readUses(): Promise<void> {
    this.noteUses(await this.writer.ask("clientUses", []));
  }

  /** Has old records cleared away, a few at a time, so that commits get their turns. */
  private clear(step: () => Promise<boolean>): void {
    const run = async (): Promise<void> => {
      await this.synced();
      while (!this.closed && (await step()));
      if (!this.closed) await this.readUses();
    };
    // What is not cleared away today is tomorrow.
    this.clearing = this.clearing.then(run).catch((error) => this.options.onWarning(error));
  }
}

function recorded({ job, attempts }: Page["jobs"][number]): RecordedJob {
  return { job: jobOf(job), attempts: attempts.map(attemptOf) };
}
