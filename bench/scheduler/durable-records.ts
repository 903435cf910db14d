/**
 * Many durable jobs on file before the scheduler starts, written as it writes them itself. To
 * submit a million takes minutes.
 */
import { join } from "node:path";
import { Submission } from "../../src/api/index.js";
import { Identity, RpcError } from "../../src/rpc/index.js";
import { DEFAULT_OPTIONS, newJob } from "../../src/scheduler/jobs/submission.js";
import type { AttemptRecord, JobRecord } from "../../src/scheduler/jobs/types.js";
import { packRuns } from "../../src/scheduler/state/ended-runs.js";
import { JOBS_DATABASE } from "../../src/scheduler/state/job-records.js";
import { JobsDatabase } from "../../src/scheduler/state/jobs-database.js";
import { attemptRow, jobRow } from "../../src/scheduler/state/jobs-schema.js";
import { SPEC } from "./durable-load.js";
import { descr } from "./load.js";
import { CLIENT, keyFile, POOL, type SchedulerDirectories } from "./process.js";

const AT_ONCE = 5000;
const NOTHING = new Uint8Array(0);

/** Jobs that are queued, with their descriptions. */
export async function queuedRecords(count: number): Promise<(to: SchedulerDirectories) => void> {
  const description = await descriptionBytes();
  return (to) =>
    fill(to, count, (id) => ({
      job: { ...aJob(id, count), state: "queued", start: seconds() - count + id, order: id },
      description,
    }));
}

/** Jobs that have ended, of a hundred clients and of the last 30 days; each tenth has failed. */
export function endedRecords(count: number): (to: SchedulerDirectories) => void {
  return (to) =>
    fill(to, count, (id) => {
      const job = aJob(id, count);
      const outcome = id % 10 === 0 ? "failed" : "succeeded";
      const [started, ended] = [job.submitted + 1, job.submitted + 11];
      Object.assign(job, { state: outcome, cause: outcome, started, ended, attempts: 1 });
      job.described = false;
      const attempt: AttemptRecord = {
        job: id,
        attempt: 1,
        worker: `w${id % 50}`,
        resumes: true,
        cached: false,
        offered: job.submitted,
        started,
        ended,
        outcome,
        reason: "",
        logSize: 0,
      };
      return { job: { ...job, client: `client-${id % 100}` }, attempt };
    });
}

function aJob(id: number, count: number): JobRecord {
  const submission = {
    client: CLIENT,
    pool: POOL,
    hint: `hint-${id % 1000}`,
    description: NOTHING,
  };
  const month = 30 * 86_400;
  return newJob(id, submission, DEFAULT_OPTIONS, seconds() - month + (id / count) * month);
}

interface Made {
  readonly job: JobRecord;
  readonly attempt?: AttemptRecord;
  readonly description?: Uint8Array;
}

function fill(
  { secrets, state }: SchedulerDirectories,
  count: number,
  make: (id: number) => Made,
): void {
  const key = Identity.loadOrCreate(keyFile(secrets)).derivedId("job-descriptions");
  const database = new JobsDatabase({ path: join(state, JOBS_DATABASE), key, readonly: false });
  for (let first = 1; first <= count; first += AT_ONCE) {
    const made = Array.from({ length: Math.min(AT_ONCE, count - first + 1) }, (_, index) =>
      make(first + index),
    );
    database.commit({
      jobs: made.map(({ job }) => jobRow(job)),
      attempts: made.flatMap(({ attempt }) => (attempt ? [attemptRow(attempt)] : [])),
      descriptions: made.flatMap(({ description, job }) =>
        description ? [[job.id, description] as const] : [],
      ),
      erased: [],
      pieces: [],
      ended: packRuns([]),
      lastId: first + made.length - 1,
    });
  }
  database.close();
}

/** A job's description as the scheduler gets it, and keeps it. */
async function descriptionBytes(): Promise<Uint8Array> {
  let bytes: Uint8Array = NOTHING;
  using submission = Submission.local({
    submit: (job) => {
      using descr = job.descr;
      bytes = descr.toBytes();
      throw new RpcError("failed", "That was all");
    },
    save: () => {
      throw new RpcError("unimplemented", "There is nothing to save");
    },
  });
  using ticket = Submission.submit(submission, { pool: POOL, descr: descr(SPEC, "") });
  await ticket.whenResolved().catch(() => {});
  return bytes;
}

function seconds(): number {
  return Date.now() / 1000;
}
