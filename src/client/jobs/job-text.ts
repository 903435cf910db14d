/**
 * Jobs for people. Names and reasons come from others, and are made visible here.
 */
import type { JobRecords } from "../../api/index.js";
import { type Column, Table } from "../../console/index.js";
import { visible, writeDuration, writeMoment, writeSize } from "../../text/index.js";

type JobRecord = JobRecords.JobRecord;
type AttemptRecord = JobRecords.AttemptRecord;

export function hasEnded({ state }: JobRecord): boolean {
  return state === "succeeded" || state === "failed" || state === "cancelled";
}

/**
 * `succeeded`; `failed: Build failed`; `failed (timeout): …`; `running on w1`; `waiting: for job 3`
 */
export function describeState(record: JobRecord): string {
  const { cause, reason, state } = record;
  const attempt = record.attempts.at(-1);
  if (state === "running" && attempt) {
    const where = visible(attempt.worker);
    return attempt.outOfTouch ? `running, out of touch with ${where}` : `running on ${where}`;
  }
  const told = state === "failed" && cause !== null && cause !== "failed" ? ` (${cause})` : "";
  return state + told + (reason === "" || state === "succeeded" ? "" : `: ${visible(reason)}`);
}

/** What a job that has not ended is doing, in few words: `queued in linux-x86_64` */
export function describePhase(record: JobRecord): string {
  const { attempts, job, pool, reason, state } = record;
  if (state === "queued") {
    const why = record.attempts.length === 0 ? withoutStop(visible(reason)) : "";
    return `job ${job} queued in ${visible(pool)}${why === "" ? "" : `: ${why}`}`;
  }
  if (state !== "running") return `job ${job} ${state}`;
  const worker = attempts.at(-1)?.worker ?? "";
  const where = attempts.at(-1)?.outOfTouch ? "out of touch with" : "running on";
  return `job ${job} ${where} ${visible(worker)}`;
}

/**
 * Of an attempt that was not the last: `Attempt 1 was lost with w1: no word from it for 10m. There
 * is another one.`
 */
export function describeFurther(attempt: AttemptRecord): string {
  return `Attempt ${attempt.attempt} ${describeOutcome(attempt)}. There is another one.`;
}

function describeOutcome({ outcome, reason, worker }: AttemptRecord): string {
  const where = visible(worker);
  const words: Record<JobRecords.Cause, string> = {
    succeeded: `succeeded on ${where}`,
    failed: `failed on ${where}`,
    timeout: `took too long on ${where}`,
    "no space": `had no space on ${where}`,
    evicted: `was given back by ${where}`,
    lost: `was lost with ${where}`,
    crashed: `ended when ${where} crashed`,
    cancelled: `was cancelled on ${where}`,
  };
  const what = outcome === null ? `goes on on ${where}` : words[outcome];
  return reason === "" ? what : `${what}: ${withoutStop(visible(reason))}`;
}

/** A table of jobs; without a terminal it has no limit to its width. */
export function jobTable({ ofAll }: { readonly ofAll: boolean }): Table & JobTable {
  const columns = ofAll ? COLUMNS : COLUMNS.filter(({ head }) => head !== "CLIENT");
  const table = new Table(columns);
  return Object.assign(table, {
    jobs: (records: readonly JobRecord[], now: number) =>
      table.lines(records.map((record) => columns.map(({ cell }) => cell(record, now)))),
  });
}

interface JobTable {
  /** @param now in seconds since the Unix epoch */
  jobs(records: readonly JobRecord[], now: number): string[];
}

interface JobColumn extends Column {
  cell(record: JobRecord, now: number): string;
}

const COLUMNS: readonly JobColumn[] = [
  { head: "JOB", align: "right", cell: ({ job }) => String(job) },
  { head: "CLIENT", cell: ({ client }) => visible(client) },
  { head: "STATE", cell: ({ state }) => state },
  { head: "POOL", expendable: true, cell: ({ pool }) => visible(pool) },
  { head: "NAME", cell: ({ options }) => visible(options.name) },
  { head: "KEY", expendable: true, cell: ({ options }) => visible(options.key) },
  { head: "HINT", expendable: true, cell: ({ hint }) => visible(hint) },
  { head: "SUBMITTED", align: "right", cell: ({ submitted }) => writeMoment(submitted) },
  { head: "TOOK", align: "right", cell: timeTaken },
  {
    head: "ATTEMPTS",
    align: "right",
    expendable: true,
    cell: ({ attempts }) => (attempts.length > 1 ? String(attempts.length) : ""),
  },
  { head: "WORKER", cell: ({ attempts }) => visible(attempts.at(-1)?.worker ?? "") },
  {
    head: "REASON",
    cell: ({ cause, reason, state }) =>
      state === "failed" && cause !== null && cause !== "failed"
        ? `${cause}: ${visible(reason)}`.replace(/: $/, "")
        : visible(reason),
  },
];

