/**
 * The jobs that are set aside: they should not go to certain workers, as it went wrong there, and
 * others are to get them. They are grouped by the workers that they avoid and by what they need, so
 * that a pop looks at one job of each group, however many there are.
 */

import { IndexedHeap, type Slotted } from "./heap.js";
import { type Home, type Place, type Ticket, ticketBefore } from "./ticket.js";

/** Some tickets that avoid the same workers and need the same; at least one. */
interface Group<J> extends Slotted {
  readonly key: string;
  readonly avoids: readonly string[];
  readonly tickets: IndexedHeap<Ticket<J>>;
}

/**
 * Adding and removing cost O(log n). Finding the first costs a little for each group before it that
 * is passed over.
 */
export class Aside<J> implements Home<J> {
  private readonly groups = new Map<string, Group<J>>();
  private readonly order = new IndexedHeap<Group<J>>((a, b) =>
    ticketBefore(a.tickets.peek()!, b.tickets.peek()!),
  );
  private count = 0;
  private urgentTickets = 0;

  /** @param avoids the workers that a job avoids, by name */
  constructor(private readonly avoids: (job: J) => readonly string[]) {}

  get size(): number {
    return this.count;
  }

  /** How many of the tickets are urgent. */
  get urgent(): number {
    return this.urgentTickets;
  }

  add(ticket: Ticket<J>): void {
    const names = this.avoids(ticket.job);
    const key = keyOf(ticket, names);
    let group = this.groups.get(key);
    if (group === undefined) {
      const tickets = new IndexedHeap<Ticket<J>>(ticketBefore);
      tickets.push(ticket);
      group = { key, avoids: names, tickets, slot: 0 };
      this.groups.set(key, group);
      this.order.push(group);
    } else {
      group.tickets.push(ticket);
      this.order.update(group);
    }
    ticket.home = this;
    this.count++;
    if (ticket.urgent) this.urgentTickets++;
  }

  remove(ticket: Ticket<J>): void {
    const group = this.groups.get(keyOf(ticket, this.avoids(ticket.job)))!;
    if (group.tickets.size === 1) {
      this.order.remove(group);
      this.groups.delete(group.key);
    } else {
      group.tickets.remove(ticket);
      this.order.update(group);
    }
    ticket.home = null;
    this.count--;
    if (ticket.urgent) this.urgentTickets--;
  }

  /**
   * The first ticket of those that suit. A group is asked for by its first, and the workers that
   * all of it avoid.
   */
  first(suits: (ticket: Ticket<J>, avoids: readonly string[]) => boolean): Ticket<J> | undefined {
    return this.order
      .firstWhere(({ avoids, tickets }) => suits(tickets.peek()!, avoids))
      ?.tickets.peek();
  }

  place(ticket: Ticket<J>): Place {
    const ahead = this.toArray().filter((other) => ticketBefore(other, ticket)).length;
    return { worker: null, ahead, length: this.count };
  }

  /** The tickets in no useful order. */
  toArray(): Ticket<J>[] {
    return [...this.groups.values()].flatMap(({ tickets }) => tickets.toArray());
  }
}

function keyOf<J>({ demand }: Ticket<J>, names: readonly string[]): string {
  return JSON.stringify([[...names].sort(), demand.needs]);
}
