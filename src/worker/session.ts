/**
 * A worker's time with a scheduler: registered, asking for jobs as long as there is capacity: for
 * many at a time if they are short and the scheduler knows how (leases.ts), else one by one.
 *
 * Never is more than one request outstanding. Before each, the gates are passed: things that must
 * be in order, such as disk space, and that may take the queue out of service until they are.
 */
import { BulkQueue, DurableQueue, Queue } from "../api/index.js";
import { logger } from "../console/index.js";
import { type Capability, RpcError } from "../rpc/index.js";
import type { Capacity } from "./capacity.js";
import type { Job } from "./jobs/job.js";
import type { LeaseHolder } from "./leases.js";

const log = logger("worker");

/** Takes the worker's queue in the scheduler out of service and back; as often back as out. */
export interface QueueSwitch {
  setActive(active: boolean): Promise<void>;
}

/** Something that must be in order before a job is asked for. */
export interface Gate {
  /**
   * Resolves when it is. Throws `signal`'s reason when that is aborted first, and may throw
   * `RpcError`.
   */
  pass(queue: QueueSwitch, signal: AbortSignal): Promise<void>;
}

export interface SessionOptions {
  readonly capacity: Capacity;
  readonly gates: readonly Gate[];
  /** Undefined: jobs are asked for one by one. */
  readonly leases?: LeaseHolder | undefined;
  /** Makes a job to offer. */
  offer(): Job;
  /** Starts a job that was offered, and returns at once. Takes `popped.descr`. */
  start(job: Job, popped: DurableQueue.Popped): void;
}

/** Why a session is asked to end: no job shall be taken any more. */
export class Draining extends Error {
  override readonly name = "Draining";
}

/**
 * Takes jobs from `queue` until it breaks, or until `draining` is aborted: resolves then, and the
 * jobs it has started may still run. Rejects with an `RpcError` if the queue breaks or the
 * scheduler refuses a request.
 */
export async function takeJobs(
  queue: Capability,
  options: SessionOptions,
  draining: AbortSignal,
): Promise<void> {
  const { capacity, gates } = options;
  const stop = new AbortController();
  const unsubscribe = queue.onBroken((error) => stop.abort(error));
  const onDraining = (): void => stop.abort(new Draining());
  draining.addEventListener("abort", onDraining);
  if (draining.aborted) onDraining();
  const queueSwitch = new SharedSwitch(queue);
  let { leases } = options;
  let pop = DurableQueue.pop;
  /** Another way to ask, if the scheduler does not know this one. */
  const fallBack = (error: RpcError): void => {
    if (error.kind !== "unimplemented") throw error;
    if (leases) {
      log.info("The scheduler gives one job at a time");
      leases = undefined;
    } else if (pop === DurableQueue.pop) {
      log.info("The scheduler does not know durable jobs");
      pop = popAttached;
    } else {
      throw error;
    }
  };
  try {
    for (;;) {
      stop.signal.throwIfAborted();
      if (leases ? !leases.isHungry : capacity.full) {
        log.info("At capacity. Waiting for a build to finish before requesting more…");
        await (leases ? leases.whenHungry(stop.signal) : capacity.whenFree(stop.signal));
      }
      for (const gate of gates) await gate.pass(queueSwitch, stop.signal);
      log.info(`Requesting a new job… (${capacity.inUse} running)`);
      const job = options.offer();
      try {
        const ask = (signal: AbortSignal) =>
          leases ? takeMany(queue, job, leases, signal) : pop(queue, job.capability(), { signal });
        const popped = await withdrawable(queueSwitch, stop.signal, ask);
        if (popped) options.start(job, popped);
      } catch (error) {
        const reason = RpcError.from(error);
        if (stop.signal.aborted) job.withdraw();
        else job.abandon(reason);
        fallBack(reason);
      }
    }
  } catch (error) {
    if (!(stop.signal.reason instanceof Draining)) throw error;
    // A queue that is broken need not be told.
    await queueSwitch.setActive(false).catch(() => {});
    await leases?.drain().catch(() => {});
  } finally {
    draining.removeEventListener("abort", onDraining);
    unsubscribe();
  }
}

/** Null if there were leases, which are begun: `job` is not needed then. */
async function takeMany(
  queue: Capability,
  job: Job,
  leases: LeaseHolder,
  signal: AbortSignal,
): Promise<DurableQueue.Popped | null> {
  const taken = await BulkQueue.take(queue, job.capability(), leases.wish, { signal });
  if (taken.kind === "attached") return { ...taken, assignment: null };
  job.abandon(new RpcError("failed", "It was not needed"));
  leases.accept(taken);
  return null;
}

/**
 * Several may have the queue out of service at a time: it is back when the last of them is done.
 */
class SharedSwitch implements QueueSwitch {
  private pauses = 0;

  constructor(private readonly queue: Capability) {}

  async setActive(active: boolean): Promise<void> {
    this.pauses += active ? -1 : 1;
    const hasChanged = this.pauses === (active ? 0 : 1);
    if (hasChanged) await Queue.setActive(this.queue, active);
  }
}

/** For schedulers without durable jobs. */
async function popAttached(...args: Parameters<typeof Queue.pop>): Promise<DurableQueue.Popped> {
  return { descr: await Queue.pop(...args), owner: null, assignment: null };
}

/**
 * Makes a request for a job. When asked to stop meanwhile, it first tells the scheduler that no job
 * is wanted, so that none is on its way when the request is withdrawn.
 */
async function withdrawable<T>(
  queueSwitch: QueueSwitch,
  stop: AbortSignal,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const withdrawn = new AbortController();
  const withdraw = async (): Promise<void> => {
    await queueSwitch.setActive(false).catch(() => {});
    withdrawn.abort(stop.reason);
  };
  const onStop = (): void => void withdraw();
  stop.addEventListener("abort", onStop, { once: true });
  try {
    return await request(withdrawn.signal);
  } finally {
    stop.removeEventListener("abort", onStop);
  }
}