/** All that is on record of a job, as lines. */
export function describeJob(record: JobRecord, now: number): string[] {
  const { attempts, client, hint, job, options, output, pool } = record;
  const facts: (readonly [string, string])[] = [
    ["Client", visible(client)],
    ["Pool", visible(pool) + (record.urgent ? " (urgent)" : "")],
    ["Name", visible(options.name)],
    ["Key", visible(options.key)],
    ["Batch", visible(record.batch)],
    ["Cache hint", visible(hint)],
    ["After", options.after.join(", ")],
    ["Submitted", writeMoment(record.submitted)],
    ["Started", record.started === null ? "" : writeMoment(record.started)],
    ["Ended", record.ended === null ? "" : writeMoment(record.ended)],
    ["Took", timeTaken(record, now)],
    ["Result", record.state === "succeeded" ? visible(output) : ""],
    ["Options", record.attached ? "" : describeOptions(options)],
    ["Kind", record.attached ? "attached: neither its description nor its log are kept" : ""],
  ];
  const told = facts.filter(([, value]) => value !== "");
  const lines = told.map(([name, value]) => `${`${name}:`.padEnd(FACT_WIDTH)}${value}`);
  return [`Job ${job}: ${describeState(record)}`, ...lines, ...attemptLines(attempts, now)];
}

const FACT_WIDTH = 12;

const ATTEMPT_COLUMNS: readonly (Column & {
  cell(record: AttemptRecord, now: number): string;
})[] = [
  { head: "ATTEMPT", align: "right", cell: ({ attempt }) => String(attempt) },
  { head: "WORKER", cell: ({ worker }) => visible(worker) },
  {
    head: "STARTED",
    align: "right",
    expendable: true,
    cell: ({ started }) => (started === null ? "" : writeMoment(started)),
  },
  { head: "TOOK", align: "right", cell: timeTaken },
  {
    head: "OUTCOME",
    cell: ({ outcome, outOfTouch, started }) =>
      outcome ?? (outOfTouch ? "out of touch" : started === null ? "offered" : "running"),
  },
  { head: "LOG", align: "right", cell: ({ logSize }) => writeSize(logSize) },
  {
    head: "FILES",
    align: "right",
    cell: ({ outputSize }) => (outputSize === 0 ? "" : writeSize(outputSize)),
  },
  { head: "REASON", cell: ({ reason }) => visible(reason) },
];

function attemptLines(attempts: readonly AttemptRecord[], now: number): string[] {
  if (attempts.length === 0) return [];
  const rows = attempts.map((attempt) => ATTEMPT_COLUMNS.map(({ cell }) => cell(attempt, now)));
  return ["", ...new Table(ATTEMPT_COLUMNS).lines(rows)];
}

/** `2 retries, 5 lost retries, 1m00s between them, 1h00m for an attempt` */
function describeOptions({ lostRetries, retries, retryDelay, timeout }: JobRecord["options"]) {
  const parts = [
    `${retries} retries`,
    `${lostRetries === Infinity ? "infinite" : lostRetries} lost retries`,
    ...(retryDelay > 0 ? [`${writeDuration(retryDelay)} before each`] : []),
    ...(timeout > 0 ? [`${writeDuration(timeout)} for an attempt`] : []),
  ];
  return parts.join(", ");
}

/** From its start to its end, or until now; "" if it has not started. */
function timeTaken(
  { ended, started }: { readonly started: number | null; readonly ended: number | null },
  now: number,
): string {
  return started === null ? "" : writeDuration((ended ?? now) - started);
}

/** Reasons may be sentences. */
export function withoutStop(text: string): string {
  return text.replace(/\.$/, "");
}
