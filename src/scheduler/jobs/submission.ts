/**
 * What may be submitted as a durable job, and the record that it becomes. All of it comes from the
 * network.
 */

import { quoted } from "../../text/index.js";
import type { JobOptions, JobRecord, OutputOrder, Submission } from "./types.js";

/** What holds for an option that is not given. */
export const DEFAULT_OPTIONS: JobOptions = Object.freeze({
  retries: 0,
  lostRetries: 5,
  retryDelay: 0,
  timeout: null,
  after: Object.freeze([]),
});

/** Characters of a name or a key. */
const MAX_TEXT = 200;

/** As many as a batch may sensibly end in; each costs memory while the job waits. */
const MAX_AFTER = 10_000;

const MAX_RETRIES = 1_000_000;

/**
 * Paths of files to keep, and characters of one: the system's limit, and more than anybody types.
 */
const MAX_OUTPUTS = 1000;
const MAX_PATH = 4096;

/** Seconds: longer than anybody waits for a build. */
const MAX_SECONDS = 366 * 86_400;

/** The options in full, or in words what is wrong with the submission. */
export function checkSubmission(submission: Submission): JobOptions | string {
  for (const field of ["name", "key"] as const) {
    const text = submission[field] ?? "";
    if (text.length > MAX_TEXT) {
      const begin = quoted(text.slice(0, 20));
      return `The ${field} ${begin}… has ${text.length} characters: use ${MAX_TEXT} at most.`;
    }
  }
  const given = { ...DEFAULT_OPTIONS, ...submission.options };
  const { retries, lostRetries, retryDelay, timeout } = given;
  if (!isCount(retries))
    return `retries is ${retries}: use a whole number from 0 to ${MAX_RETRIES}.`;
  if (!isCount(lostRetries) && lostRetries !== Number.POSITIVE_INFINITY) {
    return `lost-retries is ${lostRetries}: use a whole number from 0 to ${MAX_RETRIES}, or infinite.`;
  }
  if (!(retryDelay >= 0 && retryDelay <= MAX_SECONDS)) {
    return `retry-delay is ${retryDelay} s: use a time from 0 s to a year.`;
  }
  if (timeout !== null && !(timeout > 0 && timeout <= MAX_SECONDS)) {
    return `timeout is ${timeout} s: use a time above 0 s, up to a year.`;
  }
  const after = [...new Set(given.after)].sort((a, b) => a - b);
  const odd = after.find((id) => !Number.isSafeInteger(id) || id < 1);
  if (odd !== undefined) return `${odd} is not the number of a job to run after.`;
  if (after.length > MAX_AFTER) {
    return `The job is to run after ${after.length} others: name ${MAX_AFTER} at most.`;
  }
  const { context, outputs } = given;
  const wrong = outputs && checkOutputs(outputs);
  if (wrong !== undefined) return wrong;
  const isPlain =
    outputs === undefined &&
    context === undefined &&
    after.length === 0 &&
    retries === DEFAULT_OPTIONS.retries &&
    lostRetries === DEFAULT_OPTIONS.lostRetries &&
    retryDelay === DEFAULT_OPTIONS.retryDelay &&
    timeout === null;
  // A million jobs without options share these.
  if (isPlain) return DEFAULT_OPTIONS;
  return {
    ...{ retries, lostRetries, retryDelay, timeout, after },
    ...(outputs && { outputs }),
    ...(context !== undefined && { context }),
  };
}

/** In words what is wrong with it. That the paths make sense is for those who look them up. */
function checkOutputs({ paths }: OutputOrder): string | undefined {
  if (paths.length > MAX_OUTPUTS) {
    return `Files of ${paths.length} paths are to be kept: use ${MAX_OUTPUTS} at most, or a pattern.`;
  }
  const long = paths.find((path) => path.length > MAX_PATH);
  if (long !== undefined) {
    return `The output ${quoted(long.slice(0, 20))}… has ${long.length} characters: use ${MAX_PATH} at most.`;
  }
  const odd = paths.find((path) => !path.startsWith("/"));
  if (odd !== undefined) {
    return `The output ${quoted(odd)} is no absolute path: it is looked up in the result's root.`;
  }
  return undefined;
}

function isCount(x: number): boolean {
  return Number.isInteger(x) && x >= 0 && x <= MAX_RETRIES;
}

/** What a job avoids that has met no trouble; shared. */
export const NO_WORKERS: readonly string[] = Object.freeze([]);

/** What a job needs that any worker can run. */
const NOTHING: readonly string[] = Object.freeze([]);

/** The record of a new job, in state `waiting`. */
export function newJob(
  id: number,
  submission: Omit<Submission, "description" | "options">,
  options: JobOptions,
  now: number,
): JobRecord {
  const {
    client,
    pool,
    urgent = false,
    hint = "",
    needs = NOTHING,
    name = "",
    key = "",
  } = submission;
  return {
    id,
    kind: "durable",
    client,
    pool,
    urgent,
    hint,
    name,
    key,
    batch: null,
    row: null,
    options,
    needs,
    submitted: now,
    state: "waiting",
    batchEnd: null,
    started: null,
    ended: null,
    cause: null,
    reason: "",
    output: "",
    described: true,
    start: null,
    order: 0,
    notBefore: null,
    attempts: 0,
    failures: 0,
    losses: 0,
    suspicions: 0,
    troubles: 0,
    avoid: NO_WORKERS,
  };
}
