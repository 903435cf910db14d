/**
 * Batches: one template and many rows, each of which becomes a durable job. What our schedulers'
 * `Submission`s offer beyond the shared contract, and their `Admin`s and (to look) `Viewer`s of all
 * clients' batches; others answer "unimplemented".
 *
 * Times are seconds since the Unix epoch; null where there is none (yet).
 */
import { type Capability, type DetachedPointer, type MethodEntry, method } from "../rpc/index.js";
import { type NewBatch, writeNewBatch } from "./batch-template.js";
import { type CallOptions, done, resultOf } from "./calls.js";
import {
  Batches$Client,
  type BatchRecord as WireBatchRecord,
  type BatchState as WireBatchState,
} from "./generated/extensions.js";
import { type JobRecord, readRecord, writeRecord } from "./job-record.js";
import { type JobState, stateFromWire, stateToWire } from "./job-state.js";

export {
  type BatchRules,
  type BatchTemplate,
  describeRow,
  hintOf,
  identities,
  type NewBatch,
  NO_RULES,
  readNewBatch,
} from "./batch-template.js";
export { needsOfAction } from "./job-descr.js";

const [OPEN, ADD, CLOSE, LIST, GET, ROWS, CANCEL, RETRY, ENDS] = Batches$Client.methods;

/** In the order of the wire's enumeration. */
const STATES = ["running", "succeeded", "failed", "stopped", "cancelled"] as const;

/** `running` also of one that waits for a worker. */
export type BatchState = (typeof STATES)[number];

export interface BatchRecord {
  readonly batch: number;
  /** Whose it is; "": the scheduler does not tell. */
  readonly client: string;
  /** "": none. */
  readonly name: string;
  readonly pool: string;
  readonly submitted: number;
  readonly ended: number | null;
  readonly state: BatchState;
  /** For people: why it was stopped. */
  readonly reason: string;
  /** Rows that have come. */
  readonly rows: number;
  /** These are all. */
  readonly closed: boolean;
  /** Rows that have not begun, or wait for a further attempt. */
  readonly queued: number;
  readonly running: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Grows with each change; at least 1. */
  readonly revision: number;
  readonly columns: readonly string[];
  /** How many ends of rows there were: see `rows`. */
  readonly last: number;
}

export interface OpenedBatch {
  readonly batch: number;
  /** Rows that have come, and need not be sent again. */
  readonly rows: number;
  /** False: the client has this batch already, and it goes on. */
  readonly isNew: boolean;
  /** Of that one: jobs that ended without success, and are tried again. */
  readonly again: number;
}

export interface AddedRows {
  /** How many there are now. */
  readonly rows: number;
  /**
   * How many of the added ones had succeeded in an earlier batch of the name, and are not run
   * again.
   */
  readonly kept: number;
}

export interface BatchPage {
  readonly batches: readonly BatchRecord[];
  /** With it the next page is had; "": there is none. */
  readonly cursor: string;
}

/** A row whose job has ended. */
export interface EndedRow {
  /** From 0. */
  readonly row: number;
  /** Its key and values, as a chunk: see `RowChunk` of src/batch. */
  readonly values: Uint8Array;
  /** Its key is the row's. */
  readonly job: JobRecord;
}

export interface RowPage {
  readonly rows: readonly EndedRow[];
  /** To go on with. */
  readonly next: number;
}

/** How a row has ended. */
export interface RowEnd {
  /** From 0. */
  readonly row: number;
  readonly job: number;
  readonly state: JobState;
}

export interface EndPage {
  readonly ends: readonly RowEnd[];
  /** To go on with. */
  readonly next: number;
}

/** Which batch: by number, or by name. */
export type BatchId = number | string;

/**
 * What the methods throw goes to the caller. Signals are aborted when the caller no longer waits.
 */
export interface BatchesService {
  /** @param batch a `NewBatch`, for `readNewBatch`; owned by who gets it */
  open(batch: DetachedPointer): Promise<OpenedBatch>;
  /** @param rows valid during the call only */
  add(batch: number, first: number, rows: Uint8Array): Promise<AddedRows>;
  close(batch: number, rows: number): Promise<void>;
  listBatches(cursor: string, limit: number): Promise<BatchPage>;
  getBatch(batch: BatchId, revision: number, signal: AbortSignal): Promise<BatchRecord>;
  rows(batch: number, after: number, limit: number): Promise<RowPage>;
  ends(batch: number, after: number, limit: number): Promise<EndPage>;
  cancelBatch(batch: number, reason: string): Promise<void>;
  /** @param keys of the rows; empty: all that ended without success */
  retryBatch(batch: number, keys: readonly string[]): Promise<number>;
}

