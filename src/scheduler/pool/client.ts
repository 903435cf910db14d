/**
 * A client of a pool: its share of the workers, and the way its jobs come in.
 */

import type { Backlog } from "./backlog.js";
import type { ClientQueue } from "./client-queue.js";
import type { Dispatcher } from "./dispatcher.js";
import { ClientRemoved, InvalidRate } from "./pool-errors.js";
import { type Place, Ticket } from "./ticket.js";

export interface SubmitOptions {
  /** Goes before all jobs that are not urgent, of whatever client. */
  readonly urgent?: boolean;
}

/** Where a client's tickets wait in one backlog. */
interface Lanes<J> {
  readonly urgent: ClientQueue<J>;
  readonly other: ClientQueue<J>;
}

/**
 * Fairness: a client of rate R is entitled to R jobs running at a time. Its *next start* is when
 * the next job could start if it had just that, and each job it submits moves it on by the time the
 * job is expected to take, over R. A client that asks for more than its share so gets ever later
 * start times, and comes after the others.
 */
export class PoolClient<J> {
  private nextStartTime: number;
  private isRemoved = false;
  private urgentQueued = 0;
  private otherQueued = 0;
  /** By backlog. */
  private readonly lanes = new Map<Backlog<J>, Lanes<J>>();

  /** To be made by `Pool.client` only. */
  constructor(
    private readonly dispatcher: Dispatcher<J>,
    readonly id: string,
  ) {
    this.nextStartTime = dispatcher.clock();
  }

  /**
   * The fair start time that its next job would have, in seconds of the clock, if it is not in the
   * past.
   */
  get nextStart(): number {
    return this.nextStartTime;
  }

  /**
   * How many of its jobs are queued, in the backlog and with workers: urgent ones (`high`) and
   * others (`low`).
   */
  get queued(): { readonly high: number; readonly low: number } {
    return { high: this.urgentQueued, low: this.otherQueued };
  }

  /** How many jobs at a time it is entitled to. */
  get rate(): number {
    return this.dispatcher.store.rate(this.id);
  }

  /**
   * Holds for jobs submitted from now on, and is kept. Throws `InvalidRate`, and what
   * `PoolStore.setRate` throws.
   */
  setRate(rate: number): void {
    // With an infinite rate it would never have had its share, and all others would wait for ever.
    if (!(rate > 0 && Number.isFinite(rate))) throw new InvalidRate(rate);
    if (this.isRemoved) throw new ClientRemoved(this.id);
    this.dispatcher.store.setRate(this.id, rate);
  }

  /**
   * Queues a job. It may be given to a waiting worker at once, whose pop is answered at the next
   * settling.
   */
  submit(job: J, options: SubmitOptions = {}): Ticket<J> {
    return this.queue(job, options, Math.max(this.dispatcher.clock(), this.nextStartTime));
  }

  /**
   * Queues a job again that had been queued before, perhaps by a scheduler that ran before this
   * one: with the fair start time that it had then. Of jobs with the same one, those that are
   * restored first go first. The client's next start is as if it had submitted the job now as it
   * did then, so it pays for nothing twice.
   *
   * @param start `Ticket.start` as it was, in seconds of the clock
   */
  restore(job: J, start: number, options: SubmitOptions = {}): Ticket<J> {
    return this.queue(job, options, start);
  }

  /** Its next job starts no earlier: as it was when a scheduler ended that ran before this one. */
  resumeFrom(nextStart: number): void {
    this.nextStartTime = Math.max(this.nextStartTime, nextStart);
  }

  private queue(job: J, { urgent = false }: SubmitOptions, start: number): Ticket<J> {
    if (this.isRemoved) throw new ClientRemoved(this.id);
    const { counters, traits } = this.dispatcher;
    const { cached, nonCached } = traits.costs(job);
    const demand = this.dispatcher.demandOf(job);
    const cost = this.dispatcher.expectsCached(traits.hint(job)) ? cached : nonCached;
    this.resumeFrom(start + cost / this.rate);
    const ticket = new Ticket(this, job, urgent, start, counters.submitted, demand);
    if (urgent) this.urgentQueued++;
    else this.otherQueued++;
    this.dispatcher.submit(ticket);
    return ticket;
  }

  /** Takes a job back; see `Ticket.cancel`. */
  cancel(ticket: Ticket<J>): boolean {
    return this.dispatcher.cancel(ticket);
  }

  /**
   * The first of its tickets in some backlog; undefined if it has none there but such as are out of
   * order.
   */
  get waiting(): Ticket<J> | undefined {
    for (const { other, urgent } of this.lanes.values()) {
      const first = urgent.first ?? other.first;
      if (first) return first;
    }
    return undefined;
  }

  /** For a backlog: where its tickets of this urgency wait. */
  queueFor(urgent: boolean, backlog: Backlog<J>): ClientQueue<J> {
    let lanes = this.lanes.get(backlog);
    if (!lanes) {
      lanes = { urgent: backlog.openQueue(), other: backlog.openQueue() };
      this.lanes.set(backlog, lanes);
    }
    return urgent ? lanes.urgent : lanes.other;
  }

  /** Where a queued ticket is; see `Ticket.place`. */
  placeOf(ticket: Ticket<J>): Place | null {
    return this.dispatcher.placeOf(ticket);
  }

  /** See `Ticket.lacking`. */
  lacking({ demand }: Ticket<J>): readonly string[] {
    return this.dispatcher.demands.lacking(demand);
  }

  /** For the dispatcher: the ticket has been handed to a pop, or cancelled. */
  unqueued(ticket: Ticket<J>): void {
    if (ticket.urgent) this.urgentQueued--;
    else this.otherQueued--;
  }

  /** For the pool. What it has queued stays queued. */
  remove(): void {
    this.isRemoved = true;
  }
}
