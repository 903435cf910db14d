/**
 * What becomes of a job when an attempt of it has ended: a pure function of what it was allowed and
 * what it has used.
 *
 * What the build did wrong counts against `retries`, what its worker did wrong against
 * `lostRetries`, and what is nobody's fault against nothing. A job that keeps taking its workers
 * down with it must not go round for ever.
 */

import type { JobCause, JobOptions, Outcome } from "./types.js";

/** How its attempts have ended so far, as far as it counts: see `JobRecord`. */
export interface Tally {
  readonly failures: number;
  readonly losses: number;
  readonly suspicions: number;
  readonly troubles: number;
}

export const NO_TALLY: Tally = { failures: 0, losses: 0, suspicions: 0, troubles: 0 };

/** The end of an attempt. */
export interface AttemptEnd {
  readonly outcome: Exclude<Outcome, "cancelled">;
  /** Whether the job had begun; one that had not cannot be what took the worker down. */
  readonly begun: boolean;
}

export type Decision =
  /** The job has ended; `why` there is no other attempt, if one could be expected. */
  | { readonly next: "end"; readonly cause: JobCause; readonly why: string }
  /**
   * It gets another attempt after `delay` seconds; if `keepsPlace`, with its old place in the
   * order.
   */
  | { readonly next: "again"; readonly delay: number; readonly keepsPlace: boolean };

/**
 * The longest pause, in seconds, after troubles of workers. The first is followed by none, the
 * second by 1 s, then 2, 4…
 */
export const MAX_PAUSE = 60;

/** @param poisonAfter how many workers it may take down */
export function decide(
  options: JobOptions,
  before: Tally,
  { outcome, begun }: AttemptEnd,
  poisonAfter: number,
): { readonly tally: Tally; readonly decision: Decision } {
  const tally = count(before, outcome, begun);
  return { tally, decision: next(options, tally, outcome, poisonAfter) };
}

function count(tally: Tally, outcome: Outcome, begun: boolean): Tally {
  switch (outcome) {
    case "failed":
    case "timeout":
      return { ...tally, failures: tally.failures + 1 };
    case "evicted":
      return { ...tally, troubles: tally.troubles + 1 };
    case "no space":
      return { ...tally, losses: tally.losses + 1, troubles: tally.troubles + 1 };
    case "lost":
    case "crashed":
      return {
        failures: tally.failures,
        losses: tally.losses + 1,
        suspicions: tally.suspicions + (begun ? 1 : 0),
        troubles: tally.troubles + 1,
      };
    default:
      return tally;
  }
}

function next(
  { retries, lostRetries, retryDelay }: JobOptions,
  { failures, losses, suspicions, troubles }: Tally,
  outcome: AttemptEnd["outcome"],
  poisonAfter: number,
): Decision {
  switch (outcome) {
    case "succeeded":
      return { next: "end", cause: outcome, why: "" };
    case "failed":
    case "timeout":
      if (failures > retries) return { next: "end", cause: outcome, why: "" };
      return { next: "again", delay: retryDelay, keepsPlace: false };
    case "evicted":
      return { next: "again", delay: pause(troubles), keepsPlace: true };
    case "no space":
    case "lost":
    case "crashed":
      if (suspicions >= poisonAfter) {
        const why = `It was running each time when ${suspicions} attempts lost their workers, so it may be what takes them down (poison): it is not tried again.`;
        return { next: "end", cause: outcome, why };
      }
      if (losses > lostRetries) {
        const why = `Workers have failed it ${losses} times: it is not tried again.`;
        return { next: "end", cause: outcome, why };
      }
      return { next: "again", delay: pause(troubles), keepsPlace: true };
  }
}

/**
 * So that a worker that cannot do anything, but is quick to say so, is not asked again and again at
 * once.
 */
function pause(troubles: number): number {
  return troubles <= 1 ? 0 : Math.min(MAX_PAUSE, 2 ** (troubles - 2));
}
