/**
 * What a pool asks for and what it has, for who starts and ends workers: it costs nothing for
 * queued jobs, so that it may be asked for every few seconds.
 */
import type { Scaler } from "../../api/index.js";
import type { ClusterPool } from "./cluster-pool.js";

export function poolDemand(pool: ClusterPool): Scaler.PoolDemand {
  const metrics = pool.metrics();
  let jobs = 0;
  let known = 0;
  let seconds = 0;
  for (const waiting of metrics.waiting) {
    jobs += waiting.jobs;
    if (!Number.isFinite(waiting.seconds)) continue;
    known += waiting.jobs;
    seconds += waiting.jobs * waiting.seconds;
  }
  return {
    wanted: metrics.workersWanted,
    capacity: pool.usualCapacity,
    target: pool.scaleTarget,
    running: metrics.running,
    queued: jobs,
    seconds: known > 0 ? seconds / known : 0,
    workers: pool.pool.knownWorkers().map(({ active, connected, name }) => {
      const worker = pool.pool.workers.get(name);
      const running = worker ? worker.running : pool.attemptsOn(name);
      return { name, connected, active, capacity: worker?.capacity ?? 0, running };
    }),
    departed: pool.departed,
  };
}
