/**
 * What pools queue: jobs that belong to a connection, and durable ones.
 *
 * Of a durable job there is nothing here but its record, which the book has anyway; its description is on disk until a
 * worker gets it.
 */
import { NO_WORKERS } from "../jobs/submission.js";
import type { JobRecord } from "../jobs/types.js";
import type { JobTraits } from "../pool/types.js";
import { QueuedJob } from "./queued-job.js";

export type DurableRecord = Readonly<JobRecord>;

export type PoolJob = QueuedJob | DurableRecord;

export function isAttached(job: PoolJob): job is QueuedJob {
  return job instanceof QueuedJob;
}

/** Seconds that a build usually takes: when its dependencies are there, and when they must be installed first. */
const COSTS = { cached: 10, nonCached: 600 };

/** What workers are able to do, as bits; see `JobTraits.needs`. */
export const ABILITY = { outputs: 1 } as const;

/** How the pools see jobs. */
export const jobTraits: JobTraits<PoolJob> = {
  hint: (job) => job.hint,
  costs: () => COSTS,
  avoids: (job) => (isAttached(job) ? NO_WORKERS : job.avoid),
  needs: (job) => (!isAttached(job) && job.options.outputs ? ABILITY.outputs : 0),
  label: (job) => (job.hint === "" ? "(no cache hint)" : job.hint),
};
