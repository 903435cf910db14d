/**
 * The batches of a scheduler: begins their jobs as there is room for them, ends them, and brings
 * them back after a restart.
 *
 * Rows stay on disk until their turn is near, and become ordinary durable jobs then, a few more
 * than their pool can run. Where a batch stands follows from what is on record of its jobs, so that
 * no moment is a bad one to be killed: of a row there is a job or not.
 */
import { setTimeout as pause } from "node:timers/promises";
import { Batches as Api } from "../../api/index.js";
import { Mutex, Slices } from "../../async/index.js";
import type { Logger } from "../../console/index.js";
import { type DetachedPointer, detachedFromBytes, RpcError } from "../../rpc/index.js";
import type { EndState, LiveState } from "../batches/index.js";
import { checkSubmission } from "../jobs/submission.js";
import type { JobRecord, Place, RowSubmission } from "../jobs/types.js";
import type { BatchRow } from "../state/batch-tables.js";
import { BatchRows } from "./batch-rows.js";
import { type ClientLimits, HINT_BYTES } from "./client-limits.js";
import type { DurableJobs } from "./durable-jobs.js";
import { LiveBatch } from "./live-batch.js";
import type { DurableRecord } from "./pool-job.js";

/** Jobs beyond those that a pool can run at a time, so that no worker waits for the next one. */
const AHEAD = 32;

/** How often who watches a batch is told of changes at most, in ms. */
const TELL_EVERY_MS = 50;

/** How long what could not be read or written waits until it is tried again, in ms. */
const RETRY_AFTER_MS = 1000;

export class Batches {
  readonly rows: BatchRows;
  /** Changes of which batches there are come one after the other. */
  readonly changing = new Mutex();
  /** Those that have not ended, in the order of their ids. */
  private readonly live = new Map<number, LiveBatch>();
  /** Of jobs that are being tried again: how they had ended. */
  private readonly before = new Map<number, EndState>();
  private readonly changed = new Set<number>();
  private telling: NodeJS.Timeout | undefined;
  private isStopped = false;
  private hasStarted = false;

  constructor(
    private readonly jobs: DurableJobs,
    /** Jobs that the workers of a pool can run at a time. */
    private readonly capacityOf: (pool: string) => number,
    private readonly options: {
      readonly log: Logger;
      readonly limits: Pick<ClientLimits, "jobBytes">;
    },
  ) {
    this.rows = new BatchRows(jobs.records);
  }

  /** Takes in those that have not ended; before the jobs are. */
  async load(): Promise<void> {
    for (const row of await this.jobs.records.batches.read("unfinishedBatches")) {
      await this.loadOne(row).catch((error) => {
        this.options.log.error(
          `Batch ${row.id} cannot go on: ${error}. Was the scheduler's key replaced?`,
        );
      });
    }
  }

  /** A job that had not ended was found on record. */
  restored(job: DurableRecord): void {
    if (job.batch === null) return;
    this.live.get(job.batch)?.run.jobChanged(job.id, job.row!, null, liveState(job.state));
  }

