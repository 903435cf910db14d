/**
 * A pool and who is connected to it: jobs come in from clients and go out to workers.
 */
import {
  type PoolDirectory,
  type PoolMonitor,
  type Registration,
  Ticket,
} from "../../api/index.js";
import type { DeferredWork } from "../../async/index.js";
import { Slices } from "../../async/index.js";
import type { Logger } from "../../console/index.js";
import {
  answers,
  type Capability,
  type Connection,
  type DetachedPointer,
  type LivenessOptions,
  RpcError,
  watchLiveness,
} from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import { FIXED_ESTIMATES } from "../pool/estimates.js";
import { INACTIVE } from "../pool/inactive-reasons.js";
import type { LearnedEstimates } from "../pool/learned-estimates.js";
import { Pool, type Subject } from "../pool/pool.js";
import type { PoolMetrics } from "../pool/pool-metrics.js";
import type { PoolWorker } from "../pool/pool-worker.js";
import type { Ticket as PoolTicket } from "../pool/ticket.js";
import type { Clock, JobTraits, PoolStore } from "../pool/types.js";
import { workersWanted } from "../pool/workers-wanted.js";
import type { WriteQueue } from "../state/write-queue.js";
import type { AttachedRun } from "./attached-run.js";
import type { QueueAccount, TicketAccount } from "./client-limits.js";
import { ClientTicket, type TicketOffice } from "./client-ticket.js";
import type { DurableJobs } from "./durable-jobs.js";
import { type EphemeralStore, EphemeralWorkers } from "./ephemeral-workers.js";
import { explanation } from "./explanation.js";
import type { JobLines } from "./job-lines.js";
import { jobObstacle } from "./job-obstacle.js";
import { LiveJobs } from "./live-jobs.js";
import { jobTraits, type PoolJob } from "./pool-job.js";
import { poolState } from "./pool-state.js";
import { poolSummary } from "./pool-summary.js";
import { QueuedJob } from "./queued-job.js";
import { type Outcome, WorkerSession } from "./worker-session.js";

/** Told what happens to jobs, for metrics. */
export interface PoolEvents {
  /** A worker took a job that had been queued for so long. */
  started(pool: string, waitedSeconds: number): void;
  finished(pool: string, outcome: Outcome): void;
}

export interface ClusterPoolOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly store: PoolStore & EphemeralStore;
  readonly writes: WriteQueue;
  readonly deferredWork: DeferredWork;
  readonly events: PoolEvents;
  readonly liveness: LivenessOptions;
  readonly log: Logger;
  /** Is told of each job that has ended. */
  readonly lines?: JobLines | undefined;
  /** Undefined where there are no durable jobs. */
  readonly durable?: DurableJobs | undefined;
  /** Undefined: by fixed estimates. */
  readonly learned?: LearnedEstimates | undefined;
  /** Within how many seconds its queue would be empty with as many workers as are wanted. */
  readonly scaleTarget: number;
}

/** A job as it is submitted. */
export interface Submitting {
  /** The id of a registered client. */
  readonly client: string;
  /** Taken. */
  readonly descr: DetachedPointer;
  readonly urgent: boolean;
  readonly queueAccount: QueueAccount;
  readonly ticketAccount: TicketAccount;
  /** Called when it has ended, or is refused. */
  readonly context?: (() => void) | undefined;
}

/** A pool's figures, with how many workers of the usual capacity it is worth. */
export interface ScaledMetrics extends PoolMetrics {
  readonly workersWanted: number;
}

/**
 * Longest name of a worker, in characters: a host name has 255 at most. It is logged, shown,
 * counted and kept for ever.
 */
const NAME_LENGTH = 1024;

export class ClusterPool {
  readonly pool: Pool<PoolJob>;
  private readonly traits: JobTraits<PoolJob>;
  /** The attached jobs that run. */
  readonly runs = new Set<AttachedRun>();
  /** Its jobs that have not ended. */
  readonly live: LiveJobs;
  private readonly office: TicketOffice;
  private readonly sessions = new Map<string, WorkerSession>();
  /** Those that are held, by client. */
  private readonly tickets = new Map<string, Set<ClientTicket>>();
  private readonly joined = new Set<(session: WorkerSession) => void>();
  private readonly ephemeral: EphemeralWorkers;
  /** How many jobs a worker runs at a time, as it was when some were connected. */
  private usual = 1;
  /** The connections that are watched because workers came by them. */
  private readonly watched = new WeakSet<Connection>();

