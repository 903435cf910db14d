/**
 * A worker that is connected, from its registration until it gives its queue up or its connection
 * ends.
 */
import {
  AbleQueue,
  BulkQueue,
  ContextSource,
  DurableQueue,
  EphemeralQueue,
  Job,
  Queue,
  type Registration,
} from "../../api/index.js";
import {
  type Caller,
  type Capability,
  type Connection,
  type DetachedPointer,
  type MethodEntry,
  RpcError,
  weakReference,
} from "../../rpc/index.js";
import { INACTIVE } from "../pool/inactive-reasons.js";
import type { PoolWorker } from "../pool/pool-worker.js";
import type { Ticket } from "../pool/ticket.js";
import { AttachedRun } from "./attached-run.js";
import { readBlobs } from "./context-desk.js";
import type { DurableJobs } from "./durable-jobs.js";
import { DurableSession, type Offered } from "./durable-session.js";
import type { Leases } from "./leases.js";
import { type DurableRecord, isAttached, type PoolJob } from "./pool-job.js";
import type { QueuedJob } from "./queued-job.js";

/** How a job ended: `disconnected` is one that was lost with its worker. */
export type Outcome = "ok" | "failed" | "disconnected";

/**
 * How many requests for a job one worker may have waiting. Each job that the worker gets has all of
 * them start again; those that we know of have one, or as many as they have room for.
 */
const WAITING_REQUESTS = 1000;

export interface WorkerSessionOptions {
  /** The worker as the pool sees it; this session's own. */
  readonly poolWorker: PoolWorker<PoolJob>;
  readonly registering: Registration.Registering;
  /** Undefined for a worker in this process. */
  readonly connection: Connection | undefined;
  /** The name of its pool. */
  readonly pool: string;
  /** Undefined where there are no durable jobs. */
  readonly durable?: DurableJobs | undefined;
  /** For the first time, if it is durable. */
  onStarted(job: PoolJob): void;
  onFinished(outcome: Outcome): void;
  /** An attached job has started. */
  onAttached(run: AttachedRun): void;
  /** It has ended. `error`: why it failed; null if it succeeded. */
  onDetached(run: AttachedRun, output: string, error: RpcError | null): void;
  /** Nothing is to be kept of it once it is gone. Resolves when that is written. */
  onEphemeral(): Promise<void>;
  onEnded(): void;
}

export class WorkerSession {
  /** The worker's `Queue`, to be given to it. */
  readonly queue: Capability;
  private readonly poolWorker: PoolWorker<PoolJob>;
  private readonly workerCapability: Capability;
  private readonly durable: DurableSession | undefined;
  private declared: AbleQueue.WorkerAbilities | undefined;
  private ended = false;
  private waiting = 0;

  constructor(private readonly options: WorkerSessionOptions) {
    this.poolWorker = options.poolWorker;
    this.workerCapability = options.registering.worker;
    this.learn();
    const { durable: jobs, onFinished, pool } = options;
    const { poolWorker } = this;
    this.durable = jobs && new DurableSession({ jobs, pool, poolWorker, onFinished });
    this.queue = Queue.local(
      {
        pop: (job, caller) => this.popOnly(job, caller),
        setActive: (active) => this.poolWorker.setActive(active, INACTIVE.worker),
        release: () => this.end(),
      },
      [
        ...AbleQueue.ableQueueMethods({ declare: (abilities) => this.declare(abilities) }),
        ...EphemeralQueue.ephemeralQueueMethods({
          forgetWhenGone: () => this.options.onEphemeral(),
        }),
        ...(this.durable ? this.durableMethods(this.durable) : []),
        ...(jobs
          ? ContextSource.contextSourceMethods({
              readBlobs: (range) => readBlobs(jobs.contexts, range),
            })
          : []),
      ],
    );
  }

  get name(): string {
    return this.poolWorker.name;
  }

  get connection(): Connection | undefined {
    return this.options.connection;
  }

