/**
 * A worker's membership of a pool: it connects to the scheduler and registers, again and again,
 * until it has drained.
 *
 * Its states:
 *
 * - *connecting* ⇄ *registered*: tells what it is able to do and of the durable jobs that it still
 *   has, then asks for jobs. When the connection is lost, attached jobs are cancelled, as their
 *   lifeline is; durable ones go on.
 * - *draining*: takes no job any more, those that run may finish. A connection is kept, and made,
 *   for as long as one does, so that the scheduler learns how it ended.
 * - *over*: no job runs, and the scheduler had a moment to read what the last ones said.
 */
import { EphemeralQueue, Registration } from "../api/index.js";
import { Backoff, sleep } from "../async/index.js";
import { describeOnSignal, logger } from "../console/index.js";
import { rpcMetrics } from "../console/metrics.js";
import { type Capability, RpcError, readCapFile, Vat, watchLiveness } from "../rpc/index.js";
import type { Abilities } from "./abilities.js";
import { adviceOn } from "./advice.js";
import type { Capacity } from "./capacity.js";
import type { ContextLink } from "./context/context-link.js";
import type { Jobs } from "./jobs/jobs.js";
import { LeaseHolder } from "./leases.js";
import type { WorkerMetrics } from "./metrics.js";
import { type Gate, takeJobs } from "./session.js";

const log = logger("worker");

/**
 * How often the scheduler is asked for a sign of life, and how long it may take; it can be busy for
 * seconds.
 */
const LIVENESS = { intervalMs: 60_000, timeoutMs: 120_000 };

/**
 * How long the clients of the last jobs get, in ms, to read the end of the log before a worker is
 * gone.
 */
const LAST_WORDS_MS = { drained: 10_000, stopped: 2_000 };

