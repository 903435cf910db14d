/**
 * What a scheduler has on file of jobs, and what can be done with them: of one client's on its
 * `Submission`, of everybody's on an `Admin`. Other schedulers answer "unimplemented".
 *
 * Times are seconds since the Unix epoch, with fractions; null where there is none (yet). Sizes and
 * offsets are bytes.
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, done, resultOf } from "./calls.js";
import {
  type DurableOptions,
  readDurableOptions,
  writeDurableOptions,
} from "./durable-submission.js";
import {
  JobRecords$Client,
  type Cause as WireCause,
  type ClientUsage as WireClientUsage,
  type JobFilter as WireJobFilter,
  type JobRecord as WireJobRecord,
} from "./generated/extensions.js";
import type { LogChunk } from "./job.js";
import { type JobState, readStates, stateFromWire, stateToWire, writeStates } from "./job-state.js";

const [LIST, GET, LOG, CANCEL, RETRY, USAGE, OUTPUTS, READ_OUTPUTS] = JobRecords$Client.methods;

/** In the order of the wire's enumeration. */
const CAUSES = [
  null,
  "succeeded",
  "failed",
  "timeout",
  "no space",
  "evicted",
  "lost",
  "crashed",
  "cancelled",
] as const;

export type { JobState } from "./job-state.js";
/** How an attempt, or a job, ended; see `Cause` in extensions.capnp. */
export type Cause = NonNullable<(typeof CAUSES)[number]>;

export interface JobRecord {
  readonly job: number;
  readonly client: string;
  readonly pool: string;
  /** Belonged to a connection: neither its description nor its log are kept. */
  readonly attached: boolean;
  readonly hint: string;
  /** "": none. */
  readonly batch: string;
  /** Which row of the batch, from 0; undefined: of none, or the scheduler does not tell. */
  readonly row?: number | undefined;
  readonly urgent: boolean;
  readonly submitted: number;
  /** When its first attempt started. */
  readonly started: number | null;
  readonly ended: number | null;
  readonly state: JobState;
  readonly cause: Cause | null;
  /** For people: why it ended, or why it waits. */
  readonly reason: string;
  readonly output: string;
  readonly options: DurableOptions;
  readonly attempts: readonly AttemptRecord[];
  /** Grows with each change; at least 1. */
  readonly revision: number;
}

export interface AttemptRecord {
  readonly attempt: number;
  readonly worker: string;
  readonly offered: number;
  /** When its worker said that it runs. */
  readonly started: number | null;
  readonly ended: number | null;
  readonly outcome: Cause | null;
  readonly reason: string;
  /** Of what the scheduler has of its log. */
  readonly logSize: number;
  /** The scheduler waits for its worker to come back. */
  readonly outOfTouch: boolean;
  /** Bytes of the stream of files that is kept of it; 0: there is none (any more). */
  readonly outputSize: number;
}

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

