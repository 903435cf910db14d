/**
 * A worker's question for its next job, from the moment it is asked until it is answered.
 */

import type { PoolWorker } from "./pool-worker.js";
import type { Ticket } from "./ticket.js";

/**
 * The states of a pop:
 *
 * 1. `idle`: its worker is inactive. When the worker becomes active or is released, the pop starts
 *    again at once.
 * 2. `in line`: there is no job; it is in the ready line and known to its worker. When a job is put
 *    in its worker's own queue, and when its worker becomes inactive or is released, it becomes:
 * 3. `marked`: it is to start again at the next settling. It may still be in the ready line until
 *    then, or may have been taken out to be given a job. Also a pop that had to interrupt its
 *    search, until its next turn.
 * 4. `ended`: it was answered, or called off. Nothing happens to it any more.
 *
 * Starting, for the first time or again, puts it in one of these within the same call.
 */
export type PopState = "idle" | "in line" | "marked" | "ended";

/**
 * Is told the job's ticket, or null when the worker was released. Called once, unless the pop is
 * called off.
 */
export type PopAnswer<J> = (ticket: Ticket<J> | null) => void;

export class Pop<J> {
  state: PopState = "idle";
  /** The neighbours in the ready line; it is in the line if `line` is set. */
  line: ReadyLine<J> | null = null;
  earlier: Pop<J> | null = null;
  later: Pop<J> | null = null;

  constructor(
    readonly worker: PoolWorker<J>,
    private readonly answer: PopAnswer<J>,
  ) {}

  /**
   * Answers it. The last thing to do in any change of the pool: the answer may call the pool again.
   */
  end(ticket: Ticket<J> | null): void {
    this.state = "ended";
    this.answer(ticket);
  }

  /**
   * Calls it off: it will not be answered, and takes no job. False if it was answered before. A job
   * that was put in the worker's own queue because of this pop stays there for the worker's next
   * one.
   */
  cancel(): boolean {
    if (this.state === "ended") return false;
    this.state = "ended";
    this.line?.remove(this);
    this.worker.pops.delete(this);
    return true;
  }
}

/**
 * The pops that wait for a job, in the order of their coming. A linked list, so that any of them
 * can leave.
 */
export class ReadyLine<J> {
  private first: Pop<J> | null = null;
  private last: Pop<J> | null = null;
  private length = 0;

  get size(): number {
    return this.length;
  }

  join(pop: Pop<J>): void {
    pop.line = this;
    pop.earlier = this.last;
    if (this.last) this.last.later = pop;
    else this.first = pop;
    this.last = pop;
    this.length++;
  }

  remove(pop: Pop<J>): void {
    if (pop.earlier) pop.earlier.later = pop.later;
    else this.first = pop.later;
    if (pop.later) pop.later.earlier = pop.earlier;
    else this.last = pop.earlier;
    pop.earlier = null;
    pop.later = null;
    pop.line = null;
    this.length--;
  }

  /** From the one that came first. The one that was given last may be taken out meanwhile. */
  *[Symbol.iterator](): Generator<Pop<J>> {
    for (let pop = this.first; pop; ) {
      const { later } = pop;
      yield pop;
      pop = later;
    }
  }
}
