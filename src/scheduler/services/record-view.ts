/**
 * Records of jobs as they are shown: offered, running and out of touch are all "running" to people.
 */
import type { JobRecords as Api } from "../../api/index.js";
import type { JobState } from "../jobs/types.js";
import type { RecordedJob } from "../state/job-records.js";
import { STATES } from "../state/jobs-schema.js";
import type { LogSpool } from "../state/log-spool.js";

/** What each state is shown as. */
const SHOWN: Record<JobState, Api.JobState> = {
  waiting: "waiting",
  queued: "queued",
  offered: "running",
  running: "running",
  "out of touch": "running",
  succeeded: "succeeded",
  failed: "failed",
  cancelled: "cancelled",
};

/** The numbers, in the records, of states that are shown as one of these. */
export function statesShownAs(shown: readonly Api.JobState[]): number[] {
  return STATES.flatMap((state, number) => (shown.includes(SHOWN[state]) ? [number] : []));
}

/** @param spool has the logs that grow, whose sizes are not on record yet */
export function viewOf(
  { attempts, job }: RecordedJob,
  revision: number,
  spool: LogSpool,
): Api.JobRecord {
  const { after, lostRetries, retries, retryDelay, timeout } = job.options;
  const { key, name } = job;
  return {
    job: job.id,
    client: job.client,
    pool: job.pool,
    attached: job.kind === "attached",
    hint: job.hint,
    batch: job.batch === null ? "" : String(job.batch),
    urgent: job.urgent,
    submitted: job.submitted,
    started: job.started,
    ended: job.ended,
    state: SHOWN[job.state],
    cause: job.cause,
    reason: job.reason,
    output: job.output,
    options: { name, key, after, lostRetries, retries, retryDelay, timeout: timeout ?? 0 },
    attempts: attempts.map((attempt) => ({
      attempt: attempt.attempt,
      worker: attempt.worker,
      offered: attempt.offered,
      started: attempt.started,
      ended: attempt.ended,
      outcome: attempt.outcome,
      reason: attempt.reason,
      logSize: spool.growingLog(job.id, attempt.attempt)?.length ?? attempt.logSize,
      outOfTouch: attempt.outcome === null && job.state === "out of touch",
    })),
    revision,
  };
}