/** The methods of a service that make it a `Batches`, too. */
export function batchesMethods(service: BatchesService): MethodEntry[] {
  return [
    method(OPEN, async (call) => {
      const { again, batch, isNew, rows } = await service.open(call.detach(0));
      const results = call.results();
      results.batch = BigInt(batch);
      results.rows = BigInt(rows);
      results.isNew = isNew;
      results.again = BigInt(again);
    }),
    method(ADD, async (call) => {
      const { batch, first, rows } = call.params;
      const added = await service.add(Number(batch), Number(first), rows.toUint8Array());
      const results = call.results();
      results.rows = BigInt(added.rows);
      results.kept = BigInt(added.kept);
    }),
    method(CLOSE, ({ params }) => service.close(Number(params.batch), Number(params.rows))),
    method(LIST, async (call) => {
      const page = await service.listBatches(call.params.cursor, call.params.limit);
      const results = call.results();
      const list = results._initBatches(page.batches.length);
      for (const [index, batch] of page.batches.entries()) writeBatch(list.get(index), batch);
      results.cursor = page.cursor;
    }),
    method(GET, async (call) => {
      const { batch, name, revision } = call.params;
      const id = Number(batch) || name;
      writeBatch(
        call.results()._initBatch(),
        await service.getBatch(id, Number(revision), call.signal),
      );
    }),
    method(ROWS, async (call) => {
      const { after, batch, limit } = call.params;
      const page = await service.rows(Number(batch), Number(after), limit);
      const results = call.results();
      const list = results._initRows(page.rows.length);
      for (const [index, row] of page.rows.entries()) {
        const entry = list.get(index);
        entry.row = BigInt(row.row);
        entry._initValues(row.values.length).copyBuffer(row.values);
        writeRecord(entry._initJob(), row.job);
      }
      results.next = BigInt(page.next);
    }),
    method(CANCEL, ({ params }) => service.cancelBatch(Number(params.batch), params.reason)),
    method(RETRY, async (call) => {
      const { batch, keys } = call.params;
      const again = await service.retryBatch(Number(batch), keys.toArray());
      call.results().again = BigInt(again);
    }),
    method(ENDS, async (call) => {
      const { after, batch, limit } = call.params;
      const page = await service.ends(Number(batch), Number(after), limit);
      const results = call.results();
      const list = results._initEnds(page.ends.length);
      for (const [index, { job, row, state }] of page.ends.entries()) {
        const end = list.get(index);
        end.row = BigInt(row);
        end.job = BigInt(job);
        end.state = stateToWire(state);
      }
      results.next = BigInt(page.next);
    }),
  ];
}

/**
 * Begins a batch, or finds the one that it is. Rejects as "unimplemented" if the scheduler knows no
 * batches.
 */
export function open(
  submission: Capability,
  batch: NewBatch,
  options?: CallOptions,
): Promise<OpenedBatch> {
  const call = submission.call(
    OPEN,
    (params) => writeNewBatch(params._initBatch(), batch),
    options,
  );
  return resultOf(call, (results) => ({
    batch: Number(results.batch),
    rows: Number(results.rows),
    isNew: results.isNew,
    again: Number(results.again),
  }));
}

/** Adds rows, of which `first` is the number of the first; resolves when they are on disk. */
export function add(
  submission: Capability,
  batch: number,
  first: number,
  rows: Uint8Array,
  options?: CallOptions,
): Promise<AddedRows> {
  const call = submission.call(
    ADD,
    (params) => {
      params.batch = BigInt(batch);
      params.first = BigInt(first);
      params._initRows(rows.length).copyBuffer(rows);
    },
    options,
  );
  return resultOf(call, (results) => ({
    rows: Number(results.rows),
    kept: Number(results.kept),
  }));
}

/** Says that so many rows are all. */
export function close(
  submission: Capability,
  batch: number,
  rows: number,
  options?: CallOptions,
): Promise<void> {
  const call = submission.call(
    CLOSE,
    (params) => {
      params.batch = BigInt(batch);
      params.rows = BigInt(rows);
    },
    options,
  );
  return done(call);
}

export function list(
  submission: Capability,
  cursor: string,
  limit: number,
  options?: CallOptions,
): Promise<BatchPage> {
  const call = submission.call(
    LIST,
    (params) => {
      params.cursor = cursor;
      params.limit = limit;
    },
    options,
  );
  return resultOf(call, (results) => ({
    batches: results.batches.map(readBatch),
    cursor: results.cursor,
  }));
}

