/**
 * What administrators can do with a pool.
 */
import { type LiveJobs, type PoolAdmin, type PoolMonitor, Worker } from "../../api/index.js";
import { deferred, Slices, unlessAborted } from "../../async/index.js";
import type { Logger } from "../../console/index.js";
import { DEFAULT_LIMITS, RpcError } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import { INACTIVE } from "../pool/inactive-reasons.js";
import type { PoolWorker } from "../pool/pool-worker.js";
import type { ClusterPool } from "./cluster-pool.js";
import type { PoolJob } from "./pool-job.js";
import type { WorkerSession } from "./worker-session.js";

/** How long a worker may take to come back from an update, in ms. */
const RESTART_TIMEOUT_MS = 600_000;

/**
 * How long the text of `show` may be, in bytes: it has to fit into a message. A million jobs with
 * usual hints take half of it.
 */
const SHOW_BYTES = DEFAULT_LIMITS.messageBytes - 1024;

export interface ClusterPoolAdminOptions {
  readonly pool: ClusterPool;
  /** Whether there is a client of that id. */
  isClient(id: string): boolean;
  readonly log: Logger;
  readonly restartTimeoutMs?: number;
  readonly showBytes?: number;
}

export class ClusterPoolAdmin implements PoolAdmin.PoolAdminService {
  constructor(private readonly options: ClusterPoolAdminOptions) {}

  async show(signal: AbortSignal): Promise<readonly Uint8Array[]> {
    const { showBytes = SHOW_BYTES } = this.options;
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    await this.options.pool.whole();
    const slices = new Slices(signal);
    for (const piece of this.options.pool.pool.showInSteps()) {
      const encoded = Buffer.from(piece);
      bytes += encoded.byteLength;
      if (bytes > showBytes) throw tooMuchToShow(showBytes);
      pieces.push(encoded);
      if (slices.over) await slices.turn();
    }
    return pieces;
  }

  workers(): readonly PoolAdmin.WorkerInfo[] {
    return this.options.pool.pool.knownWorkers();
  }

  worker(name: string) {
    return this.session(name).worker();
  }

  setActive(name: string, active: boolean, autoCreate: boolean): Promise<void> {
    const { pool, writes } = this.options.pool;
    return writes.run(() => {
      if (!autoCreate && !pool.isKnown(name)) throw unknownWorker();
      pool.withWorker(name, (worker) => worker.setActive(active, INACTIVE.adminPause));
    });
  }

  async drain(name: string, report: PoolAdmin.Report, signal: AbortSignal): Promise<void> {
    const { pool } = this.options.pool;
    const tell = this.teller(report);
    await this.setActive(name, false, false);
    const worker = pool.workers.get(name);
    if (!worker) {
      await tell("Disconnected (nothing to drain)");
      return;
    }
    for await (const running of runningJobs(worker, signal)) await tell(`Running jobs: ${running}`);
  }

  /**
   * Goes on when the administrator is gone: the worker must not be left waiting for its restart.
   */
  async update(name: string, report: PoolAdmin.Report): Promise<void> {
    const { log } = this.options;
    const tell = this.teller(report);
    const session = this.session(name);
    const { inPool } = session;
    using worker = session.worker();
    inPool.shutdown();
    try {
      for await (const running of runningJobs(inPool)) {
        if (running > 0) await tell(`Running jobs: ${running}`);
      }
      await tell("Restarting");
      log.info(`Restarting ${quoted(name)}`);
      await restart(worker);
    } catch (error) {
      // It did not restart after all, so let it work.
      if (!inPool.released) inPool.setActive(true, INACTIVE.shutdown);
      throw error;
    }
    log.info(`Waiting for ${quoted(name)} to reconnect after update`);
    await this.returned(session);
  }

  setRate(client: string, rate: number): Promise<void> {
    const { isClient, pool } = this.options;
    return pool.writes.run(() => {
      if (!isClient(client)) throw new RpcError("failed", "No such user");
      pool.pool.client(client).setRate(rate);
    });
  }

  async forget(name: string): Promise<void> {
    const { pool, writes } = this.options.pool;
    switch (await writes.run(() => pool.forget(name))) {
      case "ok":
        return;
      case "still connected":
        throw new RpcError("failed", `Worker ${quoted(name)} is still connected!`);
      case "unknown worker":
        throw new RpcError("failed", `Worker ${quoted(name)} not known in this pool`);
    }
  }

