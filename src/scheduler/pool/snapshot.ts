/**
 * A pool's state at one moment, taken quickly, to be made into text at leisure.
 */

import { compareNames } from "../../text/index.js";
import type { BacklogSnapshot } from "./backlog.js";
import type { PoolClient } from "./client.js";
import type { Dispatcher } from "./dispatcher.js";
import type { PoolWorker } from "./pool-worker.js";
import type { Ticket } from "./ticket.js";
import type { KnownWorker } from "./types.js";

/** Tickets are not copied: what is shown of them, but for the cost, never changes. */
export interface PoolSnapshot<J> {
  /** In seconds of the clock. */
  readonly now: number;
  readonly capacity: number;
  readonly main:
    | { readonly mode: "backlog"; readonly backlog: BacklogSnapshot<J> }
    /** The workers whose pops wait in line, from the one that came first. */
    | { readonly mode: "ready"; readonly line: readonly string[] };
  /** The jobs that wait for other workers than some, or than those in line. */
  readonly aside: BacklogSnapshot<J>;
  /** The connected workers, by name. */
  readonly workers: readonly WorkerSnapshot<J>[];
  /** The known workers that are not connected, by name. */
  readonly disconnected: readonly KnownWorker[];
  readonly clients: readonly ClientSnapshot[];
  /** Who holds which hint, by hint; left out of `show`. */
  readonly cached?: readonly (readonly [hint: string, workers: readonly string[]])[];
}

export interface WorkerSnapshot<J> {
  readonly name: string;
  readonly workload: number;
  readonly running: number;
  readonly reasons: number;
  /** Its own queue, in no useful order. */
  readonly queue: readonly Ticket<J>[];
  /** What each of these costs there, in seconds. */
  readonly costs: readonly number[];
}

export interface ClientSnapshot {
  readonly id: string;
  readonly rate: number;
  /** Its next start, in seconds of the clock. */
  readonly nextStart: number;
}

export function takeSnapshot<J>(
  { aside, clock, demands, line, mode, store, workers }: Dispatcher<J>,
  clients: ReadonlyMap<string, PoolClient<J>>,
): PoolSnapshot<J> {
  // The known workers are sorted, and whoever is connected is known.
  const connected: WorkerSnapshot<J>[] = [];
  const disconnected: KnownWorker[] = [];
  for (const known of store.knownWorkers()) {
    const worker = workers.get(known.name);
    if (worker) connected.push(workerSnapshot(worker));
    else disconnected.push(known);
  }
  const backlog = together(demands.backlogs.map((one) => one.snapshot()));
  const outOfOrder = aside.toArray();
  let capacity = 0;
  for (const worker of workers.values()) capacity += worker.capacity;
  return {
    now: clock(),
    capacity,
    main:
      mode === "backlog"
        ? { mode, backlog }
        : { mode, line: Array.from(line, (pop) => pop.worker.name) },
    aside:
      mode === "backlog"
        ? { clientQueues: [], outOfOrder }
        : together([backlog, { clientQueues: [], outOfOrder }]),
    workers: connected,
    disconnected,
    clients: [...clients.values()]
      .sort((a, b) => compareNames(a.id, b.id))
      .map(({ id, rate, nextStart }) => ({ id, rate, nextStart })),
  };
}

function together<J>(parts: readonly BacklogSnapshot<J>[]): BacklogSnapshot<J> {
  return {
    clientQueues: parts.flatMap(({ clientQueues }) => clientQueues),
    outOfOrder: parts.flatMap(({ outOfOrder }) => outOfOrder),
  };
}

function workerSnapshot<J>(worker: PoolWorker<J>): WorkerSnapshot<J> {
  const { name, workload, running, reasons } = worker;
  const queue = worker.queue.toArray();
  const costs = queue.map((ticket) => ticket.cost!);
  return { name, workload, running, reasons, queue, costs };
}