  get inPool(): PoolWorker<PoolJob> {
    return this.poolWorker;
  }

  /** The `Worker`; the caller owns the reference. */
  worker(): Capability {
    return this.workerCapability.dup();
  }

  /** Its queued jobs go elsewhere, and the name is free again. What it runs goes on. Idempotent. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.poolWorker.release();
    this.durable?.leases.end();
    this.workerCapability.release();
    this.options.onEnded();
  }

  /** What it has said that it is able to do; undefined: nothing. */
  get abilities(): AbleQueue.WorkerAbilities | undefined {
    return this.declared;
  }

  private learn(): void {
    this.poolWorker.learn(new Set(this.declared?.able ?? AbleQueue.CONTRACT));
  }

  private declare(abilities: AbleQueue.WorkerAbilities): void {
    this.declared = abilities;
    this.learn();
  }

  private durableMethods(durable: DurableSession): MethodEntry[] {
    const { leases } = durable;
    return [
      ...DurableQueue.durableQueueMethods({
        resume: (held) => durable.resume(held),
        popDurable: (job, caller) => this.pop(job, caller, true),
      }),
      ...BulkQueue.bulkQueueMethods({
        take: (job, wish, caller) => this.takeMany(job, wish, caller, leases),
        leaseBegun: (id, run) => leases.begun(id, run),
        leasesEnded: (ends) => leases.ended(ends),
        keepLeases: (jobs) => leases.keep(jobs),
      }),
    ];
  }

  /** @param resumes whether the worker knows durable jobs */
  private pop(job: Capability, caller: Caller, resumes: boolean): Promise<DurableQueue.Popped> {
    return this.next(job, caller, (ticket) => this.take(ticket, job, caller, resumes));
  }

  /** The same for a worker that knows attached jobs only. */
  private popOnly(job: Capability, caller: Caller): Promise<DetachedPointer> {
    return this.next(job, caller, (ticket) => {
      const { cached, job: found } = ticket;
      if (isAttached(found)) return this.start(found, ticket, job);
      const how = { resumes: false, cached };
      return this.offer(found, job, caller, how).then(({ descr }) => descr);
    });
  }

  /** As many as the worker wishes that are there, and its part; `job` is for an attached one. */
  private takeMany(
    job: Capability,
    wish: BulkQueue.LeaseWish,
    caller: Caller,
    leases: Leases,
  ): Promise<BulkQueue.Taken> {
    const wanted = Math.max(1, Math.min(wish.room + wish.ahead, BulkQueue.MOST_LEASES));
    this.poolWorker.appetite = wanted;
    return this.next(job, caller, async (ticket) => {
      const { client, job: first } = ticket;
      if (isAttached(first)) {
        const owner = { client: client.id, number: first.id };
        return { kind: "attached", descr: this.start(first, ticket, job), owner };
      }
      const found = leases.findMore({ ticket, job: first }, wanted);
      let taken: BulkQueue.Taken | null;
      try {
        taken = await leases.grant(found, wish.templates, caller);
      } catch (error) {
        job.release();
        throw error;
      }
      // The worker waits for others.
      if (!taken) return this.takeMany(job, wish, caller, leases);
      job.release();
      for (const { job: one } of found) if (one.attempts === 1) this.options.onStarted(one);
      return taken;
    });
  }