  constructor(private readonly options: ClusterPoolOptions) {
    const { name, clock, deferredWork, durable, learned = FIXED_ESTIMATES } = options;
    const { lines, log, store } = options;
    this.traits = jobTraits(learned);
    const { traits } = this;
    this.pool = new Pool({ name, clock, store, traits, later: setImmediate, log });
    this.live = new LiveJobs(this, durable);
    this.ephemeral = new EphemeralWorkers(
      {
        attemptsOn: (worker) => this.attemptsOn(worker),
        isConnected: (worker) => this.sessions.has(worker),
        forget: async (worker) =>
          (await this.writes.run(() => this.pool.forget(worker))) !== "still connected",
        leaseMs: (durable?.lease ?? 0) * 1000,
        onError: (worker, error) => log.warn(`Worker ${quoted(worker)} is not forgotten: ${error}`),
      },
      store.ephemeralWorkers(),
    );
    this.ephemeral.start();
    this.office = {
      deferredWork,
      onCancelled: ({ client, job }, { message }) =>
        lines?.attachedCancelled(job, client.id, name, message),
    };
  }

  /** By which it learns how long jobs take; undefined if it does not. */
  get learned(): LearnedEstimates | undefined {
    return this.options.learned;
  }

  get name(): string {
    return this.options.name;
  }

  /** Through which what changes the pool's store goes. */
  get writes(): WriteQueue {
    return this.options.writes;
  }

  /** The connected workers, by name. */
  get workers(): ReadonlyMap<string, WorkerSession> {
    return this.sessions;
  }

  /**
   * Queues a job and returns its `Ticket`, owned by the caller. Throws an `RpcError` (overloaded)
   * over a limit.
   */
  submit({ client, context, descr, urgent, ...accounts }: Submitting): Capability {
    const { queueAccount, ticketAccount } = accounts;
    const { clock, durable, log } = this.options;
    if (log.informing !== false) {
      log.info(`Received new job request from ${quoted(client)} (urgent=${urgent})`);
    }
    const job = new QueuedJob(descr, queueAccount, clock(), durable?.records.nextId(), context);
    try {
      ticketAccount.enter();
    } catch (error) {
      job.break(RpcError.from(error));
      job.releaseReference();
      throw error;
    }
    // It holds what it was made for.
    const ticket = this.pool.client(client).submit(job, { urgent }) as PoolTicket<QueuedJob>;
    const siblings = this.tickets.get(client) ?? new Set();
    this.tickets.set(client, siblings);
    return Ticket.local(new ClientTicket(ticket, ticketAccount, this.office, siblings));
  }

  /** The tickets that are held, of one client or of all. */
  heldTickets(client: string | undefined): Iterable<ReadonlySet<ClientTicket>> {
    if (client === undefined) return [...this.tickets.values()];
    const own = this.tickets.get(client);
    return own ? [own] : [];
  }

  /**
   * Cancels what a client has queued, and with `cancelRunning` what it has running; its access must
   * have ended. Fulfilled when all is cancelled, of very many jobs in slices. Then forgets the
   * client and its rate.
   */
  async removeClient(id: string, cancelRunning: boolean): Promise<void> {
    const tickets = this.tickets.get(id) ?? [];
    this.tickets.delete(id);
    const slices = new Slices();
    for (const ticket of tickets) {
      ticket.revoke(cancelRunning);
      if (slices.over) await slices.turn();
    }
    await this.writes.run(() => this.pool.removeClient(id));
  }

  /**
   * Lets a worker in, and returns its `Queue`, owned by the caller. If one of that name is
   * connected it has to prove that it is still there; if it is, throws an `RpcError` (failed).
   */
  async register(
    registering: Registration.Registering,
    connection: Connection | undefined,
  ): Promise<Capability> {
    const { name, worker } = registering;
    try {
      if (name.length > NAME_LENGTH) {
        throw new RpcError("failed", `The worker's name is longer than ${NAME_LENGTH} characters`);
      }
      for (let other = this.sessions.get(name); other; other = this.sessions.get(name)) {
        await this.evict(other, connection);
      }
    } catch (error) {
      worker.release();
      throw error;
    }
    return (await this.admit(registering, connection)).queue;
  }

  /** The pool's figures, now. Costs a little for each worker and client. */
  metrics(): ScaledMetrics {
    const metrics = this.pool.metrics();
    this.usual = metrics.usualCapacity ?? this.usual;
    const wanted = workersWanted(metrics, this.options.scaleTarget, this.usual);
    return { ...metrics, workersWanted: wanted };
  }

  /** How many jobs a worker runs at a time, as far as `metrics` has learnt it. */
  get usualCapacity(): number {
    return this.usual;
  }

  /** See `ClusterPoolOptions`. */
  get scaleTarget(): number {
    return this.options.scaleTarget;
  }

  /** Durable jobs of the pool that a worker runs, as far as is known; it may be out of touch. */
  attemptsOn(worker: string): number {
    const { book } = this.options.durable ?? {};
    const attempts = book?.attemptsOn(worker) ?? [];
    return attempts.filter(({ job }) => book!.job(job)?.pool === this.name).length;
  }

