/**
 * The jobs of a pool that have not ended, attached ones included: what our schedulers' `PoolAdmin`s
 * offer beyond the shared contract. Others answer "unimplemented".
 *
 * Times are seconds since the Unix epoch, with fractions; null where there is none (yet).
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, resultOf } from "./calls.js";
import {
  LiveJobs$Client,
  type LiveFilter as WireLiveFilter,
  type LiveJob as WireLiveJob,
} from "./generated/extensions.js";
import { type JobState, readStates, stateFromWire, stateToWire, writeStates } from "./job-state.js";

const [LIST, CANCEL] = LiveJobs$Client.methods;

/** What does not matter is left out. */
export interface LiveFilter {
  readonly states?: readonly JobState[] | undefined;
  readonly client?: string | undefined;
  /** That runs it: no queued job fits. */
  readonly worker?: string | undefined;
  readonly hint?: string | undefined;
}

export interface LiveJob {
  /** 0 if it has no number. */
  readonly job: number;
  readonly client: string;
  readonly attached: boolean;
  /** "": none. */
  readonly name: string;
  readonly hint: string;
  readonly urgent: boolean;
  readonly state: JobState;
  readonly submitted: number;
  /** Of one that runs; else null. */
  readonly run: {
    readonly attempt: number;
    readonly worker: string;
    readonly started: number;
    /** When something of its log came by, for its client or the scheduler. */
    readonly lastOutput: number | null;
    readonly outOfTouch: boolean;
  } | null;
}

export interface LiveList {
  /** Not all of very many. */
  readonly jobs: readonly LiveJob[];
  /** How many fit. */
  readonly total: number;
}

/** `limit`: how many are listed at most; 0: as many as fit into an answer. */
export interface LiveJobsService {
  liveJobs(filter: LiveFilter, limit: number, signal: AbortSignal): Promise<LiveList>;
  /** Goes on when nobody waits any more. */
  cancelLiveJobs(filter: LiveFilter, reason: string, limit: number): Promise<LiveList>;
}

/** The methods of a pool's service that make it a `LiveJobs`, too. */
export function liveJobsMethods(service: LiveJobsService): MethodEntry[] {
  return [
    method(LIST, async (call) => {
      const { filter, limit } = call.params;
      const found = await service.liveJobs(readFilter(filter), limit, call.signal);
      writeList(call.results(), found);
    }),
    method(CANCEL, async (call) => {
      const { filter, limit, reason } = call.params;
      writeList(call.results(), await service.cancelLiveJobs(readFilter(filter), reason, limit));
    }),
  ];
}

/** See `LiveJobsService`. Rejects as "unimplemented" if the scheduler cannot tell. */
export function list(
  pool: Capability,
  filter: LiveFilter,
  options?: CallOptions & { readonly limit?: number },
): Promise<LiveList> {
  const call = pool.call(
    LIST,
    (params) => {
      writeFilter(params._initFilter(), filter);
      params.limit = options?.limit ?? 0;
    },
    options,
  );
  return resultOf(call, readList);
}

/** Cancels all that fit. `reason`: for people; may be "". Otherwise as `list`. */
export function cancel(
  pool: Capability,
  filter: LiveFilter,
  reason = "",
  options?: CallOptions & { readonly limit?: number },
): Promise<LiveList> {
  const call = pool.call(
    CANCEL,
    (params) => {
      writeFilter(params._initFilter(), filter);
      params.reason = reason;
      params.limit = options?.limit ?? 0;
    },
    options,
  );
  return resultOf(call, readList);
}

interface WireList {
  total: number;
  readonly jobs: Iterable<WireLiveJob> & {
    map<T>(read: (job: WireLiveJob) => T): T[];
  };
  _initJobs(length: number): { get(index: number): WireLiveJob };
}

function writeList(results: WireList, { jobs, total }: LiveList): void {
  const list = results._initJobs(jobs.length);
  for (const [index, job] of jobs.entries()) write(list.get(index), job);
  results.total = total;
}

function readList(results: WireList): LiveList {
  return { jobs: results.jobs.map(read), total: results.total };
}

function write(wire: WireLiveJob, { job, run, state, ...rest }: LiveJob): void {
  Object.assign(wire, rest);
  wire.job = BigInt(job);
  wire.state = stateToWire(state);
  if (!run) return;
  wire.attempt = run.attempt;
  wire.worker = run.worker;
  wire.started = run.started;
  wire.lastOutput = run.lastOutput ?? 0;
  wire.outOfTouch = run.outOfTouch;
}

function read(wire: WireLiveJob): LiveJob {
  const state = stateFromWire(wire.state);
  const { attempt, lastOutput, outOfTouch, started, worker } = wire;
  return {
    job: Number(wire.job),
    client: wire.client,
    attached: wire.attached,
    name: wire.name,
    hint: wire.hint,
    urgent: wire.urgent,
    state,
    submitted: wire.submitted,
    run:
      state === "running"
        ? { attempt, worker, started, lastOutput: lastOutput || null, outOfTouch }
        : null,
  };
}

function writeFilter(wire: WireLiveFilter, filter: LiveFilter): void {
  const { client = "", hint = "", states = [], worker = "" } = filter;
  writeStates(wire._initStates(states.length), states);
  wire.client = client;
  wire.hint = hint;
  wire.worker = worker;
}

function readFilter(wire: WireLiveFilter): LiveFilter {
  const states = readStates(wire.states);
  return {
    states: states.length > 0 ? states : undefined,
    client: wire.client || undefined,
    worker: wire.worker || undefined,
    hint: wire.hint || undefined,
  };
}
