/** The steps of a build as bars of a timeline: where each begins, and how long it is. */
import type { LogStep } from "../api/types.js";
import { seconds } from "../format.js";

export interface TimedStep extends LogStep {
  /** As shares of the whole, from 0 to 1; null: nothing is known of its time. */
  readonly bar: { readonly from: number; readonly size: number } | null;
  /** So far, if it goes on. */
  readonly took: number | null;
  readonly state: "succeeded" | "cached" | "failed" | "running" | "setting";
}

export interface Timeline {
  readonly steps: readonly TimedStep[];
  readonly cached: number;
  /** Of all bars together, in seconds. */
  readonly span: number;
}

export interface BuildTime {
  /** Seconds since 1970; null: it has not started. */
  readonly started: number | null;
  /** Null: it goes on. */
  readonly ended: number | null;
  readonly now: number;
  /** Whether the build has failed. */
  readonly failed: boolean;
}

/**
 * A step that says when it began stands there. One that says only how long it took stands behind
 * those before it, as steps mostly come one after the other. The last that has not ended takes what
 * time is left.
 */
export function timeline(steps: readonly LogStep[], time: BuildTime): Timeline {
  const begin = time.started ?? 0;
  const end = time.ended ?? time.now;
  let clock = 0;
  const placed = steps.map((step, index) => {
    const isLast = index === steps.length - 1;
    const from = step.started ? Math.max(0, seconds(step.started) - begin) : clock;
    const open = !step.ended && isLast && time.started !== null;
    const took = step.seconds ?? (open ? Math.max(0, end - begin - from) : null);
    clock = Math.max(clock, from + (took ?? 0));
    return { step, from, took, isLast };
  });
  const span = Math.max(1, clock);
  return {
    span,
    cached: steps.filter(({ cached }) => cached === true).length,
    steps: placed.map(({ from, isLast, step, took }) => ({
      ...step,
      took,
      bar: took === null ? null : { from: from / span, size: took / span },
      state: stateOf(step, isLast, time),
    })),
  };
}

/** What neither ends nor is the last, such as a `(workdir …)`, says how later steps are run. */
function stateOf(step: LogStep, isLast: boolean, time: BuildTime): TimedStep["state"] {
  if (step.failed) return "failed";
  if (step.ended) return step.cached === true ? "cached" : "succeeded";
  if (time.ended === null && isLast) return "running";
  return isLast && time.failed ? "failed" : "setting";
}
