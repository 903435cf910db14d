/**
 * The jobs that are set aside: they should not go to certain workers, as it went wrong there, and others are to get them; or
 * not all workers can do what they need. They are grouped by both, so that a pop looks at one job of each group, however many
 * there are.
 */

import { IndexedHeap, type Slotted } from "./heap.js";
import { type Home, type Place, type Ticket, ticketBefore } from "./ticket.js";

/** Which workers a job is for. */
export interface Wants {
  /** The workers that it avoids, by name. */
  readonly avoids: readonly string[];
  /** What its worker must be able to do, as a set of bits. */
  readonly needs: number;
}

/** Some tickets that want the same; at least one. */
interface Group<J> extends Slotted {
  readonly key: string;
  readonly wants: Wants;
  readonly tickets: IndexedHeap<Ticket<J>>;
}

/** Adding and removing cost O(log n). Finding the first costs a little for each group before it that is passed over. */
export class Aside<J> implements Home<J> {
  private readonly groups = new Map<string, Group<J>>();
  private readonly order = new IndexedHeap<Group<J>>((a, b) =>
    ticketBefore(a.tickets.peek()!, b.tickets.peek()!),
  );
  private count = 0;
  private urgentTickets = 0;

  constructor(private readonly wants: (job: J) => Wants) {}

  get size(): number {
    return this.count;
  }

  /** How many of the tickets are urgent. */
  get urgent(): number {
    return this.urgentTickets;
  }

  add(ticket: Ticket<J>): void {
    const wants = this.wants(ticket.job);
    const key = keyOf(wants);
    let group = this.groups.get(key);
    if (group === undefined) {
      const tickets = new IndexedHeap<Ticket<J>>(ticketBefore);
      tickets.push(ticket);
      group = { key, wants, tickets, slot: 0 };
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
    const group = this.groups.get(keyOf(this.wants(ticket.job)))!;
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

  /** The first ticket of those that want such workers. */
  first(suits: (wants: Wants) => boolean): Ticket<J> | undefined {
    return this.order.firstWhere(({ wants }) => suits(wants))?.tickets.peek();
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

function keyOf({ avoids, needs }: Wants): string {
  return `${needs} ${JSON.stringify([...avoids].sort())}`;
}
