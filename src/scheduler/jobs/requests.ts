/**
 * What clients ask for: new jobs, and another go for old ones. What the book does not know itself,
 * as it was over long ago, the records have to say, and they are asked by whoever calls: the
 * request then comes a second time.
 */

import { type Ledger, phrase } from "./ledger.js";
import { NO_TALLY } from "./retry-decision.js";
import { checkSubmission, newJob } from "./submission.js";
import type {
  EndState,
  JobRecord,
  Past,
  RetryResult,
  RowSubmission,
  Submission,
  SubmitResult,
} from "./types.js";

/** The jobs that one is to run after. */
interface Others {
  /** Those that have not ended. */
  readonly active: readonly number[];
  /** Those of which only the records may know. */
  readonly unclear: readonly number[];
  /** The first that the client has no such job of, or none any more. */
  readonly missing: number | null;
  /** The first that has ended otherwise than it should. */
  readonly failed: { readonly id: number; readonly state: EndState } | null;
}

export function submit(ledger: Ledger, submission: Submission, past: Past): SubmitResult {
  const options = checkSubmission(submission);
  if (typeof options === "string") return { kind: "refused", reason: options };
  const { client, key = "" } = submission;
  const known = key === "" ? null : (ledger.jobs.idOf(client, key) ?? past.keyed);
  if (typeof known === "number") return { kind: "known", id: known };
  const { active, unclear, missing, failed } = lookUp(ledger, client, options.after, past);
  if (known === undefined || unclear.length > 0) {
    return { kind: "ask", key: known === undefined, jobs: unclear };
  }
  if (missing !== null) {
    return { kind: "refused", reason: `You have no job ${missing} for this one to run after.` };
  }
  const job = newJob(ledger.store.nextId(), submission, options, ledger.clock.wall());
  ledger.add(job);
  ledger.counters.submitted++;
  ledger.store.saveDescription(job.id, submission.description);
  if (failed) ledger.cancelAfter(job, failed.id, failed.state);
  else ledger.awaitOthers(job, active);
  return { kind: "new", job };
}

/**
 * Makes a job of a row. It is nobody's promise yet: it is kept when it can be, and its batch knows
 * the row.
 */
export function beginRow(ledger: Ledger, row: RowSubmission): JobRecord {
  const { clock, store } = ledger;
  const job = newJob(store.nextId(), row, row.options, clock.wall());
  job.batch = row.batch;
  job.row = row.row;
  ledger.add(job);
  ledger.counters.submitted++;
  ledger.enqueue(job);
  return job;
}

export function retry(ledger: Ledger, record: JobRecord, past: Past): RetryResult {
  const { id } = record;
  const active = ledger.jobs.get(id);
  if (active) return refused(`Job ${id} has not ended: it is ${active.state}.`);
  const job = ledger.jobs.justEnded(id) ?? record;
  const obstacle = whyNotAgain(ledger, job);
  if (obstacle !== null) return refused(obstacle);
  const others = lookUp(ledger, job.client, job.options.after, past);
  const { failed, missing } = others;
  if (others.unclear.length > 0) return { kind: "ask", jobs: others.unclear };
  if (failed) {
    const what = `Job ${failed.id}, which job ${id} runs after, ${phrase(failed.state)}`;
    return refused(`${what}: retry that one first.`);
  }
  if (missing !== null) {
    return refused(`Job ${missing}, which job ${id} runs after, is not on record any more.`);
  }
  Object.assign(job, NO_TALLY);
  job.state = "waiting";
  job.ended = null;
  job.cause = null;
  job.reason = "";
  job.start = null;
  ledger.add(job);
  ledger.awaitOthers(job, others.active);
  return { kind: "again", job };
}

/** Why a job that has ended cannot be tried again by itself; null if it can. */
export function whyNotAgain({ clock, settings }: Ledger, job: JobRecord): string | null {
  const { id, ended } = job;
  if (job.kind === "attached") {
    return `Job ${id} was attached to its client, and its description is not on record: submit it again.`;
  }
  if (job.state === "succeeded") {
    return `Job ${id} has succeeded, and its description was erased: submit it again.`;
  }
  // Its batch has what it takes.
  if (job.batch !== null) return null;
  if (!job.described || ended === null || ended < clock.wall() - settings.keepFailed) {
    return `The description of job ${id} has been erased: submit it again.`;
  }
  return null;
}

function refused(reason: string): RetryResult {
  return { kind: "refused", reason };
}

function lookUp(
  { jobs }: Ledger,
  client: string,
  after: readonly number[],
  { states }: Past,
): Others {
  const active: number[] = [];
  const unclear: number[] = [];
  let missing: Others["missing"] = null;
  let failed: Others["failed"] = null;
  for (const id of after) {
    const job = jobs.get(id) ?? jobs.justEnded(id);
    const state = job ? job.state : states?.get(id);
    // To a client, others' jobs do not exist.
    if (state === null || (job && job.client !== client)) missing ??= id;
    else if (state === undefined) unclear.push(id);
    else if (state === "failed" || state === "cancelled") failed ??= { id, state };
    else if (state !== "succeeded") active.push(id);
  }
  return { active, unclear, missing, failed };
}