  /** Ephemeral workers that were forgotten in the last minutes. */
  get departed(): readonly string[] {
    return this.ephemeral.departed;
  }

  /** Resolves when all jobs on file are in the queue. Rejects if that does not come about. */
  async whole(): Promise<void> {
    await this.options.durable?.whole;
  }

  /** The pool in numbers, now. Costs a little for each worker and client. */
  state(): PoolMonitor.PoolState {
    return poolState(this.pool, this.options.clock(), this.metrics());
  }

  /** As clients see it, now. Costs a little for each worker and client. */
  summary(): PoolDirectory.PoolSummary {
    return poolSummary(
      this.pool,
      Array.from(this.sessions.values(), ({ abilities }) => abilities),
    );
  }

  /** Why something does not run, now. Costs a little for each worker and client. */
  explain(subject: Subject): PoolMonitor.Explanation {
    return explanation(this.pool.explain(subject), this.traits);
  }

  /**
   * Why a durable job does not run, now; null if the pool has none of that number, or it has ended.
   */
  explainJob(id: number): PoolMonitor.Explanation | null {
    const { durable } = this.options;
    const job = durable?.book.job(id);
    if (!durable || job?.pool !== this.name) return null;
    const ticket = durable.ticketOf(id);
    if (ticket) return explanation(this.pool.explainTicket(ticket), this.traits);
    return { job: null, obstacles: [jobObstacle(durable.book, job)] };
  }

  /** Calls `listener` with each worker that joins from now on. Returns how to stop that. */
  onJoined(listener: (session: WorkerSession) => void): () => void {
    this.joined.add(listener);
    return () => this.joined.delete(listener);
  }

  /** Ends the session of a worker that does not answer any more; throws if it does. */
  private async evict(session: WorkerSession, claimant: Connection | undefined): Promise<void> {
    const { liveness, log } = this.options;
    const { connection, name } = session;
    if (!connection || connection === claimant || (await answers(connection, liveness.timeoutMs))) {
      this.refuse(name);
    }
    log.warn(`Worker ${quoted(name)} does not answer; another one takes its place`);
    connection.close(
      new RpcError("disconnected", `Worker ${quoted(name)} did not answer and was replaced`),
    );
    session.end();
  }

  private refuse(name: string): never {
    this.options.log.warn(`Worker ${quoted(name)} already registered!`);
    throw new RpcError("failed", "Worker already registered!");
  }

  private async admit(
    registering: Registration.Registering,
    connection: Connection | undefined,
  ): Promise<WorkerSession> {
    const { clock, durable, events, lines, log } = this.options;
    const { name, capacity, worker } = registering;
    let poolWorker: PoolWorker<PoolJob>;
    try {
      poolWorker = await this.writes.run(
        () => this.pool.register(name, Math.max(0, capacity)) ?? this.refuse(name),
      );
    } catch (error) {
      worker.release();
      throw error;
    }
    const session = new WorkerSession({
      poolWorker,
      registering,
      connection,
      pool: this.name,
      durable,
      onStarted: (job) => events.started(this.name, Math.max(0, clock() - job.submitted)),
      onFinished: (outcome) => events.finished(this.name, outcome),
      onAttached: (run) => {
        this.runs.add(run);
        durable?.history?.started(run);
      },
      onDetached: (run, output, error) => {
        this.runs.delete(run);
        const experience = run.experience(error);
        if (experience) this.learned?.learn(experience);
        lines?.attachedEnded(run, error);
        durable?.history?.ended(run, output, error);
      },
      onEphemeral: async () => {
        await this.writes.run(() => this.options.store.setEphemeral(name));
        this.ephemeral.add(name);
      },
      onEnded: () => {
        this.sessions.delete(name);
        log.info(`Worker ${quoted(name)} disconnected`);
        this.ephemeral.disconnected(name);
      },
    });
    this.sessions.set(name, session);
    if (connection) this.watch(connection);
    log.info(`Registered new worker ${quoted(name)}`);
    session.inPool.setActive(true, INACTIVE.worker);
    for (const listener of [...this.joined]) listener(session);
    return session;
  }

  private watch(connection: Connection): void {
    if (this.watched.has(connection)) return;
    this.watched.add(connection);
    watchLiveness(connection, this.options.liveness, () => this.workersBy(connection));
  }

  /** Who came by a connection, for people. */
  private workersBy(connection: Connection): string {
    const sessions = [...this.sessions.values()].filter((one) => one.connection === connection);
    if (sessions.length === 0) return "A former worker";
    return `Worker ${sessions.map(({ name }) => quoted(name)).join(", ")}`;
  }
}
