/**
 * What a scaler's secret opens: the pools in numbers, and having workers end themselves.
 */
import { Retirement, Scaler } from "../../api/index.js";
import type { Logger } from "../../console/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import { INACTIVE } from "../pool/inactive-reasons.js";
import type { ClusterPool } from "./cluster-pool.js";
import type { Grant } from "./grants.js";
import { poolDemand } from "./pool-demand.js";

/** How long a worker may take to know that it is to end, in ms. */
const TELL_TIMEOUT_MS = 10_000;

export interface ScalerServiceOptions {
  readonly grant: Grant;
  readonly pools: ReadonlyMap<string, ClusterPool>;
  readonly log: Logger;
}

/** A `Scaler`, owned by the caller. */
export function scalerService({ grant, log, pools }: ScalerServiceOptions): Capability {
  const poolOf = (name: string): ClusterPool => {
    grant.check();
    const pool = pools.get(name);
    if (pool) return pool;
    const there = [...pools.keys()].join(", ");
    throw new RpcError("failed", `No such pool ${quoted(name)}; there is ${there}`);
  };
  return Scaler.local({
    pools: () => {
      grant.check();
      return [...pools.keys()];
    },
    demand: (name) => poolDemand(poolOf(name)),
    retire: async (name, worker, reason) => {
      await retire(poolOf(name), worker, `${reason} (scaler ${quoted(grant.name)})`);
      log.info(`Worker ${quoted(worker)} is told to end: ${reason}`);
    },
  });
}

/**
 * Gives a worker no more jobs, and tells it to end. When it cannot be told, it works on, and the
 * `RpcError` says so.
 */
async function retire(pool: ClusterPool, name: string, reason: string): Promise<void> {
  const session = pool.workers.get(name);
  if (!session) throw new RpcError("failed", `Worker ${quoted(name)} is not connected`);
  const { inPool } = session;
  using worker = session.worker();
  // A reason of its own: an administrator may restart it at the same time.
  const wasRetired = (inPool.reasons & INACTIVE.retired) !== 0;
  inPool.setActive(false, INACTIVE.retired);
  try {
    await Retirement.retire(worker, reason, { signal: AbortSignal.timeout(TELL_TIMEOUT_MS) });
  } catch (error) {
    if (!wasRetired && !inPool.released) inPool.setActive(true, INACTIVE.retired);
    const { kind } = RpcError.from(error);
    if (kind === "disconnected") return; // It is gone already.
    if (kind !== "unimplemented") throw error;
    throw new RpcError(
      "unimplemented",
      `Worker ${quoted(name)} is of a version that cannot be told to end; it does with --idle-timeout`,
    );
  }
}
