/**
 * A connected worker, as its pool sees it.
 */

import { quoted } from "../../text/index.js";
import type { Dispatcher } from "./dispatcher.js";
import { describeReasons, INACTIVE, type InactiveReason } from "./inactive-reasons.js";
import { WorkerReleased } from "./pool-errors.js";
import { Pop, type PopAnswer } from "./pop.js";
import { WorkerQueue } from "./worker-queue.js";

/**
 * From its registration until its release. It is *inactive* while there is a reason for it to be so, from the first
 * moment for the reason `worker`; else it is *active* and may be given jobs. What it runs is only counted.
 */
export class PoolWorker<J> {
  /** Its own queue; empty unless it is active. */
  readonly queue: WorkerQueue<J>;
  /** Its pops that are idle (while it is inactive) or in line (while it is active), in the order of their coming. */
  readonly pops = new Set<Pop<J>>();
  /** How many jobs it runs. */
  running = 0;
  private reasonSet: number;
  private isReleased = false;
  private readonly listeners = new Set<(running: number) => void>();

  /** To be made by `Pool.register` only. */
  constructor(
    private readonly dispatcher: Dispatcher<J>,
    readonly name: string,
    /** How many jobs it can run at a time. Only summed up; the worker asks for as many jobs as it likes. */
    readonly capacity: number,
    reasons: number,
  ) {
    this.reasonSet = reasons;
    this.queue = new WorkerQueue(name);
  }

  /** The reasons for it to be inactive, as a set of `INACTIVE` bits. */
  get reasons(): number {
    return this.reasonSet;
  }

  get active(): boolean {
    return this.reasonSet === 0;
  }

  /** It has disconnected; a worker of the same name that comes later is another one. */
  get released(): boolean {
    return this.isReleased;
  }

  /** The work in its own queue, in seconds. */
  get workload(): number {
    return this.queue.workload;
  }

  /**
   * Asks for the next job. If there is one (or the worker is released) the answer comes within this call, else later.
   * The job's ticket is no longer queued then, and counts as running until `jobFinished`.
   */
  pop(answer: PopAnswer<J>): Pop<J> {
    const pop = new Pop(this, answer);
    this.dispatcher.start(pop);
    return pop;
  }

  /**
   * Lifts (`active`) or adds a reason to be inactive. The last lifted lets its idle pops go on at once; the first
   * added sends its queued jobs elsewhere. A pause by an administrator is written to the store, before anything
   * else. Throws `WorkerReleased` and what `PoolStore.setPaused` throws.
   */
  setActive(active: boolean, reason: InactiveReason): void {
    if (this.isReleased) throw new WorkerReleased(this.name);
    if (reason === INACTIVE.adminPause) this.dispatcher.store.setPaused(this.name, !active);
    const before = this.reasonSet;
    if (active) this.reasonSet &= ~reason;
    else this.reasonSet |= reason;
    if (this.reasonSet === before) return;
    if (before === 0) {
      this.dispatcher.retire(this);
    } else if (this.active) {
      this.dispatcher.log?.info(`Activate queue for ${quoted(this.name)}`);
      this.startIdle();
    } else if (active) {
      this.dispatcher.log?.info(
        `Removed inactive reason ${describeReasons(reason)} for ${quoted(this.name)} ` +
          `(now ${describeReasons(this.reasonSet)})`,
      );
    }
  }

  /** Gives it no more jobs, as it is about to be restarted. */
  shutdown(): void {
    this.dispatcher.log?.info(`Worker ${quoted(this.name)} is shutting down`);
    this.setActive(false, INACTIVE.shutdown);
  }

  /** A job that it was given is done, or lost. Also when the worker itself has been released. */
  jobFinished(): void {
    this.dispatcher.details?.debug(`${quoted(this.name)} finishes a job`);
    this.running--;
    this.dispatcher.counters.finished++;
    for (const listener of [...this.listeners]) listener(this.running);
  }

  /** Calls the listener with the number of jobs still running each time one is finished. Returns how to stop that. */
  onJobFinished(listener: (running: number) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** It has disconnected: its queued jobs go elsewhere, its pops end. Doing so again changes nothing. */
  release(): void {
    if (this.isReleased) return;
    this.setActive(false, INACTIVE.worker);
    this.dispatcher.log?.info(`Release worker ${quoted(this.name)}`);
    this.isReleased = true;
    this.dispatcher.workers.delete(this.name);
    this.startIdle();
  }

  private startIdle(): void {
    // The last first, as the reference has it; to the worker they are all the same.
    const idle = [...this.pops].reverse();
    this.pops.clear();
    for (const pop of idle) {
      if (pop.state === "idle") this.dispatcher.start(pop);
    }
  }
}
