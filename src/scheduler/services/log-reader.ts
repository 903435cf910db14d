/**
 * The logs of attempts for their readers, whether they grow or are whole: from any byte, as often
 * as anybody likes.
 */
import type { JobRecords as Api } from "../../api/index.js";
import { RpcError } from "../../rpc/index.js";
import type { AttemptRecord } from "../jobs/types.js";
import type { AttemptLog } from "../state/attempt-log.js";
import type { RecordedJob } from "../state/job-records.js";
import type { DurableJobs } from "./durable-jobs.js";

/** The most that is given at once of a log that is whole, in bytes. */
const CHUNK = 128 * 1024;

const EMPTY = new Uint8Array(0);

/** A page of a log; null if there is no attempt yet, and one is to be waited for. */
export async function logPage(
  jobs: DurableJobs,
  found: RecordedJob,
  { attempt: wanted, follow, start }: Api.LogRange,
  signal: AbortSignal,
): Promise<Api.AttemptLogChunk | null> {
  const { id, kind, ended, attempts } = found.job;
  if (kind === "attached") {
    throw new RpcError("failed", `Job ${id} was attached to its client: its log is not on record`);
  }
  if (wanted === 0 && attempts === 0) {
    return follow && ended === null ? null : { data: EMPTY, next: Math.max(start, 0), attempt: 0 };
  }
  const attempt = wanted === 0 ? attempts : wanted;
  const record = found.attempts.find((one) => one.attempt === attempt);
  if (!record) throw new RpcError("failed", `Job ${id} has no attempt ${attempt}`);
  const growing = await growingLog(jobs, id, attempt);
  const page = growing
    ? growing.page(start, follow, signal)
    : wholeSize(jobs, record).then((size) => wholePage(jobs, id, attempt, size, start));
  return inWords(page, attempt);
}

/**
 * A page of the log of a job's attempt that goes on, if it is known without asking the records:
 * they have the attempt, as its worker does. Undefined if they are to be asked.
 *
 * @param client whose job it has to be; null: anybody's
 */
export function growingPage(
  { book, spool }: DurableJobs,
  client: string | null,
  { attempt: wanted, follow, job: id, start }: Api.LogRange,
  signal: AbortSignal,
): Promise<Api.AttemptLogChunk> | undefined {
  const job = book.job(id);
  const attempt = book.attempt(id)?.attempt;
  if (!job || attempt === undefined || (client ?? job.client) !== job.client) return undefined;
  if (wanted !== 0 && wanted !== attempt) return undefined;
  const log = spool.growingLog(id, attempt);
  return log && inWords(log.page(start, follow, signal), attempt);
}

async function inWords(
  page: Promise<Omit<Api.AttemptLogChunk, "attempt">>,
  attempt: number,
): Promise<Api.AttemptLogChunk> {
  try {
    return { ...(await page), attempt };
  } catch (error) {
    if (error instanceof RangeError) throw new RpcError("failed", error.message);
    throw error;
  }
}

/** The log, if its attempt goes on. */
async function growingLog(
  { book, spool }: DurableJobs,
  job: number,
  attempt: number,
): Promise<AttemptLog | undefined> {
  const known = spool.growingLog(job, attempt);
  const goesOn = () => book.attempt(job)?.attempt === attempt;
  if (known || !goesOn()) return known;
  // Its worker is out of touch, or has not begun.
  const log = await spool.grow(job, attempt);
  if (goesOn()) return log;
  log.abandon();
  return undefined;
}

/**
 * The size of a log that does not grow. Where its attempt has ended since `record` was read, that
 * does not know it yet.
 */
async function wholeSize({ records }: DurableJobs, record: AttemptRecord): Promise<number> {
  if (record.outcome !== null) return record.logSize;
  const now = await records.job(record.job);
  return now?.attempts.find(({ attempt }) => attempt === record.attempt)?.logSize ?? 0;
}

async function wholePage(
  { spool }: DurableJobs,
  job: number,
  attempt: number,
  size: number,
  start: number,
): Promise<{ data: Uint8Array; next: number }> {
  const from = start < 0 ? Math.max(0, size + start) : start;
  const data = await spool.read(job, attempt, from, CHUNK);
  if (data.length === 0 && from > size) throw new RangeError("Start value out of range!");
  // What a killed scheduler had still in memory of an attempt that it had given up is missing at
  // the end.
  if (data.length === 0 && from < size && !(await spool.has(job, attempt))) {
    throw new RpcError(
      "failed",
      `The log of attempt ${attempt} of job ${job} is not kept any more (--keep-logs)`,
    );
  }
  return { data, next: from + data.length };
}
