/**
 * Who gets which job: the main queue, and the rules by which jobs and pops find each other.
 *
 * States of the main queue:
 * - *backlog*: a queue of jobs, and no pop waits in line. It starts so. A pop that finds it empty
 *   turns it to ready, and is the first in line.
 * - *ready*: a line of pops that wait, and no job is in the backlog. A job that finds nobody in
 *   line turns it to backlog, and is the first in there.
 *
 * States of a job's ticket:
 * - new: submitted. The worker that holds its hint and has little queued, else (in mode ready) the
 *   first in line, gets it into its own queue; without such a worker it goes to the backlog.
 * - in the backlog: until it is first there and an active worker's pop comes. If another worker is
 *   better for it, it moves to that worker's queue; else that pop takes it.
 * - in a worker's own queue: until it is first there and a pop of that worker's comes. When the
 *   worker becomes inactive it is new again, or goes back to the backlog.
 * - taken: that pop was answered with it. Or cancelled: from wherever it was queued. It is in no
 *   queue any more.
 *
 * The states of pops are told in pop.ts, those of workers in pool-worker.ts; which of several
 * workers with a job's hint is best, in candidates.ts.
 *
 * A job that avoids workers may be *aside* in either mode, while pops of just these wait in line:
 * it is for the next pop of any other, as long as there is an active one; else it is like all jobs.
 *
 * A job that is handed to a waiting pop goes through the worker's own queue: the job is put there
 * at once, and the worker's pops are *marked*; at the next settling they start again and find it.
 * In between the job can still be cancelled, and the pool never calls out while it is in the middle
 * of a change.
 */

import { quoted } from "../../text/index.js";
import { Aside } from "./aside.js";
import { Candidates } from "./candidates.js";
import { type Abilities, type Demand, Demands } from "./demand.js";
import type { PoolWorker } from "./pool-worker.js";
import { type Pop, ReadyLine } from "./pop.js";
import { type Place, type Ticket, ticketBefore } from "./ticket.js";
import type { Clock, JobTraits, PoolLog, PoolStore } from "./types.js";

/**
 * How many jobs one pop may pass on to better workers in one go, where it can be interrupted: some
 * 5 ms of work.
 */
const PASSES_IN_ONE_GO = 5000;

const NOBODY: readonly string[] = [];
const NOTHING: readonly string[] = [];

/** Runs a function soon, but not within this call. */
export type Defer = (run: () => void) => void;

export interface DispatcherOptions<J> {
  readonly clock: Clock;
  readonly store: PoolStore;
  readonly traits: JobTraits<J>;
  readonly defer: Defer;
  readonly later?: Defer;
  readonly log?: PoolLog;
}

/** Events since the pool was made. */
export interface PoolCounters {
  submitted: number;
  /** Cancelled while they were queued. */
  cancelled: number;
  /** Handed to a worker. */
  accepted: number;
  /** Reported as done by, or lost with, a worker. */
  finished: number;
}

export class Dispatcher<J> {
  readonly counters: PoolCounters = { submitted: 0, cancelled: 0, accepted: 0, finished: 0 };
  readonly aside: Aside<J>;
  readonly line = new ReadyLine<J>();
  /** The connected workers by name. */
  readonly workers = new Map<string, PoolWorker<J>>();
  /** The jobs for whatever worker is able to do them. */
  readonly demands = new Demands<J>(this.workers);
  readonly clock: Clock;
  readonly store: PoolStore;
  readonly traits: JobTraits<J>;
  readonly log: PoolLog | undefined;
  mode: "backlog" | "ready" = "backlog";

  /** How many queued jobs there are with each hint but the empty one. */
  private readonly pending = new Map<string, number>();
  /** The marked pops, from `settled` on, in the order in which they were marked. */
  private marked: Pop<J>[] = [];
  private settled = 0;
  private settling = false;
  private readonly defer: Defer;
  private readonly later: Defer | undefined;

  constructor({ clock, store, traits, defer, later, log }: DispatcherOptions<J>) {
    this.clock = clock;
    this.store = store;
    this.traits = traits;
    this.aside = new Aside((job) => this.avoids(job));
    this.defer = defer;
    this.later = later;
    this.log = log;
  }

