/**
 * A pool in numbers, for who watches it: what our schedulers' `PoolAdmin`s offer beyond the shared
 * contract. Others answer "unimplemented".
 */
import { type Capability, method, RpcError } from "../rpc/index.js";
import { type CallOptions, resultOf } from "./calls.js";
import {
  type Explanation,
  type Obstacle,
  readExplanation,
  readObstacles,
  readSubject,
  type Subject,
  writeExplanation,
  writeObstacles,
  writeSubject,
} from "./explanation.js";
import {
  PoolMonitor$Client,
  type JobCount as WireJobCount,
  type PoolState as WirePoolState,
} from "./generated/extensions.js";

export type { Explanation, Obstacle, PauseReasons, Subject, WaitingJob } from "./explanation.js";

const [STATE, EXPLAIN] = PoolMonitor$Client.methods;

/** Numbers of queued jobs. */
export interface JobCount {
  readonly urgent: number;
  readonly other: number;
}

/** A worker that is connected, or was and has not been forgotten. */
export interface WorkerState {
  readonly name: string;
  readonly connected: boolean;
  /**
   * Why it is given no jobs, if for any reason. Of one that is not connected only `adminPause` is
   * known.
   */
  readonly workerPause: boolean;
  readonly adminPause: boolean;
  readonly shuttingDown: boolean;
  /** How many jobs it runs at a time. */
  readonly capacity: number;
  readonly running: number;
  /** Its own queue. */
  readonly queue: JobCount;
  /** What the jobs in there are expected to take, in seconds. */
  readonly work: number;
}

export interface ClientState {
  readonly id: string;
  /** How many jobs at a time it is entitled to. */
  readonly rate: number;
  /** Seconds until its next job is due by its share; at most 0: now. */
  readonly delay: number;
  /** Its jobs in all queues of the pool. */
  readonly queued: JobCount;
}

/** Numbers of jobs since the scheduler started. */
export interface JobTotals {
  readonly submitted: number;
  /** Handed to a worker. */
  readonly started: number;
  /** While they were queued. */
  readonly cancelled: number;
  /** Done, failed or lost. */
  readonly finished: number;
}

export interface PoolState {
  /** How many jobs the connected workers can run at a time. */
  readonly capacity: number;
  /** Workers' requests for a job that wait for one. */
  readonly ready: number;
  /** The queue of jobs for whatever worker. */
  readonly backlog: JobCount;
  /** Sorted by name. */
  readonly workers: readonly WorkerState[];
  /** Those that have submitted something, or whose rate was set; sorted by id. */
  readonly clients: readonly ClientState[];
  readonly totals: JobTotals;
  /**
   * What keeps the queued job that is next from running; empty if none is queued, or the scheduler
   * does not tell.
   */
  readonly obstacles: readonly Obstacle[];
  /**
   * How many workers of the usual capacity would have the queue empty within the scheduler's
   * target; null: not told.
   */
  readonly workersWanted: number | null;
}

export interface PoolMonitorService {
  state(): PoolState;
  explain(subject: Subject): Promise<Explanation>;
}

/** The methods of a pool's service that make it a `PoolMonitor`, too. */
export function monitorMethods(service: PoolMonitorService) {
  return [
    method(STATE, (call) => write(call.results()._initState(), service.state())),
    method(EXPLAIN, async (call) => {
      const subject = readSubject(call.params.subject);
      if (subject === null) {
        throw new RpcError("unimplemented", "This scheduler cannot explain such a thing yet");
      }
      const explanation = await service.explain(subject);
      writeExplanation(call.results()._initExplanation(), explanation);
    }),
  ];
}

/** Why something does not run, now. Rejects as "unimplemented" if the scheduler cannot tell. */
export function explain(
  pool: Capability,
  subject: Subject,
  options?: CallOptions,
): Promise<Explanation> {
  const call = pool.call(
    EXPLAIN,
    (params) => writeSubject(params._initSubject(), subject),
    options,
  );
  return resultOf(call, (results) => readExplanation(results.explanation));
}

/** The pool's state now. Rejects as "unimplemented" if the scheduler cannot tell. */
export function state(pool: Capability, options?: CallOptions): Promise<PoolState> {
  return resultOf(pool.call(STATE, undefined, options), (results) => read(results.state));
}

function write(wire: WirePoolState, state: PoolState): void {
  wire.capacity = state.capacity;
  wire.ready = state.ready;
  writeCount(wire._initBacklog(), state.backlog);
  const workers = wire._initWorkers(state.workers.length);
  for (const [index, { queue, ...worker }] of state.workers.entries()) {
    const entry = Object.assign(workers.get(index), worker);
    writeCount(entry._initQueue(), queue);
  }
  const clients = wire._initClients(state.clients.length);
  for (const [index, { queued, ...client }] of state.clients.entries()) {
    const entry = Object.assign(clients.get(index), client);
    writeCount(entry._initQueued(), queued);
  }
  const { submitted, started, cancelled, finished } = state.totals;
  wire.submitted = BigInt(submitted);
  wire.started = BigInt(started);
  wire.cancelled = BigInt(cancelled);
  wire.finished = BigInt(finished);
  writeObstacles(wire._initObstacles(state.obstacles.length), state.obstacles);
  if (state.workersWanted !== null) wire.wanted.workers = state.workersWanted;
}

function read(wire: WirePoolState): PoolState {
  return {
    capacity: wire.capacity,
    ready: wire.ready,
    backlog: readCount(wire.backlog),
    workers: wire.workers.map((worker) => ({
      name: worker.name,
      connected: worker.connected,
      workerPause: worker.workerPause,
      adminPause: worker.adminPause,
      shuttingDown: worker.shuttingDown,
      capacity: worker.capacity,
      running: worker.running,
      queue: readCount(worker.queue),
      work: worker.work,
    })),
    clients: wire.clients.map(({ id, rate, delay, queued }) => ({
      id,
      rate,
      delay,
      queued: readCount(queued),
    })),
    totals: {
      submitted: Number(wire.submitted),
      started: Number(wire.started),
      cancelled: Number(wire.cancelled),
      finished: Number(wire.finished),
    },
    obstacles: readObstacles(wire.obstacles),
    workersWanted: wire.wanted._isWorkers ? wire.wanted.workers : null,
  };
}

function writeCount(wire: WireJobCount, { urgent, other }: JobCount): void {
  wire.urgent = urgent;
  wire.other = other;
}

function readCount({ urgent, other }: WireJobCount): JobCount {
  return { urgent, other };
}
