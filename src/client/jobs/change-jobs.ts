/** `cancel` and `retry`. */
import { JobRecords } from "../../api/index.js";
import type { Capability } from "../../rpc/index.js";
import { EachJob } from "./each-job.js";
import { jobJson } from "./job-json.js";
import { describeState } from "./job-text.js";
import { writeLines } from "./lines.js";
import { type RecordsOptions, withRecords } from "./records-session.js";

export interface ChangeOptions extends RecordsOptions {
  readonly jobs: readonly number[];
  readonly json: boolean;
}

/**
 * Cancels jobs. One that has ended stays as it is, which is said, and is no failure. Rejects with `CommandFailed`, when all others
 * are done, if one cannot be cancelled.
 */
export function cancelJobs(options: ChangeOptions): Promise<void> {
  return change(
    options,
    (records, job) => JobRecords.cancel(records, job),
    (record) =>
      record.state === "cancelled" ? describeState(record) : `has ended: ${describeState(record)}`,
  );
}

/** One more attempt for jobs that have ended without success. Rejects with `CommandFailed` if one cannot have it. */
export function retryJobs(options: ChangeOptions): Promise<void> {
  return change(options, (records, job) => JobRecords.retry(records, job), describeState);
}

/** Does something to each job, and prints what it is then. */
function change(
  options: ChangeOptions,
  act: (records: Capability, job: number) => Promise<void>,
  describe: (record: JobRecords.JobRecord) => string,
): Promise<void> {
  return withRecords(options, (records) => {
    const each = new EachJob(options.jobs, async (job) => {
      await act(records, job);
      const record = await JobRecords.get(records, job);
      await writeLines([options.json ? jobJson(record) : `Job ${job}: ${describe(record)}`]);
      return true;
    });
    return each.run();
  });
}
