/**
 * Commands that look at jobs on record, which a client has for its own jobs and an administrator
 * for all.
 */
import type { JobRecords } from "../api/index.js";
import {
  argument,
  command,
  connectOption,
  integer,
  list,
  moment,
  nonEmpty,
  oneOf,
  option,
  repeatedArgument,
} from "../cli/index.js";
import { UsageError } from "../console/index.js";
import { toldApart } from "./told-apart.js";

/** Whose commands: what to call the program, and its capability file. */
export interface Owner {
  readonly program: string;
  readonly capFile: string;
  /** Its option --connect, if it has one of its own. */
  connect?(): ReturnType<typeof connectOption>;
}

/** What all of these are told. */
interface RecordsCommand {
  readonly connect: string;
  readonly verbosity: string;
}

export function recordsOptions({ connect, verbosity }: RecordsCommand) {
  return { connect, quiet: verbosity === "quiet" };
}

export function recordsCommand(
  { connect, program, capFile }: Owner,
  name: string,
  summary: string,
  examples: readonly string[],
) {
  const lines = examples.map((line) => `${program} -c ${capFile} ${line}`);
  return command(name, summary, lines).addOption(connect?.() ?? connectOption(capFile));
}

const STATES = [
  "waiting",
  "queued",
  "running",
  "succeeded",
  "failed",
  "cancelled",
] as const satisfies readonly JobRecords.JobState[];

/** The number of a job. */
export const jobNumber = integer({ min: 1 });

export const JOB_TEXT = "The job's number.";

/** `jobs`: the options that a client and an administrator have for it. */
export function jobsCommand(owner: Owner, summary: string, examples: readonly string[]) {
  return recordsCommand(owner, "jobs", summary, examples)
    .addOption(option("--state <LIST>", "Only those in these states.", list(oneOf(STATES))))
    .addOption(option("--hint <STRING>", "Only those with this cache hint.", nonEmpty))
    .addOption(option("--since <DATE>", "Submitted then or later.", moment))
    .addOption(option("--until <DATE>", "Submitted before.", moment))
    .addOption(
      option("--limit <N>", "Not more. Without --since or --json: 50.", integer({ min: 1 })),
    )
    .option("--json", "Print JSON, one line for each job.", false);
}

/**
 * How many jobs are listed to somebody who has not said, and perhaps does not know how many there
 * are.
 */
const GLANCE = 50;

export interface JobsCommand extends RecordsCommand {
  readonly state?: JobRecords.JobState[] | undefined;
  readonly hint?: string | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly limit?: number | undefined;
  readonly json: boolean;
}

/** Runs `jobs`; `filter` is what one of the two has beyond the options of both. */
export async function runJobs(
  options: JobsCommand,
  filter: JobRecords.JobFilter,
  { ofAll }: { readonly ofAll: boolean },
): Promise<void> {
  const { hint, json, since, state, until } = options;
  checkSpan(since, until);
  const { listJobs, withRecords } = await import("../client/index.js");
  const limit = options.limit ?? (json || since !== undefined ? undefined : GLANCE);
  const all = { ...filter, states: state, hint, since, until };
  await withRecords(recordsOptions(options), (records) =>
    listJobs(records, { filter: all, limit, json, ofAll }),
  );
}

export function jobCommand(owner: Owner) {
  return recordsCommand(owner, "job", "Show all that is on record of a job.", ["job 17"])
    .option("--json", "Print JSON, on one line.", false)
    .addArgument(argument("<JOB>", JOB_TEXT, jobNumber))
    .action(
      toldApart(async (job, options) => {
        const { showJob, withRecords } = await import("../client/index.js");
        await withRecords(recordsOptions(options), (records) =>
          showJob(records, job, options.json),
        );
      }),
    );
}

export function logsCommand(owner: Owner) {
  return recordsCommand(owner, "logs", "Print the log of a job, whatever became of it.", [
    "logs 17",
    "logs 17 -f --tail=20",
    "logs 17 --attempt=1",
  ])
    .option("-f, --follow", "Go on until the job has ended, through all attempts.", false)
    .addOption(
      option("--attempt <N>", "The log of this attempt, not the newest.", integer({ min: 1 })),
    )
    .addOption(
      option("--tail <LINES>", "Only so many lines of what there is.", integer({ min: 0 })),
    )
    .option("--json", "Print JSON, one line for each line.", false)
    .addArgument(argument("<JOB>", JOB_TEXT, jobNumber))
    .action(
      toldApart(async (job, options) => {
        const { showLog } = await import("../client/index.js");
        const { attempt = 0, follow, json, tail } = options;
        await showLog({ ...recordsOptions(options), job, attempt, follow, json, tail });
      }),
    );
}

export function cancelCommand(owner: Owner) {
  return recordsCommand(owner, "cancel", "Cancel jobs, queued or running.", ["cancel 17 18"])
    .option("--json", "Print JSON, one line for each job.", false)
    .addArgument(repeatedArgument("<JOB...>", "Numbers of jobs.", jobNumber))
    .action(
      toldApart(async (jobs, options) => {
        const { cancelJobs } = await import("../client/index.js");
        await cancelJobs({ ...recordsOptions(options), jobs, json: options.json });
      }),
    );
}

/** Of `until` before `since` nothing can come: it is a mistake. Throws a `UsageError`. */
export function checkSpan(since: number | undefined, until: number | undefined): void {
  if (since !== undefined && until !== undefined && until <= since) {
    throw new UsageError("--until is not after --since: nothing is between them.");
  }
}
