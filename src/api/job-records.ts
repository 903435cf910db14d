/**
 * What a scheduler has on file of jobs, and what can be done with them: of one client's on its
 * `Submission`, of everybody's on an `Admin`. Other schedulers answer "unimplemented".
 *
 * Times are seconds since the Unix epoch, with fractions; null where there is none (yet). Sizes and
 * offsets are bytes.
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, done, resultOf } from "./calls.js";
import { JobRecords$Client } from "./generated/extensions.js";
import type { LogChunk } from "./job.js";
import {
  type ClientUsage,
  type JobFilter,
  readFilter,
  readUsage,
  writeFilter,
  writeUsage,
} from "./job-questions.js";
import { type JobRecord, readRecord, writeRecord } from "./job-record.js";

const [LIST, GET, LOG, CANCEL, RETRY, USAGE, OUTPUTS, READ_OUTPUTS] = JobRecords$Client.methods;

export type { Cause } from "./job-cause.js";
export type { ClientUsage, JobFilter } from "./job-questions.js";
export type { AttemptRecord, JobRecord } from "./job-record.js";
export type { JobState } from "./job-state.js";

/** Whose files are kept. */
export interface KeptOutputs {
  readonly attempt: number;
  /** Bytes of their stream; 0: there are none. */
  readonly size: number;
}

/** Where to read in a stream of files; see docs/protocol.md for its form. */
export interface OutputRange {
  readonly job: number;
  readonly attempt: number;
  readonly start: number;
  /** Bytes at most. */
  readonly limit: number;
}

/** A page of records, newest first. */
export interface JobPage {
  readonly jobs: readonly JobRecord[];
  /** With it the next page is had; "": there is none. */
  readonly cursor: string;
}

/** Where to read in a log. */
export interface LogRange {
  readonly job: number;
  /** 0: the newest. */
  readonly attempt: number;
  /** Negative: from the end. */
  readonly start: number;
  /** Wait for more until the attempt has ended. */
  readonly follow: boolean;
}

/** Empty data: the end, so far or (with `follow`) for good. */
export interface AttemptLogChunk extends LogChunk {
  readonly attempt: number;
}

/**
 * What the methods throw goes to the caller. Signals are aborted when the caller no longer waits.
 */
export interface JobRecordsService {
  list(filter: JobFilter, cursor: string, limit: number): Promise<JobPage>;
  /** Waits while `revision` is the job's; 0 never is. */
  get(job: number, revision: number, signal: AbortSignal): Promise<JobRecord>;
  log(range: LogRange, signal: AbortSignal): Promise<AttemptLogChunk>;
  /** Resolves when it is on disk. `reason`: for people; may be "". */
  cancelJob(job: number, reason: string): Promise<void>;
  retry(job: number): Promise<void>;
  usage(since: number, until: number): Promise<readonly ClientUsage[]>;
  /** Attempt 0: the newest of which files are kept. */
  outputs(job: number, attempt: number): Promise<KeptOutputs>;
  /** Empty: the stream ends there. */
  readOutputs(range: OutputRange): Promise<Uint8Array>;
}

/** The methods of a service that make it a `JobRecords`, too. */
export function jobRecordsMethods(service: JobRecordsService): MethodEntry[] {
  return [
    method(LIST, async (call) => {
      const { cursor, filter, limit } = call.params;
      const page = await service.list(readFilter(filter), cursor, limit);
      const results = call.results();
      const jobs = results._initJobs(page.jobs.length);
      for (const [index, job] of page.jobs.entries()) writeRecord(jobs.get(index), job);
      results.cursor = page.cursor;
    }),
    method(GET, async (call) => {
      const { job, revision } = call.params;
      const record = await service.get(Number(job), Number(revision), call.signal);
      writeRecord(call.results()._initJob(), record);
    }),
    method(LOG, async (call) => {
      const { attempt, follow, job, start } = call.params;
      const range = { job: Number(job), attempt, start: Number(start), follow };
      const chunk = await service.log(range, call.signal);
      const results = call.results();
      results._initLog(chunk.data.byteLength).copyBuffer(chunk.data);
      results.next = BigInt(chunk.next);
      results.attempt = chunk.attempt;
    }),
    method(CANCEL, ({ params }) => service.cancelJob(Number(params.job), params.reason)),
    method(RETRY, ({ params }) => service.retry(Number(params.job))),
    method(USAGE, async (call) => {
      const clients = await service.usage(call.params.since, call.params.until);
      const list = call.results()._initClients(clients.length);
      for (const [index, usage] of clients.entries()) writeUsage(list.get(index), usage);
    }),
    method(OUTPUTS, async (call) => {
      const { attempt, size } = await service.outputs(Number(call.params.job), call.params.attempt);
      const results = call.results();
      results.attempt = attempt;
      results.size = BigInt(size);
    }),
    method(READ_OUTPUTS, async (call) => {
      const { attempt, job, limit, start } = call.params;
      const range = { job: Number(job), attempt, start: Number(start), limit };
      const data = await service.readOutputs(range);
      call.results()._initData(data.byteLength).copyBuffer(data);
    }),
  ];
}

