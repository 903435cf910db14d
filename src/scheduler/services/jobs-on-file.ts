/**
 * The durable jobs that had not ended when the scheduler did, from the records into the book.
 *
 * There may be a million. So first come those that workers have, which takes no time: from then on
 * these can come back. The others follow in slices of the loop's time.
 */
import type { Slices } from "../../async/index.js";
import type { JobBook } from "../jobs/job-book.js";
import type { EndState, JobRecord, JobState, RestoredJob } from "../jobs/types.js";
import type { JobRecords } from "../state/job-records.js";
import type { Unfinished } from "../state/jobs-messages.js";
import { attemptOf, jobOf, STATES } from "../state/jobs-schema.js";
import { unpack } from "../state/packed-jobs.js";

/** How many records are read in one go. */
const READ_AT_ONCE = 10_000;

/** How many jobs the book takes in one go: a millisecond or two of work. */
const TAKEN_AT_ONCE = 500;

/** A worker has them, as far as is known. */
export const AWAY: readonly JobState[] = ["offered", "running", "out of touch"];
/** Nobody has them. */
export const HERE: readonly JobState[] = ["waiting", "queued"];

export interface Intake {
  readonly records: JobRecords;
  readonly book: JobBook;
  readonly slices: Slices;
  /** Told of each job and the size of its description in bytes. */
  onJob(job: JobRecord, size: number): void;
}

/**
 * Takes in all jobs that were in these states. Rejects with a `StoreError`, and with the reason of
 * the slices' signal.
 */
export async function takeIn(intake: Intake, states: readonly JobState[]): Promise<void> {
  const { records, slices } = intake;
  for (const state of states) {
    const read = (after: number) => records.unfinished(state, after, READ_AT_ONCE);
    for (let next: Promise<Unfinished> | null = read(0); next !== null; ) {
      const found: Unfinished = await next;
      // The thread reads on while these are taken in.
      next = found.after === null ? null : read(found.after);
      next?.catch(ignore);
      await take(intake, found, state);
      await slices.turn();
    }
  }
}

async function take(intake: Intake, found: Unfinished, state: JobState): Promise<void> {
  const { book, onJob, records, slices } = intake;
  const jobs = jobsOf(found, state);
  for (let more = true; more; ) {
    const taken: JobRecord[] = [];
    while (taken.length < TAKEN_AT_ONCE) {
      const { done, value } = jobs.next();
      more = !done;
      if (done) break;
      // One that was taken in is out of touch from then on, also on record, where it may be read
      // once more.
      if (book.job(value.job.id)) continue;
      onJob(value.job, value.size);
      taken.push(value.job);
    }
    const past = state === "waiting" ? await endsBefore(records, taken) : NOTHING;
    const open = new Map(found.attempts.map((row) => [row.job, attemptOf(row)]));
    book.restore(
      taken.map((job): RestoredJob => ({ job, attempt: open.get(job.id) ?? null, past })),
    );
    await slices.turn();
  }
}

function* jobsOf({ jobs, packed }: Unfinished, state: JobState) {
  for (const row of jobs) yield { job: jobOf(row), size: row.size ?? 0 };
  yield* unpack(packed, STATES.indexOf(state));
}

/** How those ended that the jobs were to run after, as far as they did. */
async function endsBefore(
  records: JobRecords,
  jobs: readonly JobRecord[],
): Promise<ReadonlyMap<number, EndState>> {
  const awaited = new Set(jobs.flatMap(({ options }) => options.after));
  if (awaited.size === 0) return NOTHING;
  const ends = await records.ends([...awaited]);
  return new Map(ends.map(([id, , state]) => [id, STATES[state] as EndState]));
}

const NOTHING: ReadonlyMap<number, EndState> = new Map();

function ignore(): void {}
