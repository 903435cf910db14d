/**
 * Batches as a client asks for them: opens them, adds rows, looks and changes. All of it comes from
 * the network. Administrators look at those of all clients, and change them; they begin none.
 */
import { Batches as Api, LocalContext } from "../../api/index.js";
import { Slices } from "../../async/index.js";
import { RowChunk, RowWriter } from "../../batch/index.js";
import { type DetachedPointer, detachedFromBytes, RpcError } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import type { BatchRow, MovedJob } from "../state/batch-tables.js";
import { RECORD_BYTES } from "../state/client-use-table.js";
import type { Batches } from "./batches.js";
import { makeBatch } from "./batches.js";
import { type ClientLimits, diskRefusal, HINT_BYTES } from "./client-limits.js";
import type { DurableJobs } from "./durable-jobs.js";
import { type LiveBatch, type Summary, viewOf } from "./live-batch.js";
import { shownAs, viewOf as viewOfJob } from "./record-view.js";
import { unknownPool } from "./unknown-pool.js";

/** Characters of a name or a key. */
const MAX_TEXT = 200;

const MAX_COLUMNS = 1000;

/** Batches of a client that have not ended: each has its template in memory. */
const MAX_OPEN = 100;
const MAX_TEMPLATE = 1024 * 1024;

/** Rows in one call, and on one page. */
const MAX_ROWS = 10_000;
const PAGE = 500;

/** Ends of rows in one answer. */
const MAX_ENDS = 20_000;

/** Bytes of rows on one page, from which on there are no more. */
const PAGE_BYTES = 1024 * 1024;

export class BatchDesk implements Api.BatchesService {
  /** Of the ended batch that was last looked at, whose rows are read page by page. */
  private known: { readonly batch: number; readonly columns: readonly string[] } | undefined;

  /** @param client whose batches; null: everybody's */
  constructor(
    private readonly jobs: DurableJobs,
    private readonly limits: ClientLimits,
    private readonly client: string | null,
    private readonly pools: ReadonlyMap<string, unknown>,
  ) {}

  async open(descr: DetachedPointer): Promise<Api.OpenedBatch> {
    const { client } = this;
    if (client === null) {
      descr.release();
      throw failed("Batches belong to clients: begin one with a client's capability");
    }
    const { template, made } = this.read(descr);
    await this.jobs.whole;
    return await this.batches.changing.run(() => this.openNext(client, template, made));
  }

  async add(id: number, first: number, rows: Uint8Array): Promise<Api.AddedRows> {
    // What came is gone when this call has given the thread away.
    const bytes = Uint8Array.from(rows);
    const batch = await this.ofClient(id);
    return await batch.adding.run(() => this.addNext(batch, first, bytes));
  }

  async close(id: number, rows: number): Promise<void> {
    if ((await this.row(id)).closed) return;
    const batch = await this.ofClient(id);
    await batch.adding.run(async () => {
      if (batch.row.closed) return;
      if (rows !== batch.run.rows) {
        throw failed(
          `Batch ${id} has ${batch.run.rows} rows, and not ${rows}: send the others first`,
        );
      }
      await this.batches.save(batch, { closed: 1 });
      batch.run.close();
      await this.endPrevious(batch);
      this.batches.settle(batch);
    });
  }

  async listBatches(cursor: string, limit: number): Promise<Api.BatchPage> {
    const before = cursor === "" ? Number.MAX_SAFE_INTEGER : Number(cursor);
    if (!Number.isSafeInteger(before)) throw failed("The cursor is none of this scheduler's");
    const most = Math.min(limit || PAGE, PAGE);
    await this.jobs.whole;
    const rows = await this.jobs.records.batches.read("batchPage", this.client, before, most + 1);
    const page = rows.slice(0, most);
    const batches: Api.BatchRecord[] = [];
    // Not all of their templates at once.
    for (const row of page) batches.push(await this.view(row));
    return { batches, cursor: rows.length > most ? String(page.at(-1)!.id) : "" };
  }

  async getBatch(id: Api.BatchId, revision: number, signal: AbortSignal): Promise<Api.BatchRecord> {
    const { revisions } = this.jobs;
    for (;;) {
      const row = await this.row(id);
      const current = revisions.of(row.id);
      const view = await this.view(row);
      if (current !== revision || view.ended !== null) return view;
      await revisions.change(row.id, current, signal);
    }
  }