export interface ListJobs {
  readonly filter: JobFilter;
  /** "": the first page. */
  readonly cursor?: string;
  /** How many records at most; the scheduler may give fewer. */
  readonly limit: number;
}

export function list(
  records: Capability,
  { filter, cursor = "", limit }: ListJobs,
  options?: CallOptions,
): Promise<JobPage> {
  const call = records.call(
    LIST,
    (params) => {
      writeFilter(params._initFilter(), filter);
      params.cursor = cursor;
      params.limit = limit;
    },
    options,
  );
  return resultOf(call, (results) => ({
    jobs: results.jobs.map(readRecord),
    cursor: results.cursor,
  }));
}

/** The record of a job; with a `revision`, as soon as it has another one. */
export function get(
  records: Capability,
  job: number,
  revision = 0,
  options?: CallOptions,
): Promise<JobRecord> {
  const call = records.call(
    GET,
    (params) => {
      params.job = BigInt(job);
      params.revision = BigInt(revision);
    },
    options,
  );
  return resultOf(call, (results) => readRecord(results.job));
}

/** See `LogRange`. The data is a copy. */
export function log(
  records: Capability,
  { attempt, follow, job, start }: LogRange,
  options?: CallOptions,
): Promise<AttemptLogChunk> {
  const call = records.call(
    LOG,
    (params) => {
      params.job = BigInt(job);
      params.attempt = attempt;
      params.start = BigInt(start);
      params.follow = follow;
    },
    options,
  );
  return resultOf(call, (results) => ({
    data: results.log.toUint8Array().slice(),
    next: Number(results.next),
    attempt: results.attempt,
  }));
}

/** Cancels a job; resolves when that is on disk. Without effect on one that has ended. */
export function cancel(
  records: Capability,
  job: number,
  reason = "",
  options?: CallOptions,
): Promise<void> {
  const call = records.call(
    CANCEL,
    (params) => {
      params.job = BigInt(job);
      params.reason = reason;
    },
    options,
  );
  return done(call);
}

/** One more attempt for a job that has ended without success. */
export function retry(records: Capability, job: number, options?: CallOptions): Promise<void> {
  const call = records.call(
    RETRY,
    (params) => {
      params.job = BigInt(job);
    },
    options,
  );
  return done(call);
}

/** What clients had of the cluster between two times. */
export function usage(
  records: Capability,
  since: number,
  until: number,
  options?: CallOptions,
): Promise<ClientUsage[]> {
  const call = records.call(
    USAGE,
    (params) => {
      params.since = since;
      params.until = until;
    },
    options,
  );
  return resultOf(call, (results) => results.clients.map(readUsage));
}

/** Which files are kept of a job; attempt 0: of the newest attempt of which there are some. */
export function outputs(
  records: Capability,
  job: number,
  attempt = 0,
  options?: CallOptions,
): Promise<KeptOutputs> {
  const call = records.call(
    OUTPUTS,
    (params) => {
      params.job = BigInt(job);
      params.attempt = attempt;
    },
    options,
  );
  return resultOf(call, (results) => ({ attempt: results.attempt, size: Number(results.size) }));
}

/** See `OutputRange`. The data is the caller's. */
export function readOutputs(
  records: Capability,
  { attempt, job, limit, start }: OutputRange,
  options?: CallOptions,
): Promise<Uint8Array> {
  const call = records.call(
    READ_OUTPUTS,
    (params) => {
      params.job = BigInt(job);
      params.attempt = attempt;
      params.start = BigInt(start);
      params.limit = limit;
    },
    options,
  );
  // What was received is in memory of its own.
  return resultOf(call, (results) => results.data.toUint8Array());
}