/** What is left out does not matter. */
export interface JobFilter {
  readonly states?: readonly JobState[] | undefined;
  readonly pool?: string | undefined;
  readonly client?: string | undefined;
  /** Of any attempt. */
  readonly worker?: string | undefined;
  readonly hint?: string | undefined;
  readonly name?: string | undefined;
  readonly key?: string | undefined;
  readonly batch?: string | undefined;
  /** Submitted then or later. */
  readonly since?: number | undefined;
  /** Submitted before. */
  readonly until?: number | undefined;
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

/** What one client had of the cluster in some time. */
export interface ClientUsage {
  readonly client: string;
  /** Submitted in that time; of these the next three have ended so. */
  readonly jobs: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Spent by workers on attempts that ended in that time. */
  readonly seconds: number;
  /** Of these, on attempts that were lost, given back, or crashed. */
  readonly lostSeconds: number;
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

/** The wire's number of a cause; 0 for null. */
export function causeToWire(cause: Cause | null): WireCause {
  return CAUSES.indexOf(cause) as WireCause;
}

/** Null also for what a later version may add. */
export function causeFromWire(cause: WireCause): Cause | null {
  return CAUSES[cause] ?? null;
}

export function writeRecord(wire: WireJobRecord, record: JobRecord): void {
  wire.job = BigInt(record.job);
  wire.client = record.client;
  wire.pool = record.pool;
  wire.attached = record.attached;
  wire.name = record.options.name;
  wire.key = record.options.key;
  wire.hint = record.hint;
  wire.batch = record.batch;
  wire.urgent = record.urgent;
  wire.submitted = record.submitted;
  wire.started = record.started ?? 0;
  wire.ended = record.ended ?? 0;
  wire.state = stateToWire(record.state);
  wire.cause = causeToWire(record.cause);
  wire.reason = record.reason;
  wire.output = record.output;
  writeDurableOptions(wire._initOptions(), record.options);
  const attempts = wire._initAttempts(record.attempts.length);
  for (const [index, attempt] of record.attempts.entries()) {
    const entry = attempts.get(index);
    entry.attempt = attempt.attempt;
    entry.worker = attempt.worker;
    entry.offered = attempt.offered;
    entry.started = attempt.started ?? 0;
    entry.ended = attempt.ended ?? 0;
    entry.outcome = causeToWire(attempt.outcome);
    entry.reason = attempt.reason;
    entry.logSize = BigInt(attempt.logSize);
    entry.outOfTouch = attempt.outOfTouch;
    entry.outputSize = BigInt(attempt.outputSize);
  }
  wire.revision = BigInt(record.revision);
  wire.row = BigInt((record.row ?? -1) + 1);
}

export function readRecord(wire: WireJobRecord): JobRecord {
  return {
    job: Number(wire.job),
    client: wire.client,
    pool: wire.pool,
    attached: wire.attached,
    hint: wire.hint,
    batch: wire.batch,
    urgent: wire.urgent,
    submitted: wire.submitted,
    started: wire.started || null,
    ended: wire.ended || null,
    state: stateFromWire(wire.state),
    cause: causeFromWire(wire.cause),
    reason: wire.reason,
    output: wire.output,
    options: readDurableOptions(wire.options),
    attempts: wire.attempts.map((attempt) => ({
      attempt: attempt.attempt,
      worker: attempt.worker,
      offered: attempt.offered,
      started: attempt.started || null,
      ended: attempt.ended || null,
      outcome: causeFromWire(attempt.outcome),
      reason: attempt.reason,
      logSize: Number(attempt.logSize),
      outOfTouch: attempt.outOfTouch,
      outputSize: Number(attempt.outputSize),
    })),
    revision: Number(wire.revision),
    row: wire.row === 0n ? undefined : Number(wire.row) - 1,
  };
}

function writeFilter(wire: WireJobFilter, filter: JobFilter): void {
  const { states = [] } = filter;
  writeStates(wire._initStates(states.length), states);
  wire.pool = filter.pool ?? "";
  wire.client = filter.client ?? "";
  wire.worker = filter.worker ?? "";
  wire.hint = filter.hint ?? "";
  wire.name = filter.name ?? "";
  wire.key = filter.key ?? "";
  wire.batch = filter.batch ?? "";
  wire.since = filter.since ?? 0;
  wire.until = filter.until ?? 0;
}

function readFilter(wire: WireJobFilter): JobFilter {
  const states = readStates(wire.states);
  return {
    states: states.length > 0 ? states : undefined,
    pool: wire.pool || undefined,
    client: wire.client || undefined,
    worker: wire.worker || undefined,
    hint: wire.hint || undefined,
    name: wire.name || undefined,
    key: wire.key || undefined,
    batch: wire.batch || undefined,
    since: wire.since || undefined,
    until: wire.until || undefined,
  };
}

function writeUsage(wire: WireClientUsage, usage: ClientUsage): void {
  wire.client = usage.client;
  wire.jobs = BigInt(usage.jobs);
  wire.succeeded = BigInt(usage.succeeded);
  wire.failed = BigInt(usage.failed);
  wire.cancelled = BigInt(usage.cancelled);
  wire.seconds = usage.seconds;
  wire.lostSeconds = usage.lostSeconds;
}

function readUsage(wire: WireClientUsage): ClientUsage {
  return {
    client: wire.client,
    jobs: Number(wire.jobs),
    succeeded: Number(wire.succeeded),
    failed: Number(wire.failed),
    cancelled: Number(wire.cancelled),
    seconds: wire.seconds,
    lostSeconds: wire.lostSeconds,
  };
}
