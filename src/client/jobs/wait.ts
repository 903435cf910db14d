/** `wait`: until jobs have ended. */
import { JobRecords } from "../../api/index.js";
import type { Capability } from "../../rpc/index.js";
import { type FailureKind, JobFailure, kindOfCause } from "../failure.js";
import { EachJob } from "./each-job.js";
import { jobJson } from "./job-json.js";
import { describeState, hasEnded } from "./job-text.js";
import { writeLines } from "./lines.js";
import { type RecordsOptions, steadily } from "./records-session.js";

export interface WaitOptions extends RecordsOptions {
  readonly jobs: readonly number[];
  /** Seconds; undefined for any time. */
  readonly timeout: number | undefined;
  readonly json: boolean;
}

/** Timers of Node's take no more ms; nobody waits for longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Prints each job when it has ended, and those that have not when the time is over. Rejects with a
 * `CommandFailed` unless all have succeeded.
 */
export async function waitForJobs(options: WaitOptions): Promise<void> {
  const { timeout = Infinity } = options;
  const over = new AbortController();
  const ms = Math.min(timeout * 1000, LONGEST_TIMER_MS);
  const timer = setTimeout(() => over.abort(), ms);
  const wait = new Wait(options, over.signal);
  try {
    await steadily(options, (records) => wait.run(records), { signal: over.signal });
  } catch (error) {
    if (!over.signal.aborted) throw error;
    await wait.printUnfinished();
    throw new JobFailure("timeout", "The time is over, and not all jobs have ended.");
  } finally {
    clearTimeout(timer);
  }
}

class Wait {
  private readonly each: EachJob;
  /** As jobs were when they were last heard of. */
  private readonly seen = new Map<number, JobRecords.JobRecord>();
  private records!: Capability;

  constructor(
    { jobs, json }: WaitOptions,
    private readonly signal: AbortSignal,
    private readonly print = printer(json),
  ) {
    this.each = new EachJob(jobs, (job) => this.one(job), json);
  }

  run(records: Capability): Promise<void> {
    this.records = records;
    return this.each.run();
  }

  async printUnfinished(): Promise<void> {
    for (const job of this.each.unfinished) {
      const record = this.seen.get(job);
      if (record) await this.print(record);
    }
  }

  private async one(job: number): Promise<FailureKind | null> {
    let record: JobRecords.JobRecord | undefined;
    do {
      record = await this.get(job, record?.revision ?? 0);
      this.seen.set(job, record);
    } while (!hasEnded(record));
    await this.print(record);
    return record.state === "succeeded" ? null : kindOfCause(record.cause);
  }

  private async get(job: number, revision: number): Promise<JobRecords.JobRecord> {
    const { records, signal } = this;
    return await JobRecords.get(records, job, revision, { signal }).catch((error) => {
      signal.throwIfAborted();
      throw error;
    });
  }
}

function printer(json: boolean): (record: JobRecords.JobRecord) => Promise<void> {
  return (record) =>
    writeLines([json ? jobJson(record) : `Job ${record.job}: ${describeState(record)}`]);
}