  /** For lines that are not worth making unless they are shown. */
  get details(): PoolLog | undefined {
    return this.log?.debugging ? this.log : undefined;
  }

  /** What a new job requires of a worker. */
  demandOf(job: J): Demand<J> {
    return this.demands.of(this.traits.needs?.(job) ?? NOTHING);
  }

  /** Where a ticket is; null if it is not queued. */
  placeOf(ticket: Ticket<J>): Place | null {
    const { home } = ticket;
    if (!home) return null;
    const isInOrder = home !== this.aside && ticket.cost === null;
    return isInOrder ? this.demands.place(ticket) : home.place(ticket);
  }

  /** Lets a new job in. */
  submit(ticket: Ticket<J>): void {
    const hint = this.traits.hint(ticket.job);
    if (hint !== "") this.pending.set(hint, (this.pending.get(hint) ?? 0) + 1);
    this.counters.submitted++;
    this.place(ticket);
  }

  /**
   * Whether a job with this hint that is submitted now is likely to find its hint held by the time
   * it runs.
   */
  expectsCached(hint: string): boolean {
    return hint !== "" && (this.pending.has(hint) || this.store.holders(hint).length > 0);
  }

  cancel(ticket: Ticket<J>): boolean {
    if (!ticket.home) return false;
    this.log?.info(`Cancel ${this.traits.label(ticket.job)}`);
    ticket.home.remove(ticket);
    this.counters.cancelled++;
    this.unqueued(ticket);
    return true;
  }

  /** Starts a pop: answers it, or lets it wait for its worker to become active or for a job. */
  start(pop: Pop<J>): void {
    const { worker } = pop;
    if (worker.released) pop.end(null);
    else if (worker.active) this.serve(pop);
    else this.idle(pop);
  }

  /** Starts the marked pops again, in the order in which they were marked, until none is left. */
  settle(): void {
    try {
      while (this.settled < this.marked.length) {
        const pop = this.marked[this.settled++]!;
        if (pop.state !== "marked") continue;
        pop.line?.remove(pop);
        this.start(pop);
      }
    } finally {
      // An answer that throws must not keep the other pops from going on.
      this.marked = this.marked.slice(this.settled);
      this.settled = 0;
      if (this.marked.length > 0) this.settleSoon();
    }
  }

  /**
   * For a worker that has just become inactive: finds other places for its jobs, and marks its
   * pops.
   */
  retire(worker: PoolWorker<J>): void {
    const { name, queue } = worker;
    this.log?.info(`${quoted(name)} marked inactive (reassigning ${queue.size} items)`);
    while (this.mode === "ready" && queue.size > 0) this.place(queue.dequeue()!);
    for (const ticket of queue.takeAll()) {
      this.details?.debug(`Pushing ${this.traits.label(ticket.job)} back on to the main queue`);
      this.keep(ticket);
    }
    this.reconsider();
    this.mark(worker);
  }

  /**
   * For an active worker, which is able to do other things from now on: its jobs that it is not
   * able to do go elsewhere.
   */
  refit(worker: PoolWorker<J>, abilities: Abilities): void {
    this.demands.count(worker, -1);
    worker.abilities = abilities;
    this.demands.count(worker, 1);
    const unfit = worker.queue.toArray().filter(({ demand }) => !demand.isMetBy(worker));
    for (const ticket of unfit.sort((a, b) => (ticketBefore(a, b) ? -1 : 1))) {
      worker.queue.remove(ticket);
      this.place(ticket);
    }
    this.reconsider();
    this.mark(worker);
  }

  /**
   * Finds a job for the pop of an active worker. On the way, jobs that prefer other workers are
   * passed on to them.
   */
  private serve(pop: Pop<J>): void {
    const { queue } = pop.worker;
    const candidates = new Candidates(this.workers, this.store);
    for (let passes = 1; ; passes++) {
      const own = queue.dequeue();
      const ticket = own ?? this.next(pop.worker);
      if (!ticket) {
        this.wait(pop);
        return;
      }
      if (own || !this.prefer(ticket, candidates)) {
        this.take(ticket, pop, own ? "its local queue" : "the main queue");
        return;
      }
      if (this.later && passes >= PASSES_IN_ONE_GO) {
        this.interrupt(pop, this.later);
        return;
      }
    }
  }