  state(): PoolMonitor.PoolState {
    return this.options.pool.state();
  }

  async explain(subject: PoolMonitor.Subject): Promise<PoolMonitor.Explanation> {
    const { isClient, pool } = this.options;
    await pool.whole();
    switch (subject.kind) {
      case "pool":
        return pool.explain({});
      case "worker":
        if (!pool.pool.isKnown(subject.worker)) throw unknownWorker();
        return pool.explain({ worker: subject.worker });
      case "client":
        if (!isClient(subject.client)) throw new RpcError("failed", "No such user");
        return pool.explain({ client: subject.client });
      case "job":
        return pool.explainJob(subject.job) ?? this.noJob(subject.job);
    }
  }

  liveJobs(filter: LiveJobs.LiveFilter, limit: number, signal: AbortSignal) {
    return this.options.pool.live.list(filter, limit, signal);
  }

  async cancelLiveJobs(filter: LiveJobs.LiveFilter, reason: string, limit: number) {
    const { log, pool } = this.options;
    const why = reason === "" ? "Cancelled by an administrator." : reason;
    const cancelled = await pool.live.cancel(filter, why, limit);
    log.info(`An administrator cancels ${cancelled.total} jobs in ${quoted(pool.name)}`);
    return cancelled;
  }

  private noJob(job: number): never {
    const { name } = this.options.pool;
    throw new RpcError(
      "failed",
      `Pool ${quoted(name)} has no durable job ${job} that has not ended`,
    );
  }

  private session(name: string): WorkerSession {
    const session = this.options.pool.workers.get(name);
    if (!session) throw unknownWorker();
    return session;
  }

  /** `report`, but it is no failure if nobody listens. */
  private teller(report: PoolAdmin.Report): PoolAdmin.Report {
    return async (status) => {
      try {
        await report(status);
      } catch (error) {
        this.options.log.info(`Failed to send progress report (${status}): ${error}`);
      }
    };
  }

  /** Fulfilled when another session has the session's name; rejects if that takes too long. */
  private async returned(session: WorkerSession): Promise<void> {
    const { pool, restartTimeoutMs = RESTART_TIMEOUT_MS } = this.options;
    const present = pool.workers.get(session.name);
    if (present && present !== session) return;
    const returned = deferred();
    const stop = pool.onJoined(({ name }) => {
      if (name === session.name) returned.resolve();
    });
    const timer = setTimeout(() => {
      returned.reject(new RpcError("failed", "Timeout waiting for worker to reconnect!"));
    }, restartTimeoutMs);
    try {
      await returned.promise;
    } finally {
      clearTimeout(timer);
      stop();
    }
  }
}

/** The number of jobs that the worker runs, now and whenever it has changed, until it is 0. */
async function* runningJobs(
  worker: PoolWorker<PoolJob>,
  signal?: AbortSignal,
): AsyncGenerator<number, void, void> {
  let last: number | undefined;
  for (;;) {
    const { running } = worker;
    if (running === last) {
      await jobFinished(worker, signal);
      continue;
    }
    last = running;
    yield running;
    if (running === 0) return;
  }
}

async function jobFinished(worker: PoolWorker<PoolJob>, signal?: AbortSignal): Promise<void> {
  const finished = deferred();
  const stop = worker.onJobFinished(() => finished.resolve());
  try {
    await unlessAborted(finished.promise, signal);
  } finally {
    stop();
  }
}

/** Fulfilled when the worker has gone to restart. */
async function restart(worker: Parameters<typeof Worker.selfUpdate>[0]): Promise<void> {
  try {
    await Worker.selfUpdate(worker);
  } catch (error) {
    if (error instanceof RpcError && error.kind === "disconnected") return;
    throw error;
  }
  throw new RpcError(
    "failed",
    "update reported success, but should have failed with a disconnection error!",
  );
}

function tooMuchToShow(limit: number): RpcError {
  return new RpcError(
    "overloaded",
    `The pool's state has more than ${limit} bytes; "ocluster-admin top POOL" has it in numbers`,
  );
}

function unknownWorker(): RpcError {
  return new RpcError("failed", "Unknown worker");
}