export interface MembershipOptions {
  /** Path of the pool's capability file; read anew for each connection. */
  readonly connect: string;
  /** Unique in the pool. */
  readonly name: string;
  /** Nothing is to be kept of it once it is gone. */
  readonly ephemeral: boolean;
  readonly capacity: Capacity;
  readonly gates: readonly Gate[];
  /** How jobs reach what the scheduler keeps of local directories. */
  readonly contextLink: ContextLink;
  /** Undefined: nothing is said of them, and the worker gets any job. */
  readonly abilities: Abilities | undefined;
  readonly jobs: Jobs;
  /** Whether many jobs may be asked for at a time. */
  readonly leases: boolean;
  readonly metrics: WorkerMetrics;
  /** Makes a `Worker`, by which the scheduler reaches this one. */
  readonly worker: () => Capability;
  readonly onRegistered: () => void;
  readonly onStarted: () => void;
  /** Aborted when no job shall be taken any more. */
  readonly draining: AbortSignal;
  /** Aborted when jobs are stopped, and not waited for. */
  readonly stopping: AbortSignal;
  readonly backoff?: Backoff | undefined;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly #vat: Vat;
  readonly #backoff: Backoff;
  /** Aborted when there is nothing left to be connected for. */
  readonly #over = new AbortController();
  #isRegistered = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#backoff = options.backoff ?? new Backoff();
    this.#vat = new Vat({
      log: rpcLog,
      metrics: rpcMetrics(options.metrics.registry, () => this.#vat.connectionCount),
    });
  }

  /** Resolves when it is over, and the connection closed. */
  async run(): Promise<void> {
    using _ = describeOnSignal(() => this.#vat.dump());
    const { draining } = this.#options;
    const onDraining = () => void this.#endWhenIdle();
    draining.addEventListener("abort", onDraining);
    if (draining.aborted) onDraining();
    try {
      while (!this.#over.signal.aborted) await this.#try();
    } finally {
      draining.removeEventListener("abort", onDraining);
      await this.#vat.close();
    }
  }

  /** Once no job runs, a worker that is on its way to a scheduler has nothing to finish there. */
  async #endWhenIdle(): Promise<void> {
    await this.#options.capacity.whenIdle();
    this.#over.abort();
    if (!this.#isRegistered) await this.#vat.close();
  }

  async #try(): Promise<void> {
    this.#backoff.attempt();
    let registered = false;
    try {
      await this.#session(() => {
        registered = true;
        this.#backoff.succeeded();
      });
      this.#over.abort();
    } catch (error) {
      const delay = this.#backoff.failed();
      const seconds = (delay / 1000).toFixed(1);
      log.info(`Lost connection to scheduler (${error}). Will retry in ${seconds}s…`);
      if (!registered && !this.#over.signal.aborted) log.warn(adviceOn(error, this.#options));
      await sleep(delay, this.#over.signal).catch(() => {});
    }
  }

  /**
   * One connection, until the worker has drained. Rejects when it is lost, or the worker is
   * refused.
   */
  async #session(onRegistered: () => void): Promise<void> {
    const { abilities, capacity, connect, contextLink, draining } = this.#options;
    const { ephemeral, gates, jobs, name, worker } = this.#options;
    const ref = readCapFile(connect);
    const connection = await this.#vat.connect(ref);
    const stopWatching = watchLiveness(connection, LIVENESS);
    const registration = connection.bootstrap(ref.id);
    const queue = Registration.register(registration, {
      name,
      capacity: capacity.total,
      worker: worker(),
    });
    registration.release();
    const lost = new AbortController();
    const over = new AbortController();
    const unsubscribe = queue.onBroken((error) => lost.abort(error));
    const leases = this.#options.leases ? this.#leaseHolder(queue) : undefined;
    try {
      await queue.whenResolved();
      this.#isRegistered = true;
      onRegistered();
      this.#options.onRegistered();
      contextLink.attach(queue);
      if (ephemeral) await forgetWhenGone(queue);
      await abilities?.declare(queue, over.signal);
      await jobs.attempts.resume(queue);
      await takeJobs(
        queue,
        {
          capacity,
          gates,
          leases,
          offer: () => jobs.offer(),
          start: (job, popped) => {
            jobs.start(job, popped);
            this.#options.onStarted();
          },
        },
        draining,
      );
      await this.#lastWords(lost.signal);
    } finally {
      over.abort();
      leases?.close();
      unsubscribe();
      this.#isRegistered = false;
      stopWatching();
      contextLink.detach(queue);
      queue.release();
      jobs.attempts.outOfTouch();
    }
  }

  #leaseHolder(queue: Capability): LeaseHolder {
    const { capacity, jobs, onStarted } = this.#options;
    const run = (...lease: Parameters<Jobs["startLease"]>) => {
      const running = jobs.startLease(...lease);
      onStarted();
      return running;
    };
    return new LeaseHolder({ queue, capacity, run });
  }

  /**
   * Waits until the running jobs have ended, and for a while until their clients have read their
   * logs. Throws the reason of `lost` if that is aborted while some still run.
   */
  async #lastWords(lost: AbortSignal): Promise<void> {
    const { capacity, jobs, stopping } = this.#options;
    if (capacity.inUse > 0) log.info("Waiting for all existing jobs to complete.");
    await capacity.whenIdle(lost);
    const { drained, stopped } = LAST_WORDS_MS;
    const deadline = AbortSignal.timeout(stopping.aborted ? stopped : drained);
    await jobs.whenGone(AbortSignal.any([deadline, lost])).catch(() => {});
  }
}

async function forgetWhenGone(queue: Capability): Promise<void> {
  try {
    await EphemeralQueue.forgetWhenGone(queue);
  } catch (error) {
    if (RpcError.from(error).kind !== "unimplemented") throw error;
    log.warn(
      "The scheduler does not know --ephemeral: it will remember this worker's name until ocluster-admin forget",
    );
  }
}

const capnpLog = logger("capnp-rpc");

function rpcLog(level: "debug" | "info" | "warning", message: string): void {
  capnpLog[level === "warning" ? "warn" : level](message);
}