  /**
   * The next job for an active worker, if there is one at this moment and `accepts` says so; it
   * counts as running then. Else nothing changes but that jobs that prefer other workers may have
   * been passed on to them.
   */
  takeNow(worker: PoolWorker<J>, accepts: (job: J) => boolean): Ticket<J> | null {
    if (!worker.active) return null;
    const candidates = new Candidates(this.workers, this.store);
    for (let passes = 0; passes < PASSES_IN_ONE_GO; passes++) {
      const own = worker.queue.peek();
      const ticket = own ?? this.nextFor(worker);
      if (!ticket || !accepts(ticket.job)) return null;
      ticket.home!.remove(ticket);
      if (own || !this.prefer(ticket, candidates)) {
        this.hand(ticket, worker, own ? "its local queue" : "the main queue");
        return ticket;
      }
    }
    return null;
  }

  /**
   * What the worker may take at a time of the jobs that are queued for whatever worker, so that
   * others that are active get as many, and of its own.
   */
  partOf(worker: PoolWorker<J>): number {
    return worker.queue.size + this.demands.partOf(worker);
  }

  /** Takes the first job out of the main queue that the worker may be given. */
  private next(worker: PoolWorker<J>): Ticket<J> | undefined {
    const ticket = this.nextFor(worker);
    if (ticket) ticket.home!.remove(ticket);
    else this.mode = "ready";
    return ticket;
  }

  private avoids(job: J): readonly string[] {
    return this.traits.avoids?.(job) ?? NOBODY;
  }

  /** The first job of the main queue that the worker may be given. */
  nextFor(worker: PoolWorker<J>): Ticket<J> | undefined {
    const waiting = this.demands.first(worker);
    if (this.aside.size === 0) return waiting;
    const aside = this.aside.first((ticket, avoids) => this.maySend(ticket, avoids, worker));
    return aside && (!waiting || ticketBefore(aside, waiting)) ? aside : waiting;
  }

  /** Whether the worker may be given the job, now that these workers are active. */
  mayGet(worker: PoolWorker<J>, ticket: Ticket<J>): boolean {
    return this.maySend(ticket, this.avoids(ticket.job), worker);
  }

  /**
   * Whether a job that avoids these workers may go to this one: it may if it is able, and there is
   * no other.
   */
  private maySend(
    { demand }: Ticket<J>,
    avoids: readonly string[],
    worker: PoolWorker<J>,
  ): boolean {
    if (!demand.isMetBy(worker)) return false;
    return !avoids.includes(worker.name) || !this.hasOther(demand, avoids);
  }

  /** Whether a worker is active and able that is none of these. */
  private hasOther(demand: Demand<J>, names: readonly string[]): boolean {
    let others = demand.active;
    for (const name of names) {
      const worker = this.workers.get(name);
      if (worker?.active && demand.isMetBy(worker)) others--;
    }
    return others > 0;
  }

  /** Those that a job really avoids: none if there are no others. */
  private avoidedBy({ demand, job }: Ticket<J>): readonly string[] {
    const names = this.avoids(job);
    return names.length > 0 && this.hasOther(demand, names) ? names : NOBODY;
  }

  /** Puts a job where jobs wait for a pop. */
  private keep(ticket: Ticket<J>): void {
    ticket.cached = false;
    if (this.avoids(ticket.job).length > 0) this.aside.add(ticket);
    else ticket.demand.backlog.enqueue(ticket);
  }

  /** A worker is gone: jobs aside for which it was the last one go to those that they avoid. */
  private reconsider(): void {
    while (this.mode === "ready" && this.line.size > 0 && this.aside.size > 0) {
      const ticket = this.aside.first(
        ({ demand }, avoids) => !this.hasOther(demand, avoids) && this.isAwaited(demand),
      );
      if (!ticket) return;
      this.aside.remove(ticket);
      this.place(ticket);
      if (ticket.home === this.aside) return;
    }
  }

  /** Whether the pop of an active worker waits in line that is able to do such jobs. */
  private isAwaited(demand: Demand<J>): boolean {
    for (const { worker } of this.line) if (worker.active && demand.isMetBy(worker)) return true;
    return false;
  }