  /**
   * Waits for a job, which is given to `take` at that moment, as is `job`: it is released if none
   * comes.
   */
  private next<T>(
    job: Capability,
    caller: Caller,
    take: (ticket: Ticket<PoolJob>) => T | Promise<T>,
  ): Promise<T> {
    const jobs = this.options.durable;
    if (jobs && !jobs.isWhole) return this.nextWhenWhole(jobs, job, caller, take);
    this.durable?.asked();
    if (this.waiting >= WAITING_REQUESTS) {
      job.release();
      throw new RpcError(
        "overloaded",
        `This worker has ${WAITING_REQUESTS} requests for jobs waiting, which is the limit. Ask again when one is answered`,
      );
    }
    this.waiting++;
    return new Promise((resolve, reject) => {
      // Not made for a job that is there at once.
      let signal: AbortSignal | undefined;
      const pop = this.poolWorker.pop((ticket) => {
        this.waiting--;
        signal?.removeEventListener("abort", callOff);
        if (ticket) {
          resolve(take(ticket));
        } else {
          job.release();
          reject(new RpcError("failed", "Worker disconnected"));
        }
      });
      // A worker that no longer waits for the answer must not be given a job: it would never run.
      function callOff(): void {
        if (pop.cancel()) withdraw();
      }
      const withdraw = () => {
        this.waiting--;
        job.release();
        reject(calledOff());
      };
      if (pop.state === "ended") return;
      signal = caller.signal;
      if (signal.aborted) callOff();
      else signal.addEventListener("abort", callOff, { once: true });
    });
  }

  /** The job that comes first may not be in the queue yet. */
  private async nextWhenWhole<T>(
    jobs: DurableJobs,
    job: Capability,
    caller: Caller,
    take: (ticket: Ticket<PoolJob>) => T | Promise<T>,
  ): Promise<T> {
    try {
      await jobs.whole;
      if (caller.isCancelled) throw calledOff();
    } catch (error) {
      job.release();
      throw error;
    }
    return this.next(job, caller, take);
  }

  /** Takes `run`. */
  private take(
    ticket: Ticket<PoolJob>,
    run: Capability,
    caller: Caller,
    resumes: boolean,
  ): DurableQueue.Popped | Promise<DurableQueue.Popped> {
    const { client, job } = ticket;
    if (isAttached(job)) {
      const owner = { client: client.id, number: job.id };
      return { descr: this.start(job, ticket, run), owner, assignment: null };
    }
    return this.offer(job, run, caller, { resumes, cached: ticket.cached });
  }

  private async offer(
    job: DurableRecord,
    run: Capability,
    caller: Caller,
    how: { readonly resumes: boolean; readonly cached: boolean },
  ): Promise<DurableQueue.Popped> {
    const { durable } = this;
    let offered: Offered | null;
    try {
      offered = await durable!.offer(job, run, how, caller);
    } catch (error) {
      this.poolWorker.jobFinished();
      run.release();
      throw error;
    }
    if (!offered) {
      // The worker waits for another one.
      this.poolWorker.jobFinished();
      return this.pop(run, caller, how.resumes);
    }
    if (job.attempts === 1) this.options.onStarted(job);
    return { ...offered, owner: { client: job.client, number: job.id } };
  }

  /**
   * Takes `run`. It is watched without a reference to it, as it has to end when its client gives it
   * up.
   */
  private start(
    job: QueuedJob,
    { cached, client, urgent }: Ticket<PoolJob>,
    run: Capability,
  ): DetachedPointer {
    const { name: worker, options } = this;
    const { onAttached, onDetached, onStarted, pool } = options;
    using watched = run.dup();
    const attached = new AttachedRun(
      { job, client: client.id, pool, urgent, worker, cached },
      weakReference(watched),
    );
    const descr = job.start(Job.logWatched(run, () => attached.logged()));
    onStarted(job);
    onAttached(attached);
    Job.result(watched).then(
      (output) => {
        job.ended();
        this.finished("ok");
        onDetached(attached, output, null);
      },
      (error) => {
        job.ended();
        this.finished(error.kind === "disconnected" ? "disconnected" : "failed");
        // When its client has gone away, the worker has stopped it for that.
        job.cancelled ||= !attached.isHeld;
        onDetached(attached, "", error);
      },
    );
    return descr;
  }

  private finished(outcome: Outcome): void {
    this.poolWorker.jobFinished();
    this.options.onFinished(outcome);
  }
}

/** Why a request for a job ends that its worker has taken back. */
function calledOff(): RpcError {
  return new RpcError("failed", "The request for a job was cancelled");
}
