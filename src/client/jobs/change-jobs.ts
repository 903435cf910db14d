/** `cancel` and `retry`. */
import { JobRecords } from "../../api/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import { visibleJson } from "../../text/index.js";
import { EachJob } from "./each-job.js";
import { jobJson } from "./job-json.js";
import { describeState, hasEnded } from "./job-text.js";
import { writeLines } from "./lines.js";
import { type RecordsOptions, withRecords } from "./records-session.js";

export interface ChangeOptions extends RecordsOptions {
  readonly jobs: readonly number[];
  readonly json: boolean;
}

/**
 * Cancels jobs. One that has ended stays as it is, which is said, and is no failure. Rejects with
 * `CommandFailed`, when all others are done, if one cannot be cancelled.
 */
export function cancelJobs(options: ChangeOptions): Promise<void> {
  return change(options, (records, job) => JobRecords.cancel(records, job), describeCancelled);
}

function describeCancelled(record: JobRecords.JobRecord | null): string {
  // An attached job of which there are no records, as it never ran, or for less than a moment.
  if (record === null) return "cancelled";
  if (record.state === "cancelled") return describeState(record);
  // An attached one: what its worker says of it is not waited for.
  if (!hasEnded(record)) return "is told to stop";
  return `has ended: ${describeState(record)}`;
}

/**
 * One more attempt for jobs that have ended without success. Rejects with `CommandFailed` if one
 * cannot have it.
 */
export function retryJobs(options: ChangeOptions): Promise<void> {
  return change(
    options,
    (records, job) => JobRecords.retry(records, job),
    (record) => (record === null ? "tried again" : describeState(record)),
  );
}

/** Does something to each job, and prints what it is then, if that is on record. */
function change(
  options: ChangeOptions,
  act: (records: Capability, job: number) => Promise<void>,
  describe: (record: JobRecords.JobRecord | null) => string,
): Promise<void> {
  return withRecords(options, (records) => {
    const each = new EachJob(
      options.jobs,
      async (job) => {
        await act(records, job);
        const record = await JobRecords.get(records, job).catch((error) => {
          if (error instanceof RpcError && error.kind === "failed") return null;
          throw error;
        });
        const json = () =>
          record ? jobJson(record) : visibleJson({ id: job, state: "cancelled" });
        await writeLines([options.json ? json() : `Job ${job}: ${describe(record)}`]);
        return null;
      },
      options.json,
    );
    return each.run();
  });
}