  /** Finds a place for a job that is in no queue. */
  private place(ticket: Ticket<J>): void {
    if (this.mode === "ready" && this.line.size > 0) {
      if (this.prefer(ticket, new Candidates(this.workers, this.store))) return;
      const worker = this.firstInLine(ticket);
      if (worker) {
        const { job } = ticket;
        const { nonCached } = this.traits.costs(job);
        ticket.cached = false;
        this.assign(ticket, worker, nonCached, "the next free worker");
        this.store.markCached(this.traits.hint(job), worker.name);
        return;
      }
    }
    this.keep(ticket);
    // Whoever still waits in line is not able to do it, and others that come may be for them.
    if (ticket.home !== this.aside && this.line.size === 0) this.mode = "backlog";
    this.details?.debug(`Adding ${this.traits.label(ticket.job)} to the backlog`);
  }

  /**
   * Takes the first pop of an active worker for this job out of the line, with those of inactive
   * ones before it.
   */
  private firstInLine(ticket: Ticket<J>): PoolWorker<J> | null {
    const avoided = this.avoidedBy(ticket);
    for (const pop of this.line) {
      const { worker } = pop;
      if (avoided.includes(worker.name) || !ticket.demand.isMetBy(worker)) continue;
      this.line.remove(pop);
      if (worker.active) return worker;
    }
    return null;
  }

  /** Puts the job in the queue of the worker that is best for it, if there is one. */
  private prefer(ticket: Ticket<J>, candidates: Candidates<J>): boolean {
    const hint = this.traits.hint(ticket.job);
    if (hint === "") return false;
    const { cached, nonCached } = this.traits.costs(ticket.job);
    const worker = candidates.best(hint, nonCached, ticket.demand, this.avoidedBy(ticket));
    if (!worker) return false;
    ticket.cached = true;
    this.assign(ticket, worker, cached, "preferred");
    return true;
  }

  private assign(ticket: Ticket<J>, worker: PoolWorker<J>, cost: number, why: string): void {
    this.details?.debug(
      `Assigning ${this.traits.label(ticket.job)} to ${quoted(worker.name)} (${why})`,
    );
    worker.queue.enqueue(ticket, cost);
    this.mark(worker);
  }

  private take(ticket: Ticket<J>, pop: Pop<J>, from: string): void {
    this.hand(ticket, pop.worker, from);
    pop.end(ticket);
  }

  private hand(ticket: Ticket<J>, worker: PoolWorker<J>, from: string): void {
    if (this.log && this.log.informing !== false) {
      this.log.info(`${quoted(worker.name)} takes ${this.traits.label(ticket.job)} from ${from}`);
    }
    this.store.markCached(this.traits.hint(ticket.job), worker.name);
    worker.running++;
    this.counters.accepted++;
    this.unqueued(ticket);
  }

  private idle(pop: Pop<J>): void {
    pop.state = "idle";
    pop.worker.pops.add(pop);
  }

  private wait(pop: Pop<J>): void {
    this.details?.debug(`${quoted(pop.worker.name)} is waiting for more work`);
    pop.state = "in line";
    pop.worker.pops.add(pop);
    this.line.join(pop);
  }

  private interrupt(pop: Pop<J>, later: Defer): void {
    pop.state = "marked";
    later(() => {
      if (pop.state === "marked") this.start(pop);
    });
  }

  /** Marks the pops that wait in line, or waited there, for this worker. */
  private mark(worker: PoolWorker<J>): void {
    for (const pop of worker.pops) {
      pop.state = "marked";
      this.marked.push(pop);
    }
    worker.pops.clear();
    if (this.marked.length > 0) this.settleSoon();
  }

  private settleSoon(): void {
    if (this.settling) return;
    this.settling = true;
    this.defer(() => {
      this.settling = false;
      this.settle();
    });
  }

  private unqueued(ticket: Ticket<J>): void {
    ticket.client.unqueued(ticket);
    const hint = this.traits.hint(ticket.job);
    if (hint === "") return;
    const others = this.pending.get(hint)! - 1;
    if (others > 0) this.pending.set(hint, others);
    else this.pending.delete(hint);
  }
}
