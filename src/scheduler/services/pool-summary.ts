/**
 * A pool as its clients see it: in sums, without the names of workers and other clients.
 */
import type { AbleQueue, PoolDirectory } from "../../api/index.js";
import { compareNames } from "../../text/index.js";
import type { Pool } from "../pool/pool.js";

/** @param declared what each connected worker has said of itself, as far as it did */
export function poolSummary<J>(
  pool: Pool<J>,
  declared: Iterable<AbleQueue.WorkerAbilities | undefined>,
): PoolDirectory.PoolSummary {
  const { incoming, running, workerQueues, workersCapacity, workersConnected } = pool.metrics();
  let queued = incoming.high + incoming.low;
  for (const { high, low } of workerQueues.values()) queued += high + low;
  const able = new Map<string, number>();
  for (const { abilities } of pool.workers.values()) {
    for (const each of abilities ?? []) able.set(each, (able.get(each) ?? 0) + 1);
  }
  const machines = [...declared].filter((each) => each !== undefined);
  return {
    name: pool.name,
    workers: workersConnected,
    capacity: Math.min(workersCapacity, 2 ** 32 - 1),
    running,
    queued,
    able: [...able].sort().map(([ability, workers]) => ({ ability, workers })),
    cpus: machines.reduce((most, { cpus }) => Math.max(most, cpus), 0),
    memory: machines.reduce((most, { memory }) => Math.max(most, memory), 0),
    architectures: [...new Set(machines.map(({ architecture }) => architecture))]
      .filter((name) => name !== "")
      .sort(),
  };
}

/** The pools as everybody may see them, sorted by name. */
export function poolSummaries(
  pools: Iterable<{ summary(): PoolDirectory.PoolSummary }>,
): PoolDirectory.PoolSummary[] {
  return Array.from(pools, (pool) => pool.summary()).sort((a, b) => compareNames(a.name, b.name));
}
