/**
 * A pool's figures, for monitoring.
 */

import type { PoolClient } from "./client.js";
import type { Dispatcher, PoolCounters } from "./dispatcher.js";
import { usualCapacity, type WaitingJobs } from "./workers-wanted.js";

/** Numbers of jobs by priority: urgent ones are `high`. */
export interface ByPriority {
  readonly high: number;
  readonly low: number;
}

export interface PoolMetrics {
  readonly counters: Readonly<PoolCounters>;
  /** Jobs that were handed to workers and are not finished. */
  readonly running: number;
  readonly workersConnected: number;
  /** The sum of the connected workers' capacities. */
  readonly workersCapacity: number;
  /** Pops that wait in line for a job. */
  readonly workersReady: number;
  /** Connected workers that are not active, for whatever reason. */
  readonly workersPaused: number;
  /** The backlogs, and jobs that wait for other workers than some. */
  readonly incoming: ByPriority;
  /** The connected workers' own queues, by name. */
  readonly workerQueues: ReadonlyMap<string, ByPriority>;
  /** The clients' queued jobs, wherever they are queued, by client id. */
  readonly clients: ReadonlyMap<string, ByPriority>;
  /** What waits for whatever worker, by client; those of removed clients are not among them. */
  readonly waiting: readonly WaitingJobs[];
  /** Of the connected workers, see `usualCapacity`. */
  readonly usualCapacity: number | undefined;
}

export function measure<J>(
  { aside, counters, demands, line, traits, workers }: Dispatcher<J>,
  clients: ReadonlyMap<string, PoolClient<J>>,
): PoolMetrics {
  let workersCapacity = 0;
  let workersPaused = 0;
  const workerQueues = new Map<string, ByPriority>();
  const capacities: number[] = [];
  const reserved = new Map<PoolClient<J>, number>();
  for (const { name, capacity, active, queue } of workers.values()) {
    workersCapacity += capacity;
    capacities.push(capacity);
    for (const { client } of queue.toArray()) reserved.set(client, (reserved.get(client) ?? 0) + 1);
    if (!active) workersPaused++;
    workerQueues.set(name, byPriority(queue));
  }
  const waiting: WaitingJobs[] = [];
  for (const client of clients.values()) {
    const { high, low } = client.queued;
    const jobs = high + low - (reserved.get(client) ?? 0);
    if (jobs === 0) continue;
    // One stands for all: a client's jobs are mostly of a kind.
    const first = client.waiting;
    waiting.push({ jobs, seconds: first ? traits.costs(first.job).nonCached : Infinity });
  }
  return {
    counters: { ...counters },
    running: counters.accepted - counters.finished,
    workersConnected: workers.size,
    workersCapacity,
    workersReady: line.size,
    workersPaused,
    incoming: byPriority({
      size: demands.size + aside.size,
      urgent: demands.urgent + aside.urgent,
    }),
    workerQueues,
    clients: new Map([...clients].map(([id, { queued }]) => [id, queued])),
    waiting,
    usualCapacity: usualCapacity(capacities),
  };
}

function byPriority({
  size,
  urgent,
}: {
  readonly size: number;
  readonly urgent: number;
}): ByPriority {
  return { high: urgent, low: size - urgent };
}
