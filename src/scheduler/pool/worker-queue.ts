/**
 * A worker's own queue: the jobs that were handed to it because it holds their hint, or because it
 * waited longest. It is short, as a worker with much queued work is given no more: about `nonCached
 * / cached` jobs.
 */

import { IndexedHeap } from "./heap.js";
import { type Home, type Place, type Ticket, ticketBefore } from "./ticket.js";

export class WorkerQueue<J> implements Home<J> {
  private readonly tickets = new IndexedHeap<Ticket<J>>(ticketBefore);
  private urgentTickets = 0;
  private work = 0;

  /** @param worker the worker's name */
  constructor(private readonly worker: string) {}

  get size(): number {
    return this.tickets.size;
  }

  /** How many of the tickets are urgent. */
  get urgent(): number {
    return this.urgentTickets;
  }

  /** The sum of the tickets' costs, in seconds. */
  get workload(): number {
    return this.work;
  }

  enqueue(ticket: Ticket<J>, cost: number): void {
    ticket.home = this;
    ticket.cost = cost;
    this.work += cost;
    if (ticket.urgent) this.urgentTickets++;
    this.tickets.push(ticket);
  }

  /** The first ticket. */
  peek(): Ticket<J> | undefined {
    return this.tickets.peek();
  }

  /** Takes out the first ticket. */
  dequeue(): Ticket<J> | undefined {
    const first = this.tickets.peek();
    if (first) this.remove(first);
    return first;
  }

  remove(ticket: Ticket<J>): void {
    this.tickets.remove(ticket);
    this.work -= ticket.cost!;
    if (ticket.urgent) this.urgentTickets--;
    ticket.home = null;
    ticket.cost = null;
  }

  place(ticket: Ticket<J>): Place {
    const ahead = this.tickets.countBefore(ticket, this.size);
    return { worker: this.worker, ahead, length: this.size };
  }

  /** Takes out all tickets, in no useful order. */
  takeAll(): Ticket<J>[] {
    const all = this.tickets.toArray();
    for (const ticket of all) {
      ticket.home = null;
      ticket.cost = null;
    }
    this.tickets.clear();
    this.work = 0;
    this.urgentTickets = 0;
    return all;
  }

  /** The tickets in no useful order. */
  toArray(): Ticket<J>[] {
    return this.tickets.toArray();
  }
}
