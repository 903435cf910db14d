/**
 * Durable jobs as a client submits them: from a description to a record on disk, and only then an
 * answer.
 */
import {
  cacheHintBytes,
  cacheHintOf,
  type DurableSubmission,
  LocalContext,
  needsOf,
} from "../../api/index.js";
import { type DetachedPointer, RpcError } from "../../rpc/index.js";
import type { EndState, JobRecord, Past, Submission } from "../jobs/types.js";
import { RECORD_BYTES } from "../state/client-use-table.js";
import { STATES } from "../state/jobs-schema.js";
import { type ClientLimits, checkHint, diskRefusal } from "./client-limits.js";
import { checkContext } from "./context-desk.js";
import type { DurableJobs } from "./durable-jobs.js";

/**
 * Submits a job in the client's name; takes `submitted.descr`. Rejects with an `RpcError` that says
 * what is wrong.
 */
export async function submitDurable(
  jobs: DurableJobs,
  limits: ClientLimits,
  client: string,
  submitted: DurableSubmission.SubmittedDurableJob,
): Promise<DurableSubmission.DurableSubmitted> {
  const { active, book } = jobs;
  const submission = readSubmission(limits, client, submitted);
  await jobs.whole;
  const { context } = submission.options ?? {};
  if (context !== undefined) await jobs.contexts.ready;
  for (let past: Past = {}; ; ) {
    const bytes = submission.description.length;
    const refusal =
      active.refusal(client, bytes, limits) ??
      diskRefusal(jobs.records.useOf(client), RECORD_BYTES + bytes, limits);
    if (refusal) return overLimit(jobs, submission, refusal);
    // Who asks once more for a job that there is does not need it any more.
    if (context !== undefined && (await keyed(jobs, submission)) === null) {
      checkContext(jobs.contexts, client, context);
    }
    const result = book.submit(submission, past);
    switch (result.kind) {
      case "refused":
        throw new RpcError("failed", result.reason);
      case "ask":
        past = await lookUp(jobs, submission, result);
        break;
      case "known":
        // It may be new itself, and may yet be refused.
        if ((await keyed(jobs, submission)) === result.id) return { job: result.id, known: true };
        past = {};
        break;
      case "new":
        active.enter(result.job, bytes);
        await kept(jobs, result.job);
        return { job: result.job.id, known: false };
    }
  }
}

function readSubmission(
  { jobBytes }: ClientLimits,
  client: string,
  { descr, options, pool, urgent }: DurableSubmission.SubmittedDurableJob,
): Submission {
  using _ = descr;
  const bytes = descr.byteLength;
  if (bytes > jobBytes) {
    throw new RpcError(
      "overloaded",
      `The job's description has ${bytes} bytes; the limit is ${jobBytes}`,
    );
  }
  checkHint(cacheHintBytes(descr));
  const { after, key, lostRetries, name, outputs, retries, retryDelay, timeout } = options;
  const context = LocalContext.manifestIn(descr);
  return {
    client,
    pool,
    urgent,
    name,
    key,
    description: bytesOf(descr),
    hint: cacheHintOf(descr),
    needs: needsOf(descr),
    options: {
      ...{ after, lostRetries, outputs, retries, retryDelay },
      timeout: timeout === 0 ? null : timeout,
      ...(context !== undefined && { context }),
    },
  };
}

function bytesOf(descr: DetachedPointer): Uint8Array {
  try {
    return descr.toBytes();
  } catch {
    const advice = "a durable job has to be described by data alone. Submit it as an attached job";
    throw new RpcError("failed", `The description refers to objects of this connection: ${advice}`);
  }
}

/** Who has too many may still ask for one by its key. */
async function overLimit(
  jobs: DurableJobs,
  submission: Submission,
  refusal: RpcError,
): Promise<DurableSubmission.DurableSubmitted> {
  const known = await keyed(jobs, submission);
  if (known !== null) return { job: known, known: true };
  throw refusal;
}

async function keyed({ records }: DurableJobs, { client, key }: Submission) {
  return key === undefined || key === "" ? null : records.keyed(client, key);
}

/** What the records say of what the book does not know. */
export async function lookUp(
  { records }: DurableJobs,
  submission: { readonly client: string; readonly key?: string },
  asked: { readonly key?: boolean; readonly jobs: readonly number[] },
): Promise<Past> {
  const { client, key = "" } = submission;
  const [id, ends] = await Promise.all([
    asked.key ? records.keyed(client, key) : undefined,
    records.ends(asked.jobs),
  ]);
  const states = new Map<number, EndState | null>(asked.jobs.map((job) => [job, null]));
  for (const [job, owner, state] of ends) {
    if (owner === client) states.set(job, STATES[state] as EndState);
  }
  return { ...(id !== undefined && { keyed: id }), states };
}

/** Resolves when the new job is on disk. */
async function kept(jobs: DurableJobs, job: JobRecord): Promise<void> {
  try {
    await jobs.records.submitted(job.id);
  } catch (error) {
    jobs.forget(job);
    const reason = error instanceof Error ? error.message : String(error);
    throw new RpcError("overloaded", `The job is not accepted, as it cannot be kept: ${reason}`);
  }
}
