/** The files of a job that has just ended, for who has waited for it. */
import type { JobRecords } from "../../api/index.js";
import { CommandFailed, interruptible, stderrTerminal } from "../../console/index.js";
import { quoted, visible, writeSize } from "../../text/index.js";
import { steadily } from "../jobs/records-session.js";
import { type Fetched, OutputFetch } from "./fetch-outputs.js";
import type { OutputSpec } from "./output-spec.js";

export interface AfterJob {
  /** The path of the capability file. */
  readonly connect: string;
  readonly quiet: boolean;
}

/**
 * Fetches what is there; of a job that has failed that may be nothing. Rejects with
 * `CommandFailed`, and `Interrupted`.
 */
export async function fetchAfter(
  record: JobRecords.JobRecord,
  { connect, quiet }: AfterJob,
  outputs: readonly OutputSpec[],
): Promise<void> {
  const last = record.attempts.at(-1);
  if (!last || last.outputSize === 0) {
    const isWanted = record.options.outputs?.when !== "failure";
    if (record.state !== "succeeded" || !isWanted) return;
    throw new CommandFailed(`No files of job ${record.job} are kept (any more).`);
  }
  const fetch = new OutputFetch({ job: record.job, attempt: last.attempt, outputs });
  try {
    const fetched = await interruptible((signal) =>
      steadily({ connect, quiet }, (records) => fetch.run(records), { signal, isKnown: true }),
    );
    if (!quiet) for (const one of fetched) stderrTerminal.line(describeFetched(one));
  } catch (error) {
    if (!quiet) {
      stderrTerminal.line(
        `The files of job ${record.job} stay at the scheduler for a while: \`ocluster-client fetch\`.`,
      );
    }
    throw error;
  }
}

/** `"/out": 12 files (3.4M) in results` */
export function describeFetched({ files, local, remote, size }: Fetched): string {
  const count = `${files} ${files === 1 ? "file" : "files"} (${writeSize(size)})`;
  const where = local === "-" ? "on standard output" : `in ${visible(local)}`;
  return `${quoted(remote)}: ${count} ${where}`;
}
