/**
 * A pool: workers that are connected under it, and the jobs that clients submit to it. It decides
 * which worker runs which job when, and nothing else: it is pure, and all that it decides follows
 * from the calls made to it and from the clock, the store and the traits it was given.
 *
 * How a job goes through: `client.submit` queues it; some `worker.pop` is answered with its ticket,
 * at once or later; when it is done, `worker.jobFinished` says so. Costs: submitting, popping and
 * cancelling do not depend on how many jobs are queued, but for the logarithm of it at worst; see
 * `backlog.ts`.
 *
 * When things happen: every call carries out all that follows from it before it returns, with one
 * exception. Pops that wait in line are only marked when there is a job for them, and answered in a
 * *settling*, which the pool asks for through `defer`. Answers are given last, when the pool is
 * consistent, and may call it again.
 */

import { PoolClient } from "./client.js";
import { type Defer, Dispatcher } from "./dispatcher.js";
import { render } from "./dump.js";
import {
  type Explanation,
  explainClient,
  explainPool,
  explainTicket,
  explainWorker,
} from "./explain.js";
import { INACTIVE } from "./inactive-reasons.js";
import { measure, type PoolMetrics } from "./pool-metrics.js";
import { PoolWorker } from "./pool-worker.js";
import { takeSnapshot } from "./snapshot.js";
import type { Ticket } from "./ticket.js";
import type { Clock, JobTraits, PoolLog, PoolStore } from "./types.js";

export interface PoolOptions<J> {
  /** What metrics and logs call it; the store is its own already. */
  readonly name: string;
  readonly clock: Clock;
  readonly store: PoolStore;
  readonly traits: JobTraits<J>;
  /**
   * How to settle soon: by default a microtask. A driver that settles by hand passes a function
   * that does nothing.
   */
  readonly defer?: Defer;
  /**
   * How to let others run for a while, for example `setImmediate`. When given, a pop that has to
   * pass over thousands of jobs that are better off with other workers does so in several goes.
   * Without it, in one.
   */
  readonly later?: Defer;
  readonly log?: PoolLog;
}

export interface WorkerInfo {
  readonly name: string;
  readonly connected: boolean;
  /** Of a worker that is not connected: not paused by an administrator. */
  readonly active: boolean;
}

/** What `explain` is asked about: a worker, a client, or neither, which is the whole pool. */
export interface Subject {
  readonly worker?: string | undefined;
  readonly client?: string | undefined;
}

export type ForgetResult = "ok" | "still connected" | "unknown worker";

export class Pool<J> {
  readonly name: string;
  private readonly dispatcher: Dispatcher<J>;
  private readonly clientsById = new Map<string, PoolClient<J>>();

  constructor({ name, defer = queueMicrotask, ...options }: PoolOptions<J>) {
    this.name = name;
    this.dispatcher = new Dispatcher({ ...options, defer });
  }

  /** The connected workers, by name. */
  get workers(): ReadonlyMap<string, PoolWorker<J>> {
    return this.dispatcher.workers;
  }

  /** The clients that were asked for since the pool was made, and not removed, by id. */
  get clients(): ReadonlyMap<string, PoolClient<J>> {
    return this.clientsById;
  }

  /**
   * Connects a worker that can run `capacity` jobs at a time. It is inactive for the reason
   * `worker`, which is to be lifted when it is ready, and for `adminPause` if that was never
   * lifted. Null if one of that name is connected. Throws what `PoolStore.addWorker` throws.
   */
  register(name: string, capacity: number): PoolWorker<J> | null {
    const { store, workers } = this.dispatcher;
    if (workers.has(name)) return null;
    store.addWorker(name);
    const reasons = INACTIVE.worker | (store.isPaused(name) ? INACTIVE.adminPause : 0);
    const worker = new PoolWorker(this.dispatcher, name, capacity, reasons);
    workers.set(name, worker);
    return worker;
  }

  /**
   * Calls `use` with the connected worker of that name, or with one that is connected for that
   * purpose only.
   */
  withWorker<R>(name: string, use: (worker: PoolWorker<J>) => R): R {
    const connected = this.workers.get(name);
    if (connected) return use(connected);
    const transient = this.register(name, 0)!;
    try {
      return use(transient);
    } finally {
      transient.release();
    }
  }

  /** Whether a worker of that name ever registered, and was not forgotten since. */
  isKnown(worker: string): boolean {
    return this.dispatcher.store.isKnown(worker);
  }

  /** All known workers, sorted by name. */
  knownWorkers(): WorkerInfo[] {
    return this.dispatcher.store.knownWorkers().map(({ name, paused }) => {
      const worker = this.workers.get(name);
      return { name, connected: worker !== undefined, active: worker ? worker.active : !paused };
    });
  }

  /** Forgets a worker that is not connected, and its pause. The hints it holds stay on record. */
  forget(name: string): ForgetResult {
    if (!this.isKnown(name)) return "unknown worker";
    if (this.workers.has(name)) return "still connected";
    this.dispatcher.store.removeWorker(name);
    return "ok";
  }

  /** The client of that id; made if there is none, with a next start of now. */
  client(id: string): PoolClient<J> {
    let client = this.clientsById.get(id);
    if (!client) {
      client = new PoolClient(this.dispatcher, id);
      this.clientsById.set(id, client);
    }
    return client;
  }

  /**
   * Removes a client and its rate. What it has queued stays, and can still be cancelled by ticket.
   */
  removeClient(id: string): void {
    this.dispatcher.store.removeRate(id);
    this.clientsById.get(id)?.remove();
    this.clientsById.delete(id);
  }

  /** Lets marked pops go on, until none is left. */
  settle(): void {
    this.dispatcher.settle();
  }

  /**
   * The state as text for administrators, ending in a newline. With many jobs queued, prefer
   * `showInSteps`.
   */
  show(): string {
    return [...this.showInSteps()].join("");
  }

  /**
   * The same in pieces, each of which takes a millisecond or so to make, so that others can run in
   * between. It shows the moment of this call, whatever happens until the last piece is made. To
   * take note of that moment needs a few milliseconds and 8 MB for a million queued jobs.
   */
  showInSteps(): Generator<string, void, void> {
    return render(takeSnapshot(this.dispatcher, this.clientsById), this.dispatcher.traits);
  }

  /** `show`, and who holds which hint. Reads the whole record of hints, so it is for tests. */
  dump(): string {
    const { store, traits } = this.dispatcher;
    const snapshot = takeSnapshot(this.dispatcher, this.clientsById);
    return [...render({ ...snapshot, cached: [...store.cached()] }, traits)].join("");
  }

  /**
   * Why what is next does not run: the pool's first job, a client's first job, or what a known
   * worker would be given.
   */
  explain(subject: Subject = {}): Explanation<J> {
    if (subject.worker !== undefined) return explainWorker(this.dispatcher, subject.worker);
    if (subject.client === undefined) return explainPool(this.dispatcher);
    return explainClient(this.dispatcher, this.clientsById.get(subject.client));
  }

  /** Why a job does not run. Says nothing of one that is not queued. */
  explainTicket(ticket: Ticket<J>): Explanation<J> {
    return explainTicket(this.dispatcher, ticket);
  }

  /**
   * Counters and gauges, to be read when they are wanted. Costs a little for each connected worker
   * and client.
   */
  metrics(): PoolMetrics {
    return measure(this.dispatcher, this.clientsById);
  }
}
