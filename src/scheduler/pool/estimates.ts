/**
 * How long jobs take, as far as anybody can know before they have run: by fixed figures, or by what
 * such jobs took.
 *
 * The fixed figures are those of the reference: seconds that a build usually takes when its
 * dependencies are there, and when they must be installed first.
 */
import type { Costs } from "./types.js";

/** What is known of a job that matters for how long it takes. */
export interface JobKind {
  readonly client: string;
  /** The cache hint; empty for none. */
  readonly hint: string;
}

/** Estimates for one pool. */
export interface Estimates {
  /** Cheap: it is asked for each job several times. */
  costs(kind: JobKind): Costs;
}

/** Where estimates come from. */
export const ESTIMATE_KINDS = ["learned", "fixed"] as const;

export type EstimateKind = (typeof ESTIMATE_KINDS)[number];

export const FIXED_COSTS: Costs = { cached: 10, nonCached: 600 };

export const FIXED_ESTIMATES: Estimates = { costs: () => FIXED_COSTS };
