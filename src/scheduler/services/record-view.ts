/**
 * Records of jobs as they are shown: offered, running and out of touch are all "running" to people.
 */
import type { JobRecords as Api } from "../../api/index.js";
import type { JobBook } from "../jobs/job-book.js";
import type { JobRecord, JobState } from "../jobs/types.js";
import type { RecordedJob } from "../state/job-records.js";
import { STATES } from "../state/jobs-schema.js";
import type { LogSpool } from "../state/log-spool.js";
import type { OutputStore } from "../state/output-store.js";

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

/** What a state, a number of `STATES`, is shown as. */
export function shownAs(number: number): Api.JobState {
  return SHOWN[STATES[number] ?? "waiting"];
}

/** Where there is what is not on record: logs that grow, and files. */
export interface Kept {
  readonly spool: LogSpool;
  readonly outputs: OutputStore;
  readonly book: Pick<JobBook, "isRetriable">;
  /** Why a queued job will not run, for now. */
  hindrance(job: JobRecord): string | undefined;
}

export function viewOf(
  { attempts, job }: RecordedJob,
  revision: number,
  kept: Kept,
): Api.JobRecord {
  const { after, lostRetries, outputs, retries, retryDelay, timeout } = job.options;
  const { key, name } = job;
  return {
    job: job.id,
    client: job.client,
    pool: job.pool,
    attached: job.kind === "attached",
    hint: job.hint,
    batch: job.batch === null ? "" : String(job.batch),
    row: job.row ?? undefined,
    urgent: job.urgent,
    submitted: job.submitted,
    started: job.started,
    ended: job.ended,
    state: SHOWN[job.state],
    cause: job.cause,
    reason: kept.hindrance(job) ?? job.reason,
    output: job.output,
    options: {
      ...{ name, key, after, lostRetries, outputs, retries, retryDelay },
      timeout: timeout ?? 0,
    },
    attempts: attempts.map((attempt) => ({
      attempt: attempt.attempt,
      worker: attempt.worker,
      offered: attempt.offered,
      started: attempt.started,
      ended: attempt.ended,
      outcome: attempt.outcome,
      reason: attempt.reason,
      logSize: kept.spool.growingLog(job.id, attempt.attempt)?.length ?? attempt.logSize,
      outOfTouch: attempt.outcome === null && job.state === "out of touch",
      outputSize: kept.outputs.size(job.id, attempt.attempt),
    })),
    retriable: kept.book.isRetriable(job),
    revision,
  };
}
