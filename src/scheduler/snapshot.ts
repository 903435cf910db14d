/**
 * A pool's state at one moment, taken quickly, to be made into text at leisure.
 */

import type { BacklogSnapshot } from "./backlog.js";
import type { PoolClient } from "./client.js";
import type { Dispatcher } from "./dispatcher.js";
import { compareNames } from "./names.js";
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
  { backlog, clock, line, mode, store, workers }: Dispatcher<J>,
  clients: ReadonlyMap<string, PoolClient<J>>,
): PoolSnapshot<J> {
  const connected = [...workers.values()].sort((a, b) => compareNames(a.name, b.name));
  return {
    now: clock(),
    capacity: connected.reduce((sum, { capacity }) => sum + capacity, 0),
    main:
      mode === "backlog"
        ? { mode, backlog: backlog.snapshot() }
        : { mode, line: Array.from(line, (pop) => pop.worker.name) },
    workers: connected.map(({ name, workload, running, reasons, queue }) => {
      const tickets = queue.toArray();
      const costs = tickets.map((ticket) => ticket.cost!);
      return { name, workload, running, reasons, queue: tickets, costs };
    }),
    disconnected: store.knownWorkers().filter(({ name }) => !workers.has(name)),
    clients: [...clients.values()]
      .sort((a, b) => compareNames(a.id, b.id))
      .map(({ id, rate, nextStart }) => ({ id, rate, nextStart })),
  };
}