/** The state of a batch; with a `revision`, as soon as it has another one. */
export function get(
  submission: Capability,
  batch: BatchId,
  revision = 0,
  options?: CallOptions,
): Promise<BatchRecord> {
  const call = submission.call(
    GET,
    (params) => {
      if (typeof batch === "string") params.name = batch;
      else params.batch = BigInt(batch);
      params.revision = BigInt(revision);
    },
    options,
  );
  return resultOf(call, (results) => readBatch(results.batch));
}

/** Writes which rows of a batch are asked for. */
function pageOf(batch: number, after: number, limit: number) {
  return (params: { batch: bigint; after: bigint; limit: number }): void => {
    params.batch = BigInt(batch);
    params.after = BigInt(after);
    params.limit = limit;
  };
}

/**
 * Rows that have ended, in the order of their ends, from behind `after` (0, or the `next` of an
 * earlier page) on.
 */
export function rows(
  submission: Capability,
  batch: number,
  after: number,
  limit: number,
  options?: CallOptions,
): Promise<RowPage> {
  const call = submission.call(ROWS, pageOf(batch, after, limit), options);
  return resultOf(call, (results) => ({
    rows: results.rows.map((row) => ({
      row: Number(row.row),
      values: row.values.toUint8Array().slice(),
      job: readRecord(row.job),
    })),
    next: Number(results.next),
  }));
}

/**
 * How rows have ended, as `rows`, but of many more at a time. Rejects as "unimplemented" if the
 * scheduler cannot tell.
 */
export function ends(
  submission: Capability,
  batch: number,
  after: number,
  limit: number,
  options?: CallOptions,
): Promise<EndPage> {
  const call = submission.call(ENDS, pageOf(batch, after, limit), options);
  return resultOf(call, (results) => ({
    ends: results.ends.map(({ job, row, state }) => ({
      row: Number(row),
      job: Number(job),
      state: stateFromWire(state),
    })),
    next: Number(results.next),
  }));
}

export function cancel(
  submission: Capability,
  batch: number,
  reason: string,
  options?: CallOptions,
): Promise<void> {
  const call = submission.call(
    CANCEL,
    (params) => {
      params.batch = BigInt(batch);
      params.reason = reason;
    },
    options,
  );
  return done(call);
}

/** Has jobs tried again that ended without success: of these keys, or all. Resolves to how many. */
export function retry(
  submission: Capability,
  batch: number,
  keys: readonly string[],
  options?: CallOptions,
): Promise<number> {
  const call = submission.call(
    RETRY,
    (params) => {
      params.batch = BigInt(batch);
      const wire = params._initKeys(keys.length);
      for (const [index, key] of keys.entries()) wire.set(index, key);
    },
    options,
  );
  return resultOf(call, (results) => Number(results.again));
}

function writeBatch(wire: WireBatchRecord, batch: BatchRecord): void {
  wire.batch = BigInt(batch.batch);
  wire.name = batch.name;
  wire.pool = batch.pool;
  wire.submitted = batch.submitted;
  wire.ended = batch.ended ?? 0;
  wire.state = STATES.indexOf(batch.state) as WireBatchState;
  wire.reason = batch.reason;
  wire.rows = BigInt(batch.rows);
  wire.closed = batch.closed;
  wire.queued = BigInt(batch.queued);
  wire.running = BigInt(batch.running);
  wire.succeeded = BigInt(batch.succeeded);
  wire.failed = BigInt(batch.failed);
  wire.cancelled = BigInt(batch.cancelled);
  wire.revision = BigInt(batch.revision);
  const columns = wire._initColumns(batch.columns.length);
  for (const [index, name] of batch.columns.entries()) columns.set(index, name);
  wire.last = BigInt(batch.last);
  wire.client = batch.client;
}

function readBatch(wire: WireBatchRecord): BatchRecord {
  return {
    batch: Number(wire.batch),
    client: wire.client,
    name: wire.name,
    pool: wire.pool,
    submitted: wire.submitted,
    ended: wire.ended || null,
    state: STATES[wire.state] ?? "running",
    reason: wire.reason,
    rows: Number(wire.rows),
    closed: wire.closed,
    queued: Number(wire.queued),
    running: Number(wire.running),
    succeeded: Number(wire.succeeded),
    failed: Number(wire.failed),
    cancelled: Number(wire.cancelled),
    revision: Number(wire.revision),
    columns: wire.columns.toArray(),
    last: Number(wire.last),
  };
}
