/**
 * The waiting jobs of one client and one urgency, which arrive in order: a part of the backlog.
 */

import type { Slotted } from "./heap.js";
import type { Ticket } from "./ticket.js";

/** How many holes in a row are looked at in search of a ticket. */
const HOLES = 16;

/** Entries of a piece: few enough to be moved in no time. */
const PIECE = 4096;

/** Fewer entries are not worth tidying. */
const MIN_TIDY = 64;

/**
 * Some entries in a row. The last one is a ticket, before it there may be holes; none are left if
 * all would be holes.
 */
interface Piece<J> {
  entries: (Ticket<J> | undefined)[];
  /** How many of them are tickets. */
  live: number;
}

/**
 * A list used from `start` on, in pieces: an array of a million would hold up everything when it
 * grows, or when its front is cut off. A ticket's `slot` counts entries from the very first one, so
 * that it stays true when the front goes. Cancelled tickets leave holes, but never at either end;
 * when three quarters of a piece are holes its rest moves together. Costs are constant on average
 * where nothing else is said.
 */
export class ClientQueue<J> implements Slotted {
  /** The queue's place in the backlog's heap of queues. */
  slot = 0;
  /** The ticket to be taken next. */
  first: Ticket<J> | undefined = undefined;
  /** All but the last stand for `PIECE` slots, however many entries they have. */
  private readonly pieces: Piece<J>[] = [];
  /** The slot with which the first piece begins. */
  private origin = 0;
  /** Where the first ticket is in the first piece. */
  private start = 0;

  constructor(private readonly before: (a: Ticket<J>, b: Ticket<J>) => boolean) {}

  /** Whether the ticket belongs after all that are here. */
  accepts(ticket: Ticket<J>): boolean {
    const last = this.pieces.at(-1)?.entries.at(-1);
    return last === undefined || this.before(last, ticket);
  }

  append(ticket: Ticket<J>): void {
    let piece = this.pieces.at(-1);
    if (piece === undefined || piece.entries.length === PIECE) {
      piece = { entries: [], live: 0 };
      this.pieces.push(piece);
    }
    ticket.slot = this.origin + (this.pieces.length - 1) * PIECE + piece.entries.length;
    piece.entries.push(ticket);
    piece.live++;
    this.first ??= ticket;
  }

  /**
   * How many tickets here come before `ticket`, which may be one of them. Exact if there are no
   * holes around it; else it is taken that they are spread evenly over its piece. Looks at each
   * piece.
   */
  countBefore(ticket: Ticket<J>): number {
    let count = 0;
    let from = this.start;
    for (const { entries, live } of this.pieces) {
      const last = entries.at(-1);
      if (last !== undefined && !this.before(last, ticket)) {
        const share = live / (entries.length - from);
        return count + Math.ceil((this.search(entries, from, ticket) - from) * share);
      }
      count += live;
      from = 0;
    }
    return count;
  }

  /**
   * Where in sorted entries the ticket is, or would be; anywhere in a large hole that may be around
   * it.
   */
  private search(
    entries: readonly (Ticket<J> | undefined)[],
    from: number,
    ticket: Ticket<J>,
  ): number {
    let low = from;
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
    return low;
  }

  /** Takes a ticket out of the list. */
  drop(ticket: Ticket<J>): void {
    const index = ticket.slot - this.origin;
    const piece = this.pieces[Math.floor(index / PIECE)]!;
    const { entries } = piece;
    entries[index % PIECE] = undefined;
    piece.live--;
    if (piece.live === 0) entries.length = 0;
    while (entries.length > 0 && entries.at(-1) === undefined) entries.pop();
    if (ticket === this.first) this.findFirst();
    while (this.pieces.at(-1)?.live === 0) this.pieces.pop();
    if (entries.length >= MIN_TIDY) this.tidy(piece, ticket.slot - (index % PIECE));
  }

  /** The tickets in order, with holes. Costs a copy of 8 bytes for each. */
  toArray(): (Ticket<J> | undefined)[] {
    const [front, ...others] = this.pieces.map(({ entries }) => entries);
    return front === undefined ? [] : front.slice(this.start).concat(...others);
  }

  /** Moves the tickets of a piece, which begins with slot `base`, together if there are few. */
  private tidy(piece: Piece<J>, base: number): void {
    const from = base === this.origin ? this.start : 0;
    if (piece.live * 4 >= piece.entries.length - from) return;
    piece.entries = piece.entries.filter((ticket) => ticket !== undefined);
    piece.entries.forEach((ticket, index) => {
      ticket!.slot = base + index;
    });
    if (base === this.origin) this.start = 0;
  }

  private findFirst(): void {
    while (this.pieces[0]?.live === 0) {
      this.pieces.shift();
      this.origin += PIECE;
      this.start = 0;
    }
    const front = this.pieces[0]?.entries;
    while (front !== undefined && front[this.start] === undefined) this.start++;
    this.first = front?.[this.start];
  }
}
