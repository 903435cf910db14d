/**
 * A lease: an attempt that its worker was given among many, and of which there is no `Job` here:
 * when its worker says how it ended, it says all there is to say.
 *
 * States:
 *
 * - *granted*: the attempt is on disk, and its worker was told. It may have begun, and nobody says
 *   so if it is over soon.
 * - *unwanted*: granted, but the book has given the attempt up, or its job is better off elsewhere:
 *   its worker is told so with its next answer. If it has not begun it is given back.
 * - *over*: its worker has said how it ended (or gave it back, which is an end as well), or that it
 *   goes on: then an `AttemptRun` follows it. Or the worker is lost, or the scheduler is about to
 *   end.
 */
import type { Follower } from "./durable-jobs.js";

/** Who gave it. */
export interface Lessor {
  /** It is not wanted, as long as it has not begun. */
  unwanted(lease: Lease): void;
  /** Somebody else follows the attempt now. */
  over(lease: Lease): void;
}

export class Lease implements Follower {
  readonly lastOutput = null;

  constructor(
    readonly job: number,
    readonly attempt: number,
    private readonly lessor: Lessor,
  ) {}

  start(): void {}

  stop(): void {
    this.lessor.unwanted(this);
  }

  recall(): void {
    this.lessor.unwanted(this);
  }

  detach(): void {
    this.lessor.over(this);
  }
}
