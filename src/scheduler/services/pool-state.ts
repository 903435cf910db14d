/**
 * A pool in numbers, for administrators who watch it live: it costs nothing for queued jobs, so
 * that it may be asked for every second.
 */
import type { PoolMonitor } from "../../api/index.js";
import { compareNames } from "../../text/index.js";
import { INACTIVE } from "../pool/inactive-reasons.js";
import type { Pool } from "../pool/pool.js";
import type { ByPriority } from "../pool/pool-metrics.js";
import type { ScaledMetrics } from "./cluster-pool.js";
import { pauseReasons, wireObstacle } from "./explanation.js";

/**
 * @param now in seconds of the pool's clock
 * @param metrics the pool's, now
 */
export function poolState<J>(
  pool: Pool<J>,
  now: number,
  metrics: ScaledMetrics,
): PoolMonitor.PoolState {
  const { clients, counters, incoming, workerQueues, workersCapacity, workersReady } = metrics;
  const { submitted, accepted: started, cancelled, finished } = counters;
  return {
    capacity: workersCapacity,
    ready: workersReady,
    backlog: jobCount(incoming),
    workers: pool.knownWorkers().map(({ name, connected, active }) => {
      const worker = pool.workers.get(name);
      const reasons = worker?.reasons ?? (active ? 0 : INACTIVE.adminPause);
      return {
        name,
        connected,
        ...pauseReasons(reasons),
        capacity: worker?.capacity ?? 0,
        running: worker?.running ?? 0,
        queue: jobCount(workerQueues.get(name)),
        work: worker?.workload ?? 0,
      };
    }),
    clients: [...pool.clients.values()]
      .sort((a, b) => compareNames(a.id, b.id))
      .map(({ id, rate, nextStart }) => ({
        id,
        rate,
        delay: nextStart - now,
        queued: jobCount(clients.get(id)),
      })),
    totals: { submitted, started, cancelled, finished },
    obstacles: pool.explain().obstacles.map(wireObstacle),
    workersWanted: metrics.workersWanted,
  };
}

function jobCount({ high, low }: ByPriority = { high: 0, low: 0 }): PoolMonitor.JobCount {
  return { urgent: high, other: low };
}
