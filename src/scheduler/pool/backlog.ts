/**
 * The queue of jobs that no worker was ready for. It may hold a million of them.
 *
 * A client's fair start times only ever grow, so its jobs of one urgency arrive sorted. The backlog
 * makes use of that: each client has two *queues*, one for urgent jobs and one for the others, and
 * such a queue is a list that is appended to at the end and consumed from the front. Only the
 * queues, by their first tickets, need a heap: adding a job costs the same whatever the backlog's
 * length, and taking or cancelling one costs O(log(number of clients)).
 *
 * Tickets *out of order* are the exception: they come back from a worker's own queue and belong
 * before the end of their client's. They are in a heap of their own, at O(log(number of them)).
 */

import type { PoolClient } from "./client.js";
import { ClientQueue } from "./client-queue.js";
import { IndexedHeap } from "./heap.js";
import { type Home, type Place, type Ticket, ticketBefore } from "./ticket.js";

/** How many tickets out of order are counted to tell a ticket's place: there are seldom as many. */
const COUNTED_OUT_OF_ORDER = 1000;

/** The tickets of a backlog at one moment, as lists that no longer change. */
export interface BacklogSnapshot<J> {
  /** Each in order, with holes where tickets were cancelled. */
  readonly clientQueues: readonly (readonly (Ticket<J> | undefined)[])[];
  /** In no useful order. */
  readonly outOfOrder: readonly Ticket<J>[];
}

export class Backlog<J> implements Home<J> {
  private readonly clientQueues: IndexedHeap<ClientQueue<J>>;
  private readonly outOfOrder: IndexedHeap<Ticket<J>>;
  private readonly outOfOrderHome: Home<J>;
  private inOrder = 0;
  private urgentTickets = 0;

  /** @param before the order of tickets; a test may count how often it is asked. */
  constructor(private readonly before: (a: Ticket<J>, b: Ticket<J>) => boolean = ticketBefore) {
    this.clientQueues = new IndexedHeap((a, b) => before(a.first!, b.first!));
    this.outOfOrder = new IndexedHeap(before);
    this.outOfOrderHome = {
      remove: (ticket) => {
        this.outOfOrder.remove(ticket);
        this.left(ticket);
      },
      place: (ticket) => this.place(ticket),
    };
  }

  get size(): number {
    return this.inOrder + this.outOfOrder.size;
  }

  /** How many of the tickets are urgent. */
  get urgent(): number {
    return this.urgentTickets;
  }

  /** A queue of this backlog, for tickets of one client and one urgency. */
  openQueue(): ClientQueue<J> {
    return new ClientQueue(this.before);
  }

  enqueue(ticket: Ticket<J>): void {
    if (ticket.urgent) this.urgentTickets++;
    const queue = ticket.client.queueFor(ticket.urgent, this);
    if (queue.accepts(ticket)) {
      const wasEmpty = queue.first === undefined;
      ticket.home = this;
      queue.append(ticket);
      this.inOrder++;
      if (wasEmpty) this.clientQueues.push(queue);
    } else {
      ticket.home = this.outOfOrderHome;
      this.outOfOrder.push(ticket);
    }
  }

  /** The first ticket. */
  peek(): Ticket<J> | undefined {
    const late = this.outOfOrder.peek();
    const waiting = this.clientQueues.peek()?.first;
    return late && (!waiting || this.before(late, waiting)) ? late : waiting;
  }

  /** Takes out the first ticket. */
  dequeue(): Ticket<J> | undefined {
    const ticket = this.peek();
    ticket?.home?.remove(ticket);
    return ticket;
  }

  /** Takes out a ticket that is in its client's queue. */
  remove(ticket: Ticket<J>): void {
    const queue = ticket.client.queueFor(ticket.urgent, this);
    const wasFirst = queue.first === ticket;
    queue.drop(ticket);
    this.inOrder--;
    if (queue.first === undefined) this.clientQueues.remove(queue);
    else if (wasFirst) this.clientQueues.update(queue);
    this.left(ticket);
  }

  /**
   * The first tickets of each of a client's queues, and its tickets out of order, all of which are
   * looked at.
   */
  *firstOf(client: PoolClient<J>): Generator<Ticket<J>, void> {
    for (const urgent of [true, false]) {
      const { first } = client.queueFor(urgent, this);
      if (first) yield first;
    }
    for (const ticket of this.outOfOrder.toArray()) if (ticket.client === client) yield ticket;
  }

  place(ticket: Ticket<J>): Place {
    const ahead = this.countBefore(ticket);
    return { worker: null, ahead: Math.min(ahead, this.size - 1), length: this.size };
  }

  /**
   * How many tickets here come before `ticket`, which may be one of them: an estimate, as for its
   * place.
   */
  countBefore(ticket: Ticket<J>): number {
    let count = this.outOfOrder.countBefore(ticket, COUNTED_OUT_OF_ORDER);
    for (const queue of this.clientQueues.toArray()) count += queue.countBefore(ticket);
    return count;
  }

  /** Costs a copy of 8 bytes per ticket, which takes a few milliseconds for a million. */
  snapshot(): BacklogSnapshot<J> {
    return {
      clientQueues: this.clientQueues.toArray().map((queue) => queue.toArray()),
      outOfOrder: this.outOfOrder.toArray(),
    };
  }

  private left(ticket: Ticket<J>): void {
    ticket.home = null;
    if (ticket.urgent) this.urgentTickets--;
  }
}