  async rows(id: number, after: number, limit: number): Promise<Api.RowPage> {
    const row = await this.row(id);
    const { records, revisions } = this.jobs;
    const columns = await this.columns(row);
    const found = await records.endedInBatch(row.id, after, Math.min(limit || PAGE, PAGE));
    const rows: Api.EndedRow[] = [];
    let next = after;
    let bytes = 0;
    for (const record of found) {
      const { job } = record;
      const values = await this.batches.rows.row(row.id, job.row!, columns.length);
      const writer = new RowWriter();
      if (values) writer.add(values.key, values.values);
      const chunk = writer.take();
      bytes += chunk.length;
      if (bytes > PAGE_BYTES && rows.length > 0) break;
      next = job.batchEnd!;
      const view = viewOfJob(record, revisions.glance(job.id), this.jobs);
      rows.push({ row: job.row!, values: chunk, job: view });
    }
    return { rows, next };
  }

  async ends(id: number, after: number, limit: number): Promise<Api.EndPage> {
    const row = await this.row(id);
    const { records } = this.jobs;
    await records.synced();
    const most = Math.min(limit || MAX_ENDS, MAX_ENDS);
    const found = await records.batches.read("batchEnds", row.id, after, most);
    const ends = found.map(({ job, row, state }) => ({ row, job, state: shownAs(state) }));
    return { ends, next: found.at(-1)?.end ?? after };
  }

  async cancelBatch(id: number, reason: string): Promise<void> {
    const row = await this.row(id);
    const batch = this.batches.get(row.id);
    const who = this.client === null ? "an administrator" : "its client";
    if (batch) await this.batches.cancel(batch, reason === "" ? `Cancelled by ${who}.` : reason);
  }

  async retryBatch(id: number, keys: readonly string[]): Promise<number> {
    const row = await this.row(id);
    if (keys.length > MAX_ROWS) throw failed(`Name at most ${MAX_ROWS} keys, or none for all`);
    if (!this.pools.has(row.pool)) throw failed(`There is no pool ${quoted(row.pool)} any more`);
    return await this.batches.changing.run(async () => {
      this.checkOpen(row.client, row);
      const batch = await this.batches.revive(row);
      if (keys.length === 0) return await this.batches.goOn(batch);
      await this.jobs.records.synced();
      const ids = await this.jobs.records.batches.read("batchKeyed", row.id, keys);
      return await this.batches.retryJobs(batch, ids);
    });
  }

  private get batches(): Batches {
    return this.jobs.batches;
  }

  private read(descr: DetachedPointer): { template: Uint8Array; made: Api.NewBatch } {
    using _ = descr;
    const most = Math.min(MAX_TEMPLATE, this.limits.jobBytes);
    if (descr.byteLength > most) {
      throw overloaded(`The batch's template has ${descr.byteLength} bytes`, most);
    }
    const template = descr.toBytes();
    using pointer = detachedFromBytes(template);
    const made = Api.readNewBatch(pointer);
    if (LocalContext.manifestOf(made.template.descr.source) !== undefined) {
      throw failed("Batches are not built from local directories: submit a job with --context");
    }
    const { canary, maxFailures, maxFailuresPercent, maxRunning } = made.rules;
    if (!this.pools.has(made.pool)) throw unknownPool(made.pool, this.pools);
    if (made.name.length > MAX_TEXT) throw failed(`A name has ${MAX_TEXT} characters at most`);
    if (made.digest.length !== 32) throw failed("The batch has no digest of 32 bytes");
    if (made.template.columns.length > MAX_COLUMNS) {
      throw failed(`A batch has ${MAX_COLUMNS} columns at most`);
    }
    if ([canary, maxRunning, maxFailures, maxFailuresPercent].some(Number.isNaN)) {
      throw failed("The batch's rules are no numbers");
    }
    return { template, made };
  }

