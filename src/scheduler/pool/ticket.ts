/**
 * A submitted job and its place in the order of all jobs.
 */

import type { PoolClient } from "./client.js";
import type { Demand } from "./demand.js";
import type { Slotted } from "./heap.js";

/** Where a ticket is in a queue. */
export interface Place {
  /** The worker whose own queue it is; null for the backlog. */
  readonly worker: string | null;
  /**
   * How many tickets for the same workers come before it: an estimate when tickets in there were
   * cancelled.
   */
  readonly ahead: number;
  /** How many tickets wait there, itself included. */
  readonly length: number;
}

/**
 * Whatever a queued ticket sits in: a client's queue or the tickets out of order of the backlog, or
 * a worker's own queue.
 */
export interface Home<J> {
  /** Takes the ticket out, with all that was counted for it. */
  remove(ticket: Ticket<J>): void;
  /** Costs O(number of clients · log(number of tickets) + number of tickets / 4096) at most. */
  place(ticket: Ticket<J>): Place;
}

/**
 * A ticket is *queued* from its submission until it is handed to a pop or cancelled; meanwhile it
 * may move between the backlog and workers' own queues. What happens to the job afterwards is not
 * the pool's concern.
 */
export class Ticket<J> implements Slotted {
  /** Where it is queued; null when it is not. */
  home: Home<J> | null = null;
  /** Its position there, as its home counts. */
  slot = 0;
  /** In a worker's own queue, what it is expected to cost there (seconds); null elsewhere. */
  cost: number | null = null;
  /**
   * Whether the worker that has it, or has it in its own queue, was chosen because it holds the
   * job's hint.
   */
  cached = false;

  constructor(
    readonly client: PoolClient<J>,
    readonly job: J,
    readonly urgent: boolean,
    /**
     * The fair start time: when the job would start if its client had its fair share, in seconds of
     * the clock.
     */
    readonly start: number,
    /** Counts submissions. */
    readonly sequence: number,
    /** What it requires of a worker. */
    readonly demand: Demand<J>,
  ) {}

  get queued(): boolean {
    return this.home !== null;
  }

  /**
   * Where it is queued now; null if it is not. It may fall back when others come that are more
   * entitled.
   */
  place(): Place | null {
    return this.client.placeOf(this);
  }

  /**
   * Of the abilities that it needs, those that no connected worker has; none if some worker has
   * all, or none is connected.
   */
  lacking(): readonly string[] {
    return this.client.lacking(this);
  }

  /**
   * Takes the job back. False if it is not queued (any more). Costs O(log n) at most, and works for
   * tickets of removed clients too.
   */
  cancel(): boolean {
    return this.client.cancel(this);
  }
}

/**
 * The order of every queue: urgent jobs first, then by fair start time, then by order of
 * submission.
 */
export function ticketBefore<J>(a: Ticket<J>, b: Ticket<J>): boolean {
  if (a.urgent !== b.urgent) return a.urgent;
  if (a.start !== b.start) return a.start < b.start;
  return a.sequence < b.sequence;
}
