/**
 * A connected worker, as its pool sees it.
 */

import { quoted } from "../../text/index.js";
import type { Abilities } from "./demand.js";
import type { Dispatcher } from "./dispatcher.js";
import { describeReasons, INACTIVE, type InactiveReason } from "./inactive-reasons.js";
import { WorkerReleased } from "./pool-errors.js";
import { Pop, type PopAnswer } from "./pop.js";
import type { Ticket } from "./ticket.js";
import { WorkerQueue } from "./worker-queue.js";

/**
 * The states of a worker:
 *
 * 1. `inactive`, while there is a reason for it to be so; from its registration on for the reason
 *    `worker`. Its pops are idle, and its own queue is empty.
 * 2. `active`: the last reason was lifted. It may be given jobs; its pops take one, or wait in
 *    line.
 * 3. `released`, for good, by way of inactive: it has disconnected. A worker of the same name that
 *    comes later is another one.
 */
export type WorkerState =
  /** `reasons`: a set of `INACTIVE` bits, not empty. */
  | { readonly kind: "inactive"; readonly reasons: number }
  | { readonly kind: "active" }
  | { readonly kind: "released" };

const ACTIVE: WorkerState = { kind: "active" };
const RELEASED: WorkerState = { kind: "released" };

/** From its registration until its release. What it runs is only counted. */
export class PoolWorker<J> {
  /** Its own queue; empty unless it is active. */
  readonly queue: WorkerQueue<J>;
  /**
   * Its pops that are idle (while it is inactive) or in line (while it is active), in the order of
   * their coming.
   */
  readonly pops = new Set<Pop<J>>();
  /** How many jobs it runs, or was given to be run within moments. */
  running = 0;
  /** How many jobs it asked for at a time, the last time that it asked for several. */
  appetite = 0;
  /** Changed by `learn` only. */
  abilities: Abilities = null;
  private currentState: WorkerState;
  private readonly listeners = new Set<(running: number) => void>();

  /** To be made by `Pool.register` only. */
  constructor(
    private readonly dispatcher: Dispatcher<J>,
    readonly name: string,
    /**
     * How many jobs it can run at a time. Only summed up; the worker asks for as many jobs as it
     * likes.
     */
    readonly capacity: number,
    reasons: number,
  ) {
    this.currentState = stateFor(reasons);
    this.queue = new WorkerQueue(name);
  }

  get state(): WorkerState {
    return this.currentState;
  }

  /** The reasons for it to be inactive, as a set of `INACTIVE` bits; empty if it is not. */
  get reasons(): number {
    const { currentState: state } = this;
    return state.kind === "inactive" ? state.reasons : 0;
  }

  get active(): boolean {
    return this.currentState === ACTIVE;
  }

  get released(): boolean {
    return this.currentState === RELEASED;
  }

  /** The work in its own queue, in seconds. */
  get workload(): number {
    return this.queue.workload;
  }

  /**
   * Asks for the next job. If there is one (or the worker is released) the answer comes within this
   * call, else later. The job's ticket is no longer queued then, and counts as running until
   * `jobFinished`.
   */
  pop(answer: PopAnswer<J>): Pop<J> {
    const pop = new Pop(this, answer);
    this.dispatcher.start(pop);
    return pop;
  }

  /**
   * The next job if there is one at this moment, and `accepts` says so. Its ticket is no longer
   * queued then, and counts as running until `jobFinished`.
   */
  takeNow(accepts: (job: J) => boolean): Ticket<J> | null {
    return this.dispatcher.takeNow(this, accepts);
  }

  /** How many more jobs it may take at a time, so that others get as many. */
  get part(): number {
    return this.dispatcher.partOf(this);
  }

  /**
   * Lifts (`active`) or adds a reason to be inactive. The last lifted lets its idle pops go on at
   * once; the first added sends its queued jobs elsewhere. A pause by an administrator is written
   * to the store, before anything else. Throws `WorkerReleased` and what `PoolStore.setPaused`
   * throws.
   */
  setActive(active: boolean, reason: InactiveReason): void {
    if (this.released) throw new WorkerReleased(this.name);
    if (reason === INACTIVE.adminPause) this.dispatcher.store.setPaused(this.name, !active);
    const before = this.reasons;
    const after = active ? before & ~reason : before | reason;
    if (after === before) return;
    this.currentState = stateFor(after);
    if (before === 0) {
      this.dispatcher.demands.count(this, -1);
      this.dispatcher.retire(this);
    } else if (this.active) {
      this.dispatcher.demands.count(this, 1);
      this.dispatcher.log?.info(`Activate queue for ${quoted(this.name)}`);
      this.startIdle();
    } else if (active) {
      this.dispatcher.log?.info(
        `Removed inactive reason ${describeReasons(reason)} for ${quoted(this.name)} ` +
          `(now ${describeReasons(after)})`,
      );
    }
  }

  /**
   * It is able to do just this from now on. Its queued jobs that need more go elsewhere, and its
   * pops look for others.
   */
  learn(abilities: ReadonlySet<string>): void {
    if (this.active) this.dispatcher.refit(this, abilities);
    else this.abilities = abilities;
  }

  /** Gives it no more jobs, as it is about to be restarted. */
  shutdown(): void {
    this.dispatcher.log?.info(`Worker ${quoted(this.name)} is shutting down`);
    this.setActive(false, INACTIVE.shutdown);
  }

  /** It still has a job from an earlier connection. */
  jobResumed(): void {
    this.running++;
  }

  /** A job that it was given is done, or lost. Also when the worker itself has been released. */
  jobFinished(): void {
    this.dispatcher.details?.debug(`${quoted(this.name)} finishes a job`);
    this.running--;
    this.dispatcher.counters.finished++;
    for (const listener of [...this.listeners]) listener(this.running);
  }

  /**
   * Calls the listener with the number of jobs still running each time one is finished. Returns how
   * to stop that.
   */
  onJobFinished(listener: (running: number) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * It has disconnected: its queued jobs go elsewhere, its pops end. Doing so again changes
   * nothing.
   */
  release(): void {
    if (this.released) return;
    this.setActive(false, INACTIVE.worker);
    this.dispatcher.log?.info(`Release worker ${quoted(this.name)}`);
    this.currentState = RELEASED;
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

function stateFor(reasons: number): WorkerState {
  return reasons === 0 ? ACTIVE : { kind: "inactive", reasons };
}