  /** All jobs are back. */
  start(): void {
    this.hasStarted = true;
    for (const batch of this.live.values()) this.settle(batch);
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.telling);
  }

  /** One that has not ended. */
  get(id: number): LiveBatch | undefined {
    return this.live.get(id);
  }

  /** The clients of those that have not ended. */
  get owners(): string[] {
    return Array.from(this.live.values(), ({ row }) => row.client);
  }

  /** Those of a client that have not ended. */
  of(client: string): LiveBatch[] {
    return [...this.live.values()].filter(({ row }) => row.client === client);
  }

  /**
   * A job was changed: it is at most noted here, as the book is not to be called before it is done.
   */
  jobChanged(job: JobRecord): void {
    if (job.batch === null) return;
    const batch = this.live.get(job.batch);
    if (!batch) return;
    const state = endOf(job.state) ?? liveState(job.state);
    const isEnd = endOf(job.state) !== null;
    if (isEnd && job.batchEnd !== null) return;
    const known = batch.run.jobs.get(job.id) ?? this.before.get(job.id) ?? null;
    if (known === state) return;
    this.before.delete(job.id);
    job.batchEnd = isEnd ? ++batch.last : null;
    batch.run.jobChanged(job.id, job.row!, known, state);
    this.settle(batch);
  }

  get limits(): Pick<ClientLimits, "jobBytes"> {
    return this.options.limits;
  }

  /** The description of a batch's job. Rejects with an `Error` that says why there is none. */
  async description(job: DurableRecord): Promise<DetachedPointer> {
    const batch = this.live.get(job.batch!);
    if (!batch) throw new Error("its batch is not on record any more");
    const { template } = batch.made;
    const row = await this.rows.row(batch.id, job.row!, template.columns.length);
    if (!row) throw new Error("its row is not on record any more");
    const { jobBytes } = this.options.limits;
    return detachedFromBytes(Api.describeRow(template, row.values, jobBytes));
  }

  /**
   * A job that goes on, or has ended this moment, is a batch's from now on instead of another's;
   * nothing else is.
   */
  adopt(job: DurableRecord | undefined, place: Place): void {
    if (!job || job.batch === null) return;
    const from = this.live.get(job.batch);
    // Which tells its new batch, as every change does.
    if (!this.jobs.book.adopt(job.id, place) || !from) return;
    from.run.left(job.id);
    this.settle(from);
  }

  /** Begins a batch that is on disk. */
  add(batch: LiveBatch): void {
    this.live.set(batch.id, batch);
    this.tell(batch.id);
  }

  /**
   * Brings one back that has ended, or finds it. Jobs that have not ended well are tried again if
   * it goes on.
   */
  async revive(row: BatchRow): Promise<LiveBatch> {
    return this.live.get(row.id) ?? (await this.loadOne(row));
  }

  /**
   * Has a batch go on, with what ended badly in it tried again. Resolves to how many jobs that are,
   * when it is on disk.
   */
  async goOn(batch: LiveBatch): Promise<number> {
    const { records } = this.jobs;
    await records.synced();
    const now = Date.now() / 1000;
    const again = await records.batches.read("batchFailures", batch.id, now);
    await this.resume(batch, again, { again: now });
    this.settle(batch);
    return again.length;
  }

  /** Tries some jobs of a batch again at once. Resolves to how many, when that is on disk. */
  async retryJobs(batch: LiveBatch, ids: readonly number[]): Promise<number> {
    batch.run.hold();
    try {
      await this.resume(batch, [], {});
      let count = 0;
      for (const id of ids) if (await this.tryAgain(batch, id)) count++;
      await this.jobs.records.synced();
      return count;
    } finally {
      batch.run.triedAgain();
      this.settle(batch);
    }
  }

  /** Ends a batch, with `andRunning` what runs, too. Resolves when that is on disk. */
  async cancel(batch: LiveBatch, reason: string, andRunning = true): Promise<void> {
    if (andRunning || batch.run.halt === null) {
      batch.run.stopFor(andRunning ? "cancelled" : "stopped", reason);
    }
    try {
      await this.halt(batch);
    } catch (error) {
      // It is halted all the same, and says so on disk as soon as that takes it.
      this.settle(batch);
      throw error;
    }
    await this.jobs.records.synced();
  }

  /** The client was removed. */
  async removeClient(client: string, cancelRunning: boolean): Promise<void> {
    for (const batch of this.of(client)) {
      await this.cancel(batch, "The client was removed.", cancelRunning);
    }
  }

  /** A pool has another name now. Resolves when its batches are for that on disk, too. */
  async movePool(from: string, to: string): Promise<void> {
    for (const batch of this.inPool(from)) {
      // What is saved has the number of rows, too.
      await batch.adding.run(async () => {
        await this.save(batch, { pool: to });
      });
      this.settle(batch);
    }
  }

  /** A pool was given up. */
  async cancelPool(pool: string, reason: string): Promise<void> {
    for (const batch of this.inPool(pool)) await this.cancel(batch, reason);
  }

  /** Those of a pool that have not ended. */
  inPool(pool: string): LiveBatch[] {
    return [...this.live.values()].filter(({ row }) => row.pool === pool);
  }

  /** A number that is another one after the batch's next change. */
  tell(batch: number): void {
    this.changed.add(batch);
    this.telling ??= setTimeout(() => {
      this.telling = undefined;
      for (const each of this.changed) this.jobs.revisions.changed(each);
      this.changed.clear();
    }, TELL_EVERY_MS).unref();
  }

  /** Something has happened: what follows from it is done soon. */
  settle(batch: LiveBatch): void {
    this.tell(batch.id);
    batch.isChanged = true;
    if (batch.isPumping || !this.hasStarted || this.isStopped) return;
    batch.isPumping = true;
    setImmediate(() => void this.pumpAll(batch));
  }

  /**
   * Has a batch as it is to be kept, with this changed; what it says is the newest. If that is
   * refused, the change is taken back, so that it can be asked for again.
   */
  async save(batch: LiveBatch, change: Partial<BatchRow>): Promise<void> {
    const before = { ...batch.row };
    Object.assign(batch.row, change);
    try {
      await this.jobs.records.batches.change("saveBatch", { ...batch.row });
    } catch (error) {
      for (const name of Object.keys(change) as (keyof BatchRow)[]) {
        // Somebody may have changed it once more.
        if (batch.row[name] === change[name]) Object.assign(batch.row, { [name]: before[name] });
      }
      throw error;
    }
  }

  /** Goes on in memory and on disk: in both, or in none of them. */
  private async resume(
    batch: LiveBatch,
    again: readonly number[],
    change: Partial<BatchRow>,
  ): Promise<void> {
    const { halt } = batch.run;
    const hadEnded = batch.row.ended !== null;
    batch.run.goOn(again);
    try {
      await this.save(batch, { ...change, halt: 0, reason: "", ended: null, counts: "" });
    } catch (error) {
      if (halt) batch.run.stopFor(halt.halt, halt.reason);
      if (hadEnded) this.live.delete(batch.id);
      throw error;
    }
  }

  private async loadOne(row: BatchRow): Promise<LiveBatch> {
    const { records } = this.jobs;
    await records.synced();
    const [template, before, jobs, again] = await Promise.all([
      records.batches.read("batchTemplate", row.id),
      // As long as rows come, what it has done of them counts.
      row.closed ? null : records.batches.read("batchBefore", row.id),
      records.batches.read("batchJobs", row.id, row.again),
      row.again > 0 && row.halt === 0
        ? records.batches.read("batchFailures", row.id, row.again)
        : [],
    ]);
    if (!template) throw new Error("there is no template of it");
    const batch = makeBatch(row, template);
    if (!batch.made.fresh) batch.previous = before;
    batch.restore(jobs, again);
    this.live.set(row.id, batch);
    return batch;
  }

  private async pumpAll(batch: LiveBatch): Promise<void> {
    while (batch.isChanged && !this.isStopped) {
      batch.isChanged = false;
      await this.pump(batch);
    }
    batch.isPumping = false;
  }

  private async pump(batch: LiveBatch): Promise<void> {
    const slices = new Slices();
    const window = this.capacityOf(batch.row.pool) + AHEAD;
    try {
      if (batch.run.halt) await this.halt(batch);
      while (!this.isStopped) {
        const step = batch.run.next(window);
        if (step === null) break;
        const work =
          step.kind === "begin"
            ? this.begin(batch, step.row)
            : this.tryAgainAndSay(batch, step.job);
        if (work) await work;
        if (slices.over) await slices.turn();
      }
      if (batch.run.halt) await this.halt(batch);
      if (batch.run.hasEnded && !this.isStopped) await this.end(batch);
    } catch (error) {
      if (this.isStopped) return;
      this.options.log.warn(`Batch ${batch.id} has to wait: ${error}`);
      await pause(RETRY_AFTER_MS, undefined, { ref: false });
      batch.isChanged = true;
    }
  }

  /** Begins a row: at once if all that it takes is here, as it usually is. */
  private begin(batch: LiveBatch, row: number): Promise<void> | undefined {
    const { hint } = batch.made.template;
    const key = hint.length === 0 ? this.rows.cachedKey(batch.id, row) : null;
    if (key === null) return this.beginLater(batch, row);
    this.enter(batch, row, { key, hint: "" });
    return undefined;
  }

  private async beginLater(batch: LiveBatch, row: number): Promise<void> {
    const { template } = batch.made;
    try {
      const values = await this.rows.row(batch.id, row, template.columns.length);
      if (!values) throw new RangeError("it is not on record any more");
      const hint = Api.hintOf(template, values.values, HINT_BYTES);
      this.enter(batch, row, { key: values.key, hint });
    } catch (error) {
      batch.run.notBegun(row);
      if (!(error instanceof RangeError)) throw error;
      // It would be no other the next time.
      batch.run.stopFor("stopped", `Row ${row + 1} cannot begin: ${error.message}.`);
    }
  }

  private enter(
    batch: LiveBatch,
    row: number,
    { hint, key }: Pick<RowSubmission, "hint" | "key">,
  ): void {
    const { active, book } = this.jobs;
    // Somebody may have stopped it meanwhile.
    if (batch.run.halt || this.isStopped) {
      batch.run.notBegun(row);
      return;
    }
    const { client, id, name, pool, urgent } = batch.row;
    const job = book.beginRow({
      client,
      pool,
      urgent: urgent !== 0,
      hint,
      needs: Api.needsOfAction(batch.made.template.descr.action),
      name,
      options: batch.options,
      batch: id,
      row,
      key,
    });
    active.enter(job, 0);
  }

  private async tryAgainAndSay(batch: LiveBatch, job: number): Promise<void> {
    try {
      await this.tryAgain(batch, job);
    } finally {
      batch.run.triedAgain();
    }
  }

  private async tryAgain(batch: LiveBatch, id: number): Promise<boolean> {
    const { active, book, records } = this.jobs;
    const found = await records.job(id);
    const before = found && endOf(found.job.state);
    if (!found || before === null || found.job.batch !== batch.id) return false;
    this.before.set(id, before);
    const result = book.retry(found.job);
    this.before.delete(id);
    if (result.kind !== "again") return false;
    active.enter(result.job, 0);
    return true;
  }

  /** Does what follows from being halted: once, however often it is called. */
  private async halt(batch: LiveBatch): Promise<void> {
    const { halt } = batch.run;
    if (!halt) return;
    const slices = new Slices();
    for (const [job, state] of [...batch.run.jobs]) {
      if (halt.halt === "cancelled" || state === "queued") this.jobs.book.cancel(job, halt.reason);
      else this.jobs.recall(job);
      if (slices.over) await slices.turn();
    }
    const number = halt.halt === "stopped" ? 1 : 2;
    if (batch.row.halt === number) return;
    await this.save(batch, { halt: number, reason: halt.reason });
    this.tell(batch.id);
    if (batch.run.hasEnded) await this.end(batch);
  }

  private async end(batch: LiveBatch): Promise<void> {
    // Before the start not all of its jobs are known.
    if (!this.hasStarted || batch.isEnding || batch.row.ended !== null) return;
    batch.isEnding = true;
    try {
      // Who reads that it has ended is to find all ends of its jobs.
      await this.jobs.records.synced();
      if (!batch.run.hasEnded) return;
      await this.save(batch, { ended: Date.now() / 1000, counts: batch.summary });
      if (batch.row.ended === null) return;
      this.live.delete(batch.id);
      this.rows.forget(batch.id);
      this.tell(batch.id);
    } finally {
      batch.isEnding = false;
    }
  }
}

/** @param template of the batch, as it was opened. Throws an `RpcError` if it is none. */
export function makeBatch(row: BatchRow, template: Uint8Array): LiveBatch {
  using pointer = detachedFromBytes(template);
  const made = Api.readNewBatch(pointer);
  const { lostRetries, outputs, retries, retryDelay, timeout } = made.options;
  const options = checkSubmission({
    ...{ client: row.client, pool: row.pool, name: row.name, description: template },
    options: {
      ...{ lostRetries, outputs, retries, retryDelay },
      timeout: timeout === 0 ? null : timeout,
    },
  });
  if (typeof options === "string") throw new RpcError("failed", options);
  return new LiveBatch({ ...row }, made, options, template.length);
}

function endOf(state: JobRecord["state"]): EndState | null {
  return state === "succeeded" || state === "failed" || state === "cancelled" ? state : null;
}

function liveState(state: JobRecord["state"]): LiveState {
  return state === "waiting" || state === "queued" ? "queued" : "running";
}