  private async openNext(
    client: string,
    template: Uint8Array,
    made: Api.NewBatch,
  ): Promise<Api.OpenedBatch> {
    const { records } = this.jobs;
    const previous =
      made.name === "" ? null : await records.batches.read("batchNamed", client, made.name);
    const isSame = previous?.pool === made.pool && Buffer.from(previous.digest).equals(made.digest);
    if (previous && isSame && !made.fresh) {
      if (hasSucceeded(previous)) {
        return { batch: previous.id, rows: previous.rows, isNew: false, again: 0 };
      }
      this.checkOpen(client, previous);
      const batch = await this.batches.revive(previous);
      const again = await this.batches.goOn(batch);
      return { batch: batch.id, rows: batch.run.rows, isNew: false, again };
    }
    this.checkOpen(client, null);
    this.checkSums(client, 0, template.length);
    const row: BatchRow = {
      id: records.nextId(),
      client,
      name: made.name,
      pool: made.pool,
      urgent: made.urgent ? 1 : 0,
      digest: made.digest,
      submitted: Date.now() / 1000,
      ...{ rows: 0, closed: 0, halt: 0, reason: "", again: 0 },
      ...{ ended: null, successor: null, counts: "" },
    };
    const batch = makeBatch(row, template);
    await records.batches.change("openBatch", row, template);
    this.batches.add(batch);
    if (previous) await this.supersede(previous, batch, made.fresh);
    return { batch: row.id, rows: 0, isNew: true, again: 0 };
  }

  /** @param row of the one that is to go on; null for one more */
  private checkOpen(client: string, row: BatchRow | null): void {
    if (row && this.batches.get(row.id)) return;
    if (this.batches.of(client).length >= MAX_OPEN) {
      throw overloaded("You have many batches that have not ended", MAX_OPEN);
    }
  }

  /**
   * Another batch has its name: it begins nothing more, and its work is the other's if that has the
   * same to do.
   */
  private async supersede(previous: BatchRow, batch: LiveBatch, fresh: boolean): Promise<void> {
    if (!fresh) batch.previous = previous.id;
    const old = this.batches.get(previous.id);
    if (!old) return;
    old.row.successor = batch.id;
    await this.batches.cancel(old, `Batch ${batch.id} has its name now.`, fresh);
  }

  /** What its predecessor still runs is not wanted. */
  private async endPrevious(batch: LiveBatch): Promise<void> {
    const old = batch.previous === null ? undefined : this.batches.get(batch.previous);
    if (old && old.run.jobs.size > 0) {
      await this.batches.cancel(old, `Batch ${batch.id} has its name now.`);
    }
  }

  private async addNext(
    batch: LiveBatch,
    first: number,
    bytes: Uint8Array,
  ): Promise<Api.AddedRows> {
    const { template } = batch.made;
    const count = await this.check(bytes, template, first);
    const there = batch.run.rows;
    // The answer was lost with a connection.
    if (first + count <= there) return { rows: there, kept: 0 };
    if (first !== there) throw failed(`The next row is number ${there}, and not ${first}`);
    if (batch.row.closed) throw failed(`Batch ${batch.id} has all its rows`);
    this.checkSums(batch.row.client, count, bytes.length);
    const { records } = this.jobs;
    await records.batches.change("addBatchRows", batch.id, { first, count, bytes });
    batch.bytes += bytes.length;
    batch.row.rows = first + count;
    let kept = 0;
    try {
      if (batch.previous !== null) kept = await this.keep(batch, batch.previous, first);
    } finally {
      // They are on disk: what could not be kept is run.
      batch.run.add(count);
      this.batches.settle(batch);
    }
    return { rows: batch.run.rows, kept };
  }

  /** Takes over what an earlier batch has done or does of these rows. */
  private async keep(batch: LiveBatch, previous: number, first: number): Promise<number> {
    const { book, records } = this.jobs;
    await records.synced();
    const { jobBytes } = this.limits;
    const matched = await records.batches.read("matchRows", previous, batch.id, first, jobBytes);
    const moves: MovedJob[] = [];
    for (const { job, key, row, succeeded } of matched) {
      if (succeeded) {
        moves.push({ job, row, key, end: ++batch.last });
      } else {
        this.batches.adopt(book.job(job), { batch: batch.id, row, key });
      }
    }
    if (moves.length > 0) await records.batches.change("moveJobs", batch.id, moves);
    for (const { row } of moves) batch.run.restored(row, "succeeded", false);
    return moves.length;
  }

  /** Resolves to how many rows these are; the first of them has that number. */
  private async check(
    bytes: Uint8Array,
    template: Api.BatchTemplate,
    first: number,
  ): Promise<number> {
    const { jobBytes } = this.limits;
    if (bytes.length > jobBytes)
      throw overloaded(`These rows have ${bytes.length} bytes`, jobBytes);
    try {
      const chunk = new RowChunk(bytes, template.columns.length);
      if (chunk.count === 0 || chunk.count > MAX_ROWS) {
        throw failed(`One call adds 1 to ${MAX_ROWS} rows, and not ${chunk.count}`);
      }
      for (let index = 0; index < chunk.count; index++) {
        const { length } = chunk.key(index);
        if (length === 0 || length > MAX_TEXT) {
          throw failed(`A row's key has 1 to ${MAX_TEXT} characters, and not ${length}`);
        }
      }
      await this.checkHints(chunk, template, first);
      return chunk.count;
    } catch (error) {
      if (error instanceof RangeError) throw failed(error.message);
      throw error;
    }
  }

