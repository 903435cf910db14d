/**
 * What jobs require of a worker: that it is able to do certain things. A worker that is not never
 * gets them, unlike those that a job only avoids; one of which it is not known gets all.
 *
 * Jobs that require the same share a *demand* and its backlog, so that a pop looks at one job of
 * each demand, however many are queued. There are only a few demands in a pool. While all workers
 * are able to do everything, which demand a job is of makes no difference.
 */

import { Backlog } from "./backlog.js";
import { type Place, type Ticket, ticketBefore } from "./ticket.js";

/** What a worker is able to do; null: it has not said, and is taken to be able to do everything. */
export type Abilities = ReadonlySet<string> | null;

/** A worker, as far as it matters here. */
interface Able {
  readonly abilities: Abilities;
  readonly active: boolean;
}

export class Demand<J> {
  readonly backlog = new Backlog<J>();
  /** How many active workers are able to do these jobs. */
  active = 0;

  constructor(readonly needs: readonly string[]) {}

  isMetBy({ abilities }: Able): boolean {
    return abilities === null || this.needs.every((need) => abilities.has(need));
  }
}

export class Demands<J> {
  private readonly byKey = new Map<string, Demand<J>>();

  /** @param workers the connected ones */
  constructor(private readonly workers: { values(): Iterable<Able> }) {}

  /** The demand of jobs that need these abilities, in whatever order. */
  of(needs: readonly string[]): Demand<J> {
    const key = needs.length > 1 ? JSON.stringify([...needs].sort()) : (needs[0] ?? "");
    let demand = this.byKey.get(key);
    if (!demand) {
      demand = new Demand(needs);
      for (const worker of this.workers.values()) {
        if (worker.active && demand.isMetBy(worker)) demand.active++;
      }
      this.byKey.set(key, demand);
    }
    return demand;
  }

  /** An active worker has come (1) or is about to be one no more, or not as it was (-1). */
  count(worker: Able, by: 1 | -1): void {
    for (const demand of this.byKey.values()) if (demand.isMetBy(worker)) demand.active += by;
  }

  /** How many jobs are in the backlogs. */
  get size(): number {
    return this.sum(({ size }) => size);
  }

  /** How many of them are urgent. */
  get urgent(): number {
    return this.sum(({ urgent }) => urgent);
  }

  get backlogs(): Backlog<J>[] {
    return Array.from(this.byKey.values(), ({ backlog }) => backlog);
  }

  /** The first of the jobs that this worker is able to do; without a worker, of all. */
  first(worker?: Able): Ticket<J> | undefined {
    let first: Ticket<J> | undefined;
    for (const demand of this.byKey.values()) {
      const ticket = demand.backlog.peek();
      if (!ticket || (first && ticketBefore(first, ticket))) continue;
      if (!worker || demand.isMetBy(worker)) first = ticket;
    }
    return first;
  }

  /**
   * Of the jobs that this active worker is able to do, as many as each of those could get that are
   * able to do them.
   */
  partOf(worker: Able): number {
    let part = 0;
    for (const demand of this.byKey.values()) {
      if (demand.isMetBy(worker)) part += demand.backlog.size / Math.max(1, demand.active);
    }
    return Math.floor(part);
  }

  /**
   * The place of a ticket that is in its demand's backlog: among all jobs for which the same
   * workers may ask.
   */
  place(ticket: Ticket<J>): Place {
    let { ahead, length } = ticket.demand.backlog.place(ticket);
    for (const demand of this.byKey.values()) {
      const { backlog } = demand;
      if (demand === ticket.demand || backlog.size === 0 || !this.compete(demand, ticket.demand))
        continue;
      ahead += backlog.countBefore(ticket);
      length += backlog.size;
    }
    return { worker: null, ahead: Math.min(ahead, length - 1), length };
  }

  /**
   * What no connected worker is able to do of what these jobs need, or not all of it together;
   * empty if some worker is.
   */
  lacking({ active, needs }: Demand<J>): readonly string[] {
    if (active > 0 || needs.length === 0) return [];
    const connected = [...this.workers.values()];
    const has = ({ abilities }: Able, need: string) => abilities === null || abilities.has(need);
    if (connected.length === 0) return [];
    if (connected.some((worker) => needs.every((need) => has(worker, need)))) return [];
    const missing = needs.filter((need) => !connected.some((worker) => has(worker, need)));
    return missing.length > 0 ? missing : needs;
  }

  /**
   * Whether some worker may get jobs of both, now; so it is, too, while there is none that may get
   * either.
   */
  private compete(a: Demand<J>, b: Demand<J>): boolean {
    if (a.active === 0 && b.active === 0) return true;
    if (a.active === 0 || b.active === 0) return false;
    for (const worker of this.workers.values()) {
      if (worker.active && a.isMetBy(worker) && b.isMetBy(worker)) return true;
    }
    return false;
  }

  private sum(of: (backlog: Backlog<J>) => number): number {
    let sum = 0;
    for (const { backlog } of this.byKey.values()) sum += of(backlog);
    return sum;
  }
}
