/**
 * A lane of the backlog: the waiting jobs of one client and one urgency, which arrive in order.
 */

import type { Slotted } from "./heap.js";
import type { Home, Place, Ticket } from "./ticket.js";

/** How many holes in a row are looked at in search of a ticket. */
const HOLES = 16;

/** What a lane is a part of. */
export interface LaneOwner<J> {
  /** Has `lane.drop` the ticket. */
  remove(ticket: Ticket<J>, lane: Lane<J>): void;
  place(ticket: Ticket<J>): Place;
}

/** Below this many entries an array is not worth tidying. */
const MIN_TIDY = 64;

/**
 * An array used from `start` on. A ticket's `slot` is its index plus `offset`, the number of entries that tidying
 * has dropped in front of it, so that slots stay true when the front goes. Cancelled tickets leave holes, but never
 * at either end; when three quarters are holes the rest moves together. All costs are constant on average.
 */
export class Lane<J> implements Slotted, Home<J> {
  /** The lane's place in the backlog's heap of lanes. */
  slot = 0;
  /** The ticket to be taken next. */
  first: Ticket<J> | undefined = undefined;
  private entries: (Ticket<J> | undefined)[] = [];
  private start = 0;
  private offset = 0;
  private live = 0;

  constructor(
    private readonly before: (a: Ticket<J>, b: Ticket<J>) => boolean,
    private readonly owner: LaneOwner<J>,
  ) {}

  /** Whether the ticket belongs after all that are here. */
  accepts(ticket: Ticket<J>): boolean {
    const last = this.entries[this.entries.length - 1];
    return last === undefined || this.before(last, ticket);
  }

  append(ticket: Ticket<J>): void {
    ticket.home = this;
    ticket.slot = this.offset + this.entries.length;
    this.entries.push(ticket);
    this.live++;
    this.first ??= ticket;
  }

  /** For whoever finds a ticket here; the backlog then calls `drop`. */
  remove(ticket: Ticket<J>): void {
    this.owner.remove(ticket, this);
  }

  place(ticket: Ticket<J>): Place {
    return this.owner.place(ticket);
  }

  /**
   * How many tickets here come before `ticket`, which may be one of them. Exact if there are no holes; else it is taken
   * that they are spread evenly.
   */
  countBefore(ticket: Ticket<J>): number {
    const { entries, start } = this;
    let low = start;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      let probe = middle;
      while (probe < high && entries[probe] === undefined && probe - middle < HOLES) probe++;
      const found = entries[probe];
      if (probe < high && found === undefined) low = high = middle;
      else if (found !== undefined && probe < high && this.before(found, ticket)) low = probe + 1;
      else high = middle;
    }
    const share = this.live / Math.max(1, entries.length - start);
    return Math.ceil((low - start) * share);
  }

  /** Takes a ticket out of the array. */
  drop(ticket: Ticket<J>): void {
    const { entries } = this;
    this.live--;
    if (this.live === 0) {
      this.entries = [];
      this.start = 0;
      this.first = undefined;
      return;
    }
    entries[ticket.slot - this.offset] = undefined;
    while (entries[entries.length - 1] === undefined) entries.pop();
    while (entries[this.start] === undefined) this.start++;
    this.first = entries[this.start];
    if (entries.length >= MIN_TIDY) this.tidy();
  }

  /** The tickets in order, with holes. */
  toArray(): (Ticket<J> | undefined)[] {
    return this.entries.slice(this.start);
  }

  private tidy(): void {
    const { entries, start } = this;
    if (this.live * 4 < entries.length - start) {
      this.entries = entries.filter((ticket) => ticket !== undefined);
      this.entries.forEach((ticket, index) => {
        ticket!.slot = index;
      });
      this.start = 0;
      this.offset = 0;
    } else if (start * 2 > entries.length) {
      this.entries = entries.slice(start);
      this.offset += start;
      this.start = 0;
    }
  }
}
