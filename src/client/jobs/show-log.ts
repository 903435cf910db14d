/** `logs`: what an attempt has printed, or what a job prints from now on. */
import { JobRecords } from "../../api/index.js";
import { CommandFailed, LineShortener, stderrTerminal } from "../../console/index.js";
import type { Capability } from "../../rpc/index.js";
import { JobFollower, type JobView } from "./follow.js";
import { describeFurther, describeState } from "./job-text.js";
import { writeLines, writeText } from "./lines.js";
import { LogLines } from "./log-lines.js";
import { type LogPosition, LogReader } from "./log-reader.js";
import { type RecordsOptions, steadily, withRecords } from "./records-session.js";
import { lastLines } from "./tail.js";

export interface LogOptions extends RecordsOptions {
  readonly job: number;
  /** 0: the newest, and with `follow` those after it. */
  readonly attempt: number;
  readonly follow: boolean;
  /** Only so many lines of what there is. */
  readonly tail: number | undefined;
  readonly json: boolean;
}

/**
 * Resolves when all is printed; with `follow`, when the attempt or the job has ended. Rejects with
 * `CommandFailed`.
 */
export async function showLog(options: LogOptions): Promise<void> {
  const lines = options.json ? new LogLines(options.job) : null;
  const shortener = process.stdout.isTTY ? new LineShortener() : null;
  const view: JobView = {
    record: () => {},
    log: (data, attempt) =>
      lines ? writeLines(lines.add(data, attempt)) : writeText(shortener?.push(data) ?? data),
    again: (attempt) => {
      if (shortener) process.stdout.write(shortener.end());
      if (!options.quiet) stderrTerminal.line(describeFurther(attempt));
    },
  };
  if (options.follow) {
    let goOn: Reading | undefined;
    await steadily(options, async (records) => {
      goOn ??= await reading(records, options, view);
      await goOn(records);
    });
  } else {
    await withRecords(options, async (records) => (await reading(records, options, view))(records));
  }
  if (lines) await writeLines(lines.end());
  else if (shortener) await writeText(shortener.end());
}

/** Prints what is to be printed; called again with another connection, what is left of it. */
type Reading = (records: Capability) => Promise<unknown>;

async function reading(records: Capability, options: LogOptions, view: JobView): Promise<Reading> {
  const { attempt, follow, job, quiet } = options;
  const record = await JobRecords.get(records, job);
  checkLog(record, attempt);
  const from = await beginning(records, record, options);
  if (follow && attempt === 0) {
    const follower = new JobFollower(job, view, from);
    return (connection) => follower.run(connection);
  }
  if (from === undefined) {
    if (!quiet) stderrTerminal.line(`Job ${job} has no log (yet): ${describeState(record)}.`);
    return async () => {};
  }
  const reader = new LogReader(job, from, view.log);
  return (connection) => reader.readAll(connection, { follow });
}

/** Throws a `CommandFailed` if there is nothing to print, and never will be. */
function checkLog({ attached, attempts, job }: JobRecords.JobRecord, attempt: number): void {
  if (attached) throw new CommandFailed(`Job ${job} was attached: its log is not kept.`);
  if (attempt > 0 && !attempts.some((each) => each.attempt === attempt)) {
    const count = attempts.length === 0 ? "none yet" : `${attempts.length}`;
    throw new CommandFailed(`Job ${job} has no attempt ${attempt}: it has had ${count}.`);
  }
}

/** Where to begin; undefined if there was no attempt yet. */
async function beginning(
  records: Capability,
  { attempts, job }: JobRecords.JobRecord,
  options: LogOptions,
): Promise<LogPosition | undefined> {
  const attempt = options.attempt || attempts.at(-1)?.attempt;
  if (attempt === undefined) return undefined;
  if (options.tail === undefined) return { attempt, start: 0 };
  return await lastLines(records, { job, attempt }, options.tail);
}
