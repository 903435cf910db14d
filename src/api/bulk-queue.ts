/**
 * How workers get many short durable jobs at a time, and say of many how they ended: what our
 * schedulers' `Queue`s offer beyond the shared contract. Others answer "unimplemented", and give
 * one job at a time.
 *
 * An attempt that is given so is a *lease*; docs/protocol.md has its states.
 */

import { RowChunk } from "../batch/index.js";
import {
  type Caller,
  type Capability,
  type DetachedPointer,
  detachedFromBytes,
  detachedStruct,
  type MethodEntry,
  method,
  RpcError,
} from "../rpc/index.js";
import { describeRow, type NewBatch, readNewBatch, writeNewBatch } from "./batch-template.js";
import { type CallOptions, done, requiredCapability, resultOf } from "./calls.js";
import type { JobOwner, Verdict } from "./durable-queue.js";
import {
  BulkQueue$Client,
  NewBatch as WireNewBatch,
  Verdict as WireVerdict,
} from "./generated/extensions.js";
import {
  type Lease,
  type LeaseContent,
  type LeaseEnd,
  type LeaseId,
  packEnds,
  packLeases,
  unpackEnds,
  unpackLeases,
} from "./lease-bytes.js";

export type { Lease, LeaseContent, LeaseEnd, LeaseId } from "./lease-bytes.js";

const [TAKE, BEGUN, ENDED, KEEP] = BulkQueue$Client.methods;

/** The most leases of one answer, and ends in one call. */
export const MOST_LEASES = 256;

/** The longest log, in bytes, that is told with an end. */
export const LOG_BYTES = 16 * 1024;

/** The largest description that a row can become: what a message has room for. */
const DESCR_BYTES = 64 * 1024 * 1024;

/** Templates that a worker keeps. */
export const MOST_TEMPLATES = 16;

/** What a worker asks for. */
export interface LeaseWish {
  /** Jobs that it can begin at once. */
  readonly room: number;
  /** Jobs beyond these that it expects to begin within moments. */
  readonly ahead: number;
  /** The batches whose templates it has. */
  readonly templates: readonly number[];
}

/** A batch's template, and what else its job's descriptions follow from. */
export interface LeaseTemplate {
  readonly batch: number;
  /** As `packTemplate` gives it. */
  readonly content: Uint8Array;
}

export type Taken =
  | { readonly kind: "attached"; readonly descr: DetachedPointer; readonly owner: JobOwner | null }
  | {
      readonly kind: "leases";
      readonly leases: readonly Lease[];
      readonly templates: readonly LeaseTemplate[];
      /** The records that the numbers are of. */
      readonly book: Uint8Array;
      /** Seconds for which they go on without a scheduler. */
      readonly reattach: number;
    };

export interface BulkQueueService {
  /** Takes `job`. What the answer holds is released when it has been sent. */
  take(job: Capability, wish: LeaseWish, caller: Caller): Promise<Taken>;
  /** Takes `run`. */
  leaseBegun(lease: LeaseId, run: Capability): Verdict;
  /** Resolves when all is on disk, to jobs whose leases nobody waits for. */
  leasesEnded(ends: readonly LeaseEnd[]): Promise<readonly number[]>;
  /** Leases of other jobs are given back. Resolves when that is on disk. */
  keepLeases(jobs: readonly number[]): Promise<void>;
}

/** The methods of a `Queue` that make it a `BulkQueue`, too. */
export function bulkQueueMethods(service: BulkQueueService): MethodEntry[] {
  return [
    method(TAKE, async (call) => {
      const { ahead, room, templates } = call.params;
      if (templates.length > MOST_TEMPLATES) {
        throw new RpcError("failed", `A worker keeps ${MOST_TEMPLATES} templates at most`);
      }
      const wish = { room, ahead, templates: templates.toArray().map(Number) };
      const job = requiredCapability(call, 0, "Missing job!");
      const taken = await service.take(job, wish, call);
      const results = call.results();
      if (taken.kind === "attached") {
        using descr = taken.descr;
        call.setPointer(0, descr);
        results.client = taken.owner?.client ?? "";
        results.number = BigInt(taken.owner?.number ?? 0);
        return;
      }
      results._initBook(taken.book.length).copyBuffer(taken.book);
      results.reattach = taken.reattach;
      const leases = packLeases(taken.leases);
      results._initLeases(leases.length).copyBuffer(leases);
      const list = results._initTemplates(taken.templates.length);
      for (const [index, { batch, content }] of taken.templates.entries()) {
        const entry = list.get(index);
        entry.batch = BigInt(batch);
        entry._initContent(content.length).copyBuffer(content);
      }
    }),
    method(BEGUN, (call) => {
      const { attempt, job } = call.params;
      const run = requiredCapability(call, 0, "Missing run!");
      const verdict = service.leaseBegun({ job: Number(job), attempt }, run);
      call.results().verdict = verdict === "goOn" ? WireVerdict.GO_ON : WireVerdict.STOP;
    }),
    method(ENDED, async (call) => {
      const { ends } = call.params;
      // What came is gone when this call has given the thread away.
      const bytes = ends.toUint8Array().slice();
      const unwanted = await service.leasesEnded(unpackEnds(bytes, MOST_LEASES, LOG_BYTES));
      const list = call.results()._initUnwanted(unwanted.length);
      for (const [index, job] of unwanted.entries()) list.set(index, BigInt(job));
    }),
    method(KEEP, ({ params }) => service.keepLeases(params.jobs.toArray().map(Number))),
  ];
}

