/**
 * The queue of jobs that no worker was ready for. It may hold a million of them.
 *
 * A client's fair start times only ever grow, so its jobs of one urgency arrive sorted. The backlog makes use of
 * that: each client has two *lanes*, one for urgent jobs and one for the others, and a lane is a plain array
 * that is appended to at the end and consumed from the front. Only the lanes, by their first tickets, need a
 * heap: adding a job costs the same whatever the queue's length, and taking or cancelling one costs
 * O(log(number of clients)).
 *
 * *Stragglers* are the exception: tickets that come back from a worker's own queue and belong before the end of
 * their lane. They are in a heap of their own, at O(log(number of stragglers)).
 */

import type { PoolClient } from "./client.js";
import { Lane } from "./client-queue.js";
import { IndexedHeap } from "./heap.js";
import { type Home, type Place, type Ticket, ticketBefore } from "./ticket.js";

/** How many stragglers are counted to tell a ticket's place: there are seldom as many. */
const COUNTED_STRAGGLERS = 1000;

/** The tickets of a backlog at one moment, as lists that no longer change. */
export interface BacklogSnapshot<J> {
  /** Each in order, with holes where tickets were cancelled. */
  readonly lanes: readonly (readonly (Ticket<J> | undefined)[])[];
  /** In no useful order. */
  readonly stragglers: readonly Ticket<J>[];
}

export class Backlog<J> implements Home<J> {
  private readonly lanes: IndexedHeap<Lane<J>>;
  private readonly stragglers: IndexedHeap<Ticket<J>>;
  private readonly stragglersHome: Home<J>;
  private laneTickets = 0;
  private urgentTickets = 0;

  /** @param before the order of tickets; a test may count how often it is asked. */
  constructor(private readonly before: (a: Ticket<J>, b: Ticket<J>) => boolean = ticketBefore) {
    this.lanes = new IndexedHeap((a, b) => before(a.first!, b.first!));
    this.stragglers = new IndexedHeap(before);
    this.stragglersHome = {
      remove: (ticket) => {
        this.stragglers.remove(ticket);
        this.left(ticket);
      },
      place: (ticket) => this.place(ticket),
    };
  }

  get size(): number {
    return this.laneTickets + this.stragglers.size;
  }

  /** How many of the tickets are urgent. */
  get urgent(): number {
    return this.urgentTickets;
  }

  /** A lane of this backlog, for tickets of one client and one urgency. */
  openLane(): Lane<J> {
    return new Lane(this.before);
  }

  enqueue(ticket: Ticket<J>): void {
    if (ticket.urgent) this.urgentTickets++;
    const lane = ticket.client.laneFor(ticket.urgent);
    if (lane.accepts(ticket)) {
      const wasEmpty = lane.first === undefined;
      ticket.home = this;
      lane.append(ticket);
      this.laneTickets++;
      if (wasEmpty) this.lanes.push(lane);
    } else {
      ticket.home = this.stragglersHome;
      this.stragglers.push(ticket);
    }
  }

  /** The first ticket. */
  peek(): Ticket<J> | undefined {
    const straggler = this.stragglers.peek();
    const waiting = this.lanes.peek()?.first;
    return straggler && (!waiting || this.before(straggler, waiting)) ? straggler : waiting;
  }

  /** Takes out the first ticket. */
  dequeue(): Ticket<J> | undefined {
    const ticket = this.peek();
    ticket?.home?.remove(ticket);
    return ticket;
  }

  /** Takes out a ticket that is in its lane. */
  remove(ticket: Ticket<J>): void {
    const lane = ticket.client.laneFor(ticket.urgent);
    const wasFirst = lane.first === ticket;
    lane.drop(ticket);
    this.laneTickets--;
    if (lane.first === undefined) this.lanes.remove(lane);
    else if (wasFirst) this.lanes.update(lane);
    this.left(ticket);
  }

  /** The first tickets of each of a client's lanes, and its stragglers, of which all are looked at. */
  *firstOf(client: PoolClient<J>): Generator<Ticket<J>, void> {
    for (const urgent of [true, false]) {
      const { first } = client.laneFor(urgent);
      if (first) yield first;
    }
    for (const ticket of this.stragglers.toArray()) if (ticket.client === client) yield ticket;
  }

  place(ticket: Ticket<J>): Place {
    let ahead = this.stragglers.countBefore(ticket, COUNTED_STRAGGLERS);
    for (const lane of this.lanes.toArray()) ahead += lane.countBefore(ticket);
    return { worker: null, ahead: Math.min(ahead, this.size - 1), length: this.size };
  }

  /** Costs a copy of 8 bytes per ticket, which takes a few milliseconds for a million. */
  snapshot(): BacklogSnapshot<J> {
    return {
      lanes: this.lanes.toArray().map((lane) => lane.toArray()),
      stragglers: this.stragglers.toArray(),
    };
  }

  private left(ticket: Ticket<J>): void {
    ticket.home = null;
    if (ticket.urgent) this.urgentTickets--;
  }
}
