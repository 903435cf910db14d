/**
 * An administrator's view of one pool.
 */
import type { Struct } from "capnp-es";
import { type Capability, type Method, method, serve } from "../rpc/index.js";
import { setTextPieces } from "./byte-text.js";
import { type CallOptions, capabilityOf, done, optionalCapability, resultOf } from "./calls.js";
import { PoolAdmin$Client } from "./generated/ocluster.js";
import { type LiveJobsService, liveJobsMethods } from "./live-jobs.js";
import { monitorMethods, type PoolMonitorService } from "./pool-monitor.js";
import * as Progress from "./progress.js";

const [SHOW, WORKERS, SET_ACTIVE, WORKER, UPDATE, SET_RATE, FORGET, DRAIN] =
  PoolAdmin$Client.methods;

/** A worker that has registered at some time and was not forgotten. */
export interface WorkerInfo {
  readonly name: string;
  /**
   * It is given jobs; of one that is not connected: it will be, as no administrator has paused it.
   */
  readonly active: boolean;
  readonly connected: boolean;
}

/**
 * Tells who asked for an operation how it goes. Fulfilled when they know; rejects if they cannot be
 * told.
 */
export type Report = (status: string) => Promise<void>;

/**
 * What the methods throw goes to the administrator. The signals are aborted when nobody waits for
 * the end any more.
 */
export interface PoolAdminService extends PoolMonitorService, LiveJobsService {
  /** The pool's state as text for people, in pieces of its UTF-8. */
  show(signal: AbortSignal): Promise<readonly Uint8Array[]>;
  workers(): readonly WorkerInfo[];
  /** A connected worker's `Worker`, owned by the caller. */
  worker(name: string): Capability;
  /**
   * Pauses or unpauses a worker, connected or not; `autoCreate`: also one that never registered.
   */
  setActive(name: string, active: boolean, autoCreate: boolean): Promise<void>;
  /** Pauses a worker and waits until it runs nothing. */
  drain(name: string, report: Report, signal: AbortSignal): Promise<void>;
  /** Drains a worker, has it restart itself and waits until it is back. */
  update(name: string, report: Report, signal: AbortSignal): Promise<void>;
  /** Sets how many jobs at a time a client is entitled to. */
  setRate(client: string, rate: number): Promise<void>;
  /** Forgets a worker that is not connected. */
  forget(name: string): Promise<void>;
}

export function local(service: PoolAdminService): Capability {
  return serve("PoolAdmin", [
    method(SHOW, async (call) => {
      const state = await service.show(call.signal);
      await setTextPieces(call.results(), 0, state);
    }),
    method(WORKERS, (call) => {
      const workers = service.workers();
      const list = call.results()._initWorkers(workers.length);
      for (const [index, { name, active, connected }] of workers.entries()) {
        const info = list.get(index);
        info.name = name;
        info.active = active;
        info.connected = connected;
      }
    }),
    method(SET_ACTIVE, ({ params: { worker, active, autoCreate } }) =>
      service.setActive(worker, active, autoCreate),
    ),
    method(WORKER, (call) => {
      const worker = service.worker(call.params.worker);
      call.results();
      call.setCapability(0, worker);
    }),
    method(UPDATE, (call) => {
      const name = call.params.worker;
      const progress = optionalCapability(call, 1);
      return withReport(progress, (report) => service.update(name, report, call.signal));
    }),
    method(SET_RATE, ({ params: { id, rate } }) => service.setRate(id, rate)),
    method(FORGET, ({ params }) => service.forget(params.worker)),
    method(DRAIN, (call) => {
      const name = call.params.worker;
      const progress = optionalCapability(call, 1);
      return withReport(progress, (report) => service.drain(name, report, call.signal));
    }),
    ...monitorMethods(service),
    ...liveJobsMethods(service),
  ]);
}

/** Takes the `Progress`, if the caller has one. */
async function withReport(
  progress: Capability | undefined,
  use: (report: Report) => Promise<void>,
): Promise<void> {
  try {
    await use(async (status) => {
      if (progress) await Progress.report(progress, status);
    });
  } finally {
    progress?.release();
  }
}

/** The pool's state as text, for people. */
export function show(pool: Capability, options?: CallOptions): Promise<string> {
  return resultOf(pool.call(SHOW, undefined, options), ({ state }) => state);
}

/** The known workers, sorted by name. */
export function workers(pool: Capability, options?: CallOptions): Promise<WorkerInfo[]> {
  return resultOf(pool.call(WORKERS, undefined, options), (results) =>
    results.workers.map(({ name, active, connected }) => ({ name, active, connected })),
  );
}

/** A connected worker's `Worker`, owned by the caller; broken if there is none of that name. */
export function worker(pool: Capability, name: string): Capability {
  const call = pool.call(WORKER, (params) => {
    params.worker = name;
  });
  return capabilityOf(call, 0);
}

/** See `PoolAdminService.setActive`. */
export function setActive(
  pool: Capability,
  name: string,
  active: boolean,
  options?: CallOptions & { readonly autoCreate?: boolean },
): Promise<void> {
  const call = pool.call(
    SET_ACTIVE,
    (params) => {
      params.worker = name;
      params.active = active;
      params.autoCreate = options?.autoCreate ?? false;
    },
    options,
  );
  return done(call);
}

/** See `PoolAdminService.drain`. */
export function drain(
  pool: Capability,
  name: string,
  report: (status: string) => void,
  options?: CallOptions,
): Promise<void> {
  return reported(DRAIN, pool, name, report, options);
}

/** See `PoolAdminService.update`. */
export function update(
  pool: Capability,
  name: string,
  report: (status: string) => void,
  options?: CallOptions,
): Promise<void> {
  return reported(UPDATE, pool, name, report, options);
}

/** An operation on a worker that tells how it goes. */
function reported<P extends Struct & { worker: string }>(
  operation: Method<P, Struct>,
  pool: Capability,
  name: string,
  report: (status: string) => void,
  options?: CallOptions,
): Promise<void> {
  const call = pool.call(
    operation,
    (params, payload) => {
      params.worker = name;
      payload.setCapability(1, Progress.local(report));
    },
    options,
  );
  return done(call);
}

/** See `PoolAdminService.setRate`. */
export function setRate(
  pool: Capability,
  client: string,
  rate: number,
  options?: CallOptions,
): Promise<void> {
  const call = pool.call(
    SET_RATE,
    (params) => {
      params.id = client;
      params.rate = rate;
    },
    options,
  );
  return done(call);
}

/** See `PoolAdminService.forget`. */
export function forget(pool: Capability, name: string, options?: CallOptions): Promise<void> {
  const call = pool.call(
    FORGET,
    (params) => {
      params.worker = name;
    },
    options,
  );
  return done(call);
}