/**
 * Asks for jobs: `wish.room + wish.ahead` at most, one at least. Rejects as "unimplemented" where
 * there are no leases; `job` is released then, and when it is not needed.
 */
export async function take(
  queue: Capability,
  job: Capability,
  wish: LeaseWish,
  options?: CallOptions,
): Promise<Taken> {
  const call = queue.call(
    TAKE,
    (params, payload) => {
      params.room = wish.room;
      params.ahead = wish.ahead;
      const list = params._initTemplates(wish.templates.length);
      for (const [index, batch] of wish.templates.entries()) list.set(index, BigInt(batch));
      payload.setCapability(0, job);
    },
    options,
  );
  try {
    const response = await call.response;
    const { results } = response;
    const leases = unpackLeases(results.leases.toUint8Array().slice());
    if (leases.length === 0) {
      const { client, number } = results;
      const owner = client === "" ? null : { client, number: Number(number) };
      return { kind: "attached", descr: response.detach(0), owner };
    }
    return {
      kind: "leases",
      leases,
      templates: results.templates.map(({ batch, content }) => ({
        batch: Number(batch),
        content: content.toUint8Array().slice(),
      })),
      book: results.book.toUint8Array().slice(),
      reattach: results.reattach,
    };
  } finally {
    call.cancel();
  }
}

/** Says that a lease has begun, and goes on; takes `run`. */
export function begun(
  queue: Capability,
  { attempt, job }: LeaseId,
  run: Capability,
  options?: CallOptions,
): Promise<Verdict> {
  const call = queue.call(
    BEGUN,
    (params, payload) => {
      params.job = BigInt(job);
      params.attempt = attempt;
      payload.setCapability(0, run);
    },
    options,
  );
  return resultOf(call, ({ verdict }) => (verdict === WireVerdict.STOP ? "stop" : "goOn"));
}

/** See `BulkQueueService.leasesEnded`. */
export function ended(
  queue: Capability,
  ends: readonly LeaseEnd[],
  options?: CallOptions,
): Promise<readonly number[]> {
  const call = queue.call(
    ENDED,
    (params) => {
      const bytes = packEnds(ends);
      params._initEnds(bytes.length).copyBuffer(bytes);
    },
    options,
  );
  return resultOf(call, ({ unwanted }) => unwanted.toArray().map(Number));
}

/** See `BulkQueueService.keepLeases`. */
export function keep(
  queue: Capability,
  jobs: readonly number[],
  options?: CallOptions,
): Promise<void> {
  const call = queue.call(
    KEEP,
    (params) => {
      const list = params._initJobs(jobs.length);
      for (const [index, job] of jobs.entries()) list.set(index, BigInt(job));
    },
    options,
  );
  return done(call);
}

/** What a lease's rows need besides themselves, as bytes. */
export function packTemplate(batch: NewBatch): Uint8Array {
  using pointer = detachedStruct(WireNewBatch, (root) => writeNewBatch(root, batch));
  return pointer.toBytes();
}

/** The same as it was. Throws an `RpcError` or a `WireError` if it is none. */
export function unpackTemplate({ content }: LeaseTemplate): NewBatch {
  using pointer = detachedFromBytes(content);
  return readNewBatch(pointer);
}

/**
 * The description of a lease's job, owned by the caller. Throws a `RangeError` or a `WireError` if
 * what came makes none.
 *
 * @param batch as its template said; null if that cannot be read
 */
export function describe(content: LeaseContent, batch: NewBatch | null): DetachedPointer {
  if ("descr" in content) return detachedFromBytes(content.descr);
  if (!batch) throw new RangeError("the template of its batch cannot be read");
  const { template } = batch;
  const { values } = new RowChunk(content.row, template.columns.length).row(0);
  return detachedFromBytes(describeRow(template, values, DESCR_BYTES));
}
