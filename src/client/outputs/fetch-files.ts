/** `fetch`: the files that are kept of a job, into a directory. */
import { JobRecords } from "../../api/index.js";
import { CommandFailed, interruptible, stderrTerminal } from "../../console/index.js";
import type { Capability } from "../../rpc/index.js";
import { visibleJson } from "../../text/index.js";
import { describeState, hasEnded } from "../jobs/job-text.js";
import { writeLines } from "../jobs/lines.js";
import { type RecordsOptions, steadily } from "../jobs/records-session.js";
import { describeFetched } from "./after-job.js";
import { OutputFetch } from "./fetch-outputs.js";
import { checkTargets } from "./local-check.js";
import { NoOutputs, OutputSource } from "./output-source.js";
import type { OutputSpec } from "./output-spec.js";

export interface FetchFiles extends RecordsOptions {
  readonly job: number;
  /** Undefined: the newest of which files are kept. */
  readonly attempt?: number | undefined;
  /** Only these; none: all that was asked for. */
  readonly paths: readonly string[];
  /** The directory to put them into. */
  readonly to: string;
  readonly json: boolean;
}

/** Rejects with `CommandFailed`. */
export async function fetchFiles(options: FetchFiles): Promise<void> {
  const { json, quiet } = options;
  let fetch: OutputFetch | undefined;
  const fetched = await interruptible((signal) =>
    steadily(
      options,
      async (records) => {
        fetch ??= await wanted(records, options);
        return await fetch.run(records);
      },
      { signal },
    ),
  );
  for (const one of fetched) {
    if (json) await writeLines([visibleJson({ id: options.job, ...one })]);
    else if (!quiet) stderrTerminal.line(describeFetched(one));
  }
}

async function wanted(
  records: Capability,
  { attempt = 0, job, paths, to }: FetchFiles,
): Promise<OutputFetch> {
  const source = await OutputSource.open(records, job, attempt).catch(async (error) => {
    throw error instanceof NoOutputs ? await whyNone(records, job, error) : error;
  });
  const found = source.list.asked.filter((asked) => asked.found.length > 0);
  const remotes = paths.length > 0 ? paths : found.map(({ asked }) => asked);
  const outputs = remotes.map(
    (remote): OutputSpec => ({ remote, local: { kind: "under", path: to } }),
  );
  checkTargets(outputs);
  return new OutputFetch({ job, attempt: source.attempt, outputs });
}

/** It may be too early. */
async function whyNone(records: Capability, job: number, error: NoOutputs): Promise<CommandFailed> {
  const record = await JobRecords.get(records, job);
  if (hasEnded(record)) return error;
  return new CommandFailed(
    `Job ${job} has not ended (${describeState(record)}): \`ocluster-client wait ${job}\` first.`,
    { cause: error },
  );
}
