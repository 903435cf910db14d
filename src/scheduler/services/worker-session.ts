/**
 * A worker that is connected, from its registration until it gives its queue up or its connection ends.
 */
import { Job, Queue, type Registration } from "../../api/index.js";
import {
  type Capability,
  type Connection,
  type DetachedPointer,
  RpcError,
} from "../../rpc/index.js";
import { INACTIVE } from "../pool/inactive-reasons.js";
import type { PoolWorker } from "../pool/pool-worker.js";
import type { Ticket } from "../pool/ticket.js";
import type { QueuedJob } from "./queued-job.js";

/** How a job ended: `disconnected` is one that was lost with its worker. */
export type Outcome = "ok" | "failed" | "disconnected";

/**
 * How many requests for a job one worker may have waiting. Each job that the worker gets has all of them start again; those that we
 * know of have one, or as many as they have room for.
 */
const WAITING_REQUESTS = 1000;

export interface WorkerSessionOptions {
  /** The worker as the pool sees it; this session's own. */
  readonly poolWorker: PoolWorker<QueuedJob>;
  readonly registering: Registration.Registering;
  /** Undefined for a worker in this process. */
  readonly connection: Connection | undefined;
  onStarted(job: QueuedJob): void;
  onFinished(outcome: Outcome): void;
  onEnded(): void;
}

export class WorkerSession {
  /** The worker's `Queue`, to be given to it. */
  readonly queue: Capability;
  private readonly poolWorker: PoolWorker<QueuedJob>;
  private readonly workerCapability: Capability;
  private ended = false;
  private waiting = 0;

  constructor(private readonly options: WorkerSessionOptions) {
    this.poolWorker = options.poolWorker;
    this.workerCapability = options.registering.worker;
    this.queue = Queue.local({
      pop: (job, signal) => this.pop(job, signal),
      setActive: (active) => this.poolWorker.setActive(active, INACTIVE.worker),
      release: () => this.end(),
    });
  }

  get name(): string {
    return this.poolWorker.name;
  }

  get connection(): Connection | undefined {
    return this.options.connection;
  }

  get inPool(): PoolWorker<QueuedJob> {
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
    this.workerCapability.release();
    this.options.onEnded();
  }

  private pop(job: Capability, signal: AbortSignal): Promise<DetachedPointer> {
    if (this.waiting >= WAITING_REQUESTS) {
      job.release();
      throw new RpcError(
        "overloaded",
        `This worker has ${WAITING_REQUESTS} requests for jobs waiting, which is the limit. Ask again when one is answered`,
      );
    }
    this.waiting++;
    return new Promise((resolve, reject) => {
      const pop = this.poolWorker.pop((ticket) => {
        this.waiting--;
        if (ticket) {
          resolve(this.start(ticket, job));
        } else {
          job.release();
          reject(new RpcError("failed", "Worker disconnected"));
        }
      });
      // A worker that no longer waits for the answer must not be given a job: it would never run.
      const callOff = () => {
        if (!pop.cancel()) return;
        this.waiting--;
        job.release();
        reject(new RpcError("failed", "The request for a job was cancelled"));
      };
      if (signal.aborted) callOff();
      else signal.addEventListener("abort", callOff, { once: true });
    });
  }

  /** Takes `job`. It is watched without a reference to it, as it has to end when its client gives it up. */
  private start(ticket: Ticket<QueuedJob>, job: Capability): DetachedPointer {
    using watched = job.dup();
    const descr = ticket.job.start(job);
    this.options.onStarted(ticket.job);
    Job.result(watched).then(
      () => this.finished("ok"),
      (error) => this.finished(error.kind === "disconnected" ? "disconnected" : "failed"),
    );
    return descr;
  }

  private finished(outcome: Outcome): void {
    this.poolWorker.jobFinished();
    this.options.onFinished(outcome);
  }
}
