/**
 * Whether durable jobs were treated as promised: what clients were told, what really ran, and what
 * is on record and in the logs are held against each other. The result of each check is a list of
 * complaints.
 */
import type { JobRecords } from "../../src/api/index.js";
import type { Answered } from "./durable-clients.js";
import { AS_PLANNED, linesOf, type Recorder, type Run } from "./recorded-jobs.js";

export interface Evidence {
  readonly answered: readonly Answered[];
  /** All that is on record, by number. */
  readonly records: ReadonlyMap<number, JobRecords.JobRecord>;
  readonly recorder: Recorder;
  /** Reads the log of an attempt. */
  log(job: number, attempt: number): Promise<string>;
}

/** All that is wrong, in words; nothing if all is well. */
export async function complaintsAbout(evidence: Evidence): Promise<string[]> {
  const { answered, records } = evidence;
  const all: string[] = [];
  const numbers = new Set(answered.map(({ job }) => job));
  if (numbers.size !== answered.length) all.push("Two jobs were given the same number");
  for (const job of records.keys()) {
    if (!numbers.has(job)) all.push(`Job ${job} is on record, and nobody was told of it`);
  }
  for (const job of answered) {
    for (const complaint of await aboutJob(job, evidence)) {
      all.push(`Job ${job.job} (${job.plan.key}): ${complaint}`);
    }
  }
  return all;
}

async function aboutJob(answered: Answered, evidence: Evidence): Promise<string[]> {
  const { after, job, plan } = answered;
  const record = evidence.records.get(job);
  if (!record) return ["it was answered for, and is not on record"];
  const runs = evidence.recorder.of(plan.key);
  const complaints = [
    ...aboutEnd(answered, record),
    ...aboutRuns(record, runs),
    ...aboutDependency(runs, after === null ? undefined : evidence.records.get(after)),
    ...(await aboutLogs(answered, record, evidence)),
  ];
  const how = `${JSON.stringify(record.attempts)} ${JSON.stringify(runs)}`;
  return complaints.map((complaint) => `${complaint}: ${how}`);
}

/** It has one end, the first that was told. */
function aboutEnd({ after, ended, plan }: Answered, record: JobRecords.JobRecord): string[] {
  const told = ended && `${ended.state} at ${ended.ended}`;
  const found = `${record.state} at ${record.ended}`;
  if (told !== found) return [`it was told to be ${told}, and is ${found}`];
  const { reason, state } = record;
  if (state === "cancelled") {
    return reason === "changed its mind" || after !== null
      ? []
      : [`nobody cancelled it: ${reason}`];
  }
  if (state !== (plan.fails ? "failed" : "succeeded")) return [`it is ${state}: ${reason}`];
  return [];
}

/**
 * It ran at least once if it says so, and not more often on any worker than attempts are on record.
 */
function aboutRuns({ attempts, output, state }: JobRecords.JobRecord, runs: Run[]): string[] {
  const complaints: string[] = [];
  for (const worker of new Set(runs.map((run) => run.worker))) {
    const ran = runs.filter((run) => run.worker === worker).length;
    const known = attempts.filter((attempt) => attempt.worker === worker).length;
    if (ran > known) complaints.push(`it ran ${ran} times on ${worker}, where ${known} are known`);
  }
  if (state === "succeeded" && !runs.some(({ ended, run }) => run === output && ended === "done")) {
    complaints.push(`it succeeded with ${output}, which has not run to its end`);
  }
  const open = attempts.filter(({ outcome }) => outcome === null);
  if (open.length > 0) complaints.push("an attempt has not ended");
  const decisive = attempts.filter(({ outcome }) => outcome === "succeeded");
  if (decisive.length > (state === "succeeded" ? 1 : 0)) complaints.push("it succeeded too often");
  const failed = attempts.filter(({ outcome }) => outcome === "failed").length;
  if (state === "failed" && failed !== 2) complaints.push(`it failed ${failed} times instead of 2`);
  return complaints;
}

function aboutDependency(runs: Run[], before: JobRecords.JobRecord | undefined): string[] {
  if (!before || before.state === "succeeded" || runs.length === 0) return [];
  return [`it ran, though job ${before.job} before it is ${before.state}`];
}

/**
 * What is kept of an attempt that ended by itself is all that its run has printed, and what who
 * followed the job has seen; of others, it is the beginning of that.
 */
async function aboutLogs(
  { followed, plan }: Answered,
  { attempts, job }: JobRecords.JobRecord,
  { log, recorder }: Evidence,
): Promise<string[]> {
  const complaints: string[] = [];
  const seen = new Set<string>();
  for (const { attempt, logSize, outcome, worker } of attempts) {
    const complain = (what: string) => complaints.push(`the log of attempt ${attempt} ${what}`);
    const text = await log(job, attempt);
    const isWhole = outcome === "succeeded" || outcome === "failed";
    // The end of one that was given up may have been lost with a scheduler that was killed before
    // it could write it.
    if (isWhole ? text.length !== logSize : text.length > logSize) {
      complain(`has ${text.length} bytes, not ${logSize}`);
    }
    const name = /^run (\S+)$/m.exec(text)?.[1];
    if (name === undefined) {
      if (isWhole) complain("names no run");
      continue;
    }
    const run = recorder.runs.get(name);
    // The name itself may be cut short.
    if (!run && !isWhole) continue;
    if (run?.key !== plan.key || run.worker !== worker) complain(`is of another run, ${name}`);
    if (seen.has(name)) complain(`is of a run that is in another one, ${name}`);
    seen.add(name);
    const printed = [`Building on ${worker}`, ...linesOf(plan, name), ""].join("\n");
    if (isWhole) {
      if (attempt === attempts.length && followed !== null && !followed.endsWith(text)) {
        complain(`is not what its follower has seen: …${followed.slice(-200)}`);
      }
      const last = outcome === "succeeded" ? "Job succeeded" : AS_PLANNED;
      if (text !== `${printed}${last}\n`) complain(`is not complete: …${text.slice(-200)}`);
    } else if (!isBeginning(text, printed)) {
      complain(`is not what was printed: …${text.slice(-200)}`);
    }
  }
  return complaints;
}

/**
 * Whether `text` is how `printed` begins, but for what the worker said last: it may have ended, and
 * nobody heard of it in time.
 */
function isBeginning(text: string, printed: string): boolean {
  const last = new RegExp(`(Job (cancelled|given back|succeeded)|${AS_PLANNED})\n$`);
  return printed.startsWith(text.replace(last, ""));
}
