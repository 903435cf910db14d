/**
 * What a scaler's capability file leads to: enough to have as many workers as are wanted, and no
 * more. An interface of our own.
 */
import { type Capability, method, serve } from "../rpc/index.js";
import { type CallOptions, done, resultOf, writeTexts } from "./calls.js";
import { Scaler$Client, type PoolDemand as WirePoolDemand } from "./generated/extensions.js";

const [POOLS, DEMAND, RETIRE] = Scaler$Client.methods;

/** A worker that is connected, or was and has not been forgotten. */
export interface PoolMember {
  readonly name: string;
  readonly connected: boolean;
  /** It is given jobs; of one that is not connected: it would be. */
  readonly active: boolean;
  /** How many jobs it runs at a time; 0 of one that is not connected. */
  readonly capacity: number;
  /** Jobs; of one that is not connected, those durable ones that it may still run. */
  readonly running: number;
}

export interface PoolDemand {
  /** How many workers of the usual capacity would have the queue empty within the target. */
  readonly wanted: number;
  /** The usual capacity. */
  readonly capacity: number;
  /** In seconds. */
  readonly target: number;
  /** Jobs. */
  readonly running: number;
  /** Jobs for whatever worker. */
  readonly queued: number;
  /** What one of these is expected to take, in seconds; 0: that is not known of any. */
  readonly seconds: number;
  /** Sorted by name. */
  readonly workers: readonly PoolMember[];
  /** Names of workers that were lately forgotten, as they were to be when they are gone. */
  readonly departed: readonly string[];
}

/** What the methods throw goes to the scaler. */
export interface ScalerService {
  /** The pools' names, sorted. */
  pools(): readonly string[];
  demand(pool: string): PoolDemand;
  /** Has a connected worker end once its jobs have; resolves when it knows. */
  retire(pool: string, worker: string, reason: string): Promise<void>;
}

export function local(service: ScalerService): Capability {
  return serve("Scaler", [
    method(POOLS, (call) => {
      const names = service.pools();
      writeTexts(call.results()._initNames(names.length), names);
    }),
    method(DEMAND, (call) => {
      const demand = service.demand(call.params.pool);
      write(call.results()._initDemand(), demand);
    }),
    method(RETIRE, ({ params: { pool, reason, worker } }) => service.retire(pool, worker, reason)),
  ]);
}

/** The pools' names, sorted. */
export function pools(scaler: Capability, options?: CallOptions): Promise<string[]> {
  return resultOf(scaler.call(POOLS, undefined, options), ({ names }) => names.toArray());
}

/** What a pool asks for, and has, now. Rejects as "failed" if there is no such pool. */
export function demand(
  scaler: Capability,
  pool: string,
  options?: CallOptions,
): Promise<PoolDemand> {
  const call = scaler.call(
    DEMAND,
    (params) => {
      params.pool = pool;
    },
    options,
  );
  return resultOf(call, (results) => read(results.demand));
}

/**
 * See `ScalerService.retire`. Rejects as "unimplemented" if the worker cannot be told: it is given
 * jobs as before then.
 */
export function retire(
  scaler: Capability,
  {
    pool,
    reason,
    worker,
  }: { readonly pool: string; readonly worker: string; readonly reason: string },
  options?: CallOptions,
): Promise<void> {
  const call = scaler.call(
    RETIRE,
    (params) => {
      params.pool = pool;
      params.worker = worker;
      params.reason = reason;
    },
    options,
  );
  return done(call);
}

function write(wire: WirePoolDemand, { departed, workers, ...figures }: PoolDemand): void {
  Object.assign(wire, figures);
  const list = wire._initWorkers(workers.length);
  for (const [index, worker] of workers.entries()) Object.assign(list.get(index), worker);
  writeTexts(wire._initDeparted(departed.length), departed);
}

function read(wire: WirePoolDemand): PoolDemand {
  return {
    wanted: wire.wanted,
    capacity: wire.capacity,
    target: wire.target,
    running: wire.running,
    queued: wire.queued,
    seconds: wire.seconds,
    workers: wire.workers.map(({ active, capacity, connected, name, running }) => ({
      name,
      connected,
      active,
      capacity,
      running,
    })),
    departed: wire.departed.toArray(),
  };
}