  private async checkHints(
    chunk: RowChunk,
    template: Api.BatchTemplate,
    first: number,
  ): Promise<void> {
    if (template.hint.length === 0) return;
    const slices = new Slices();
    for (let index = 0; index < chunk.count; index++) {
      const { key, values } = chunk.row(index);
      try {
        Api.hintOf(template, values, HINT_BYTES);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        const which = `row ${first + index + 1} (${quoted(key)})`;
        throw overloaded(`The cache hint of ${which} is too long`, HINT_BYTES);
      }
      if (slices.over) await slices.turn();
    }
  }

  private checkSums(client: string, rows: number, bytes: number): void {
    const { queuedBytes, queuedJobs } = this.limits;
    let [allRows, allBytes] = [rows, bytes];
    for (const batch of this.batches.of(client)) {
      const { queued, running } = batch.run.counts;
      allRows += queued + running;
      allBytes += batch.bytes;
    }
    const more = allRows * RECORD_BYTES + bytes;
    const refusal = diskRefusal(this.jobs.records.useOf(client), more, this.limits);
    if (refusal) throw refusal;
    const who = `Client ${quoted(client)}`;
    if (allRows > queuedJobs) {
      throw overloaded(
        `The batches of ${who} would have ${allRows} rows that have not ended`,
        queuedJobs,
      );
    }
    if (allBytes > queuedBytes) {
      throw overloaded(
        `The templates and rows of the batches of ${who} would have ${allBytes} bytes`,
        queuedBytes,
      );
    }
  }

  /** One that takes rows. */
  private async ofClient(id: number): Promise<LiveBatch> {
    const row = await this.row(id);
    const batch = this.batches.get(row.id);
    if (!batch) throw failed(`Batch ${id} has ended`);
    return batch;
  }

  /** To a client, others' batches do not exist. */
  private async row(id: Api.BatchId): Promise<BatchRow> {
    const { batches } = this.jobs.records;
    const { client } = this;
    await this.jobs.whole;
    const isName = typeof id === "string";
    if (isName && client === null) throw failed("Only clients know batches by name: say a number");
    const row = isName
      ? await batches.read("batchNamed", client!, id)
      : (this.batches.get(id)?.row ?? (await batches.read("batch", id)));
    const which = isName ? quoted(id.slice(0, 256)) : id;
    if (!row && client === null) throw failed(`There is no batch ${which} on record`);
    if (!row || (client ?? row.client) !== row.client) throw failed(`You have no batch ${which}`);
    return row;
  }

  private async view(row: BatchRow): Promise<Api.BatchRecord> {
    const live = this.batches.get(row.id);
    const revision = this.jobs.revisions.of(row.id);
    if (live) return live.view(revision);
    // It may have ended since its row was read.
    const now = (await this.jobs.records.batches.read("batch", row.id)) ?? row;
    const summary: Summary = now.counts === "" ? UNKNOWN : JSON.parse(now.counts);
    return viewOf(now, await this.columns(now), revision, summary);
  }

  private async columns(row: BatchRow): Promise<readonly string[]> {
    const live = this.batches.get(row.id);
    if (live) return live.made.template.columns;
    if (this.known?.batch === row.id) return this.known.columns;
    const template = await this.jobs.records.batches.read("batchTemplate", row.id);
    if (!template) return [];
    const { columns } = makeBatch(row, template).made.template;
    this.known = { batch: row.id, columns };
    return columns;
  }
}

function hasSucceeded({ counts, ended }: BatchRow): boolean {
  return ended !== null && counts !== "" && JSON.parse(counts).state === "succeeded";
}

/** Of one that cannot be read any more. */
const UNKNOWN: Summary = {
  ...{ queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0, last: 0 },
  state: "cancelled",
};

function failed(reason: string): RpcError {
  return new RpcError("failed", reason);
}

function overloaded(fact: string, limit: number): RpcError {
  return new RpcError("overloaded", `${fact}; the limit is ${limit}`);
}
