/**
 * What pools queue: jobs that belong to a connection, and durable ones.
 *
 * Of a durable job there is nothing here but its record, which the book has anyway; its description
 * is on disk until a worker gets it.
 */
import { AbleQueue } from "../../api/index.js";
import { NO_WORKERS } from "../jobs/submission.js";
import type { JobRecord } from "../jobs/types.js";
import type { Estimates } from "../pool/estimates.js";
import type { JobTraits } from "../pool/types.js";
import { QueuedJob } from "./queued-job.js";

export type DurableRecord = Readonly<JobRecord>;

export type PoolJob = QueuedJob | DurableRecord;

export function isAttached(job: PoolJob): job is QueuedJob {
  return job instanceof QueuedJob;
}

/** How the pool that has these estimates sees jobs. */
export function jobTraits(estimates: Estimates): JobTraits<PoolJob> {
  return {
    hint: (job) => job.hint,
    costs: (job) => estimates.costs(job),
    avoids: (job) => (isAttached(job) ? NO_WORKERS : job.avoid),
    needs: (job) => (!isAttached(job) && job.options.outputs ? andOutputs(job.needs) : job.needs),
    label: ({ hint }) => (hint === "" ? "(no cache hint)" : hint),
  };
}

/** What a job needs, and somebody who hands its files over. */
function andOutputs(needs: readonly string[]): readonly string[] {
  let all = WITH_OUTPUTS.get(needs);
  if (!all) {
    all = [...needs, AbleQueue.ABILITY.outputs];
    WITH_OUTPUTS.set(needs, all);
  }
  return all;
}

/** One list for all jobs that need the same. */
const WITH_OUTPUTS = new WeakMap<readonly string[], readonly string[]>();
