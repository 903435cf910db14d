/**
 * Jobs that have not ended, for people and for programs. The JSON is a line for each job, in the
 * words of `jobs --json`.
 */
import type { LiveJobs } from "../api/index.js";
import { type Column, CommandFailed, Table } from "../console/index.js";
import { RpcError } from "../rpc/index.js";
import { isoMoment, visible, writeDuration } from "../text/index.js";
import { printJson, printLine } from "./output.js";

/** A job and the pool that it is in. */
export interface PoolJob {
  readonly pool: string;
  readonly job: LiveJobs.LiveJob;
}

export function printJobsAsJson(jobs: readonly PoolJob[]): void {
  for (const each of jobs) printJson(liveFields(each));
}

/** A job for programs. */
export function liveFields({ job: told, pool }: PoolJob) {
  const { attached, client, hint, job, name, run, state, submitted, urgent } = told;
  return {
    id: job === 0 ? null : job,
    pool,
    state,
    client,
    kind: attached ? "attached" : "durable",
    name: name === "" ? null : name,
    hint: hint === "" ? null : hint,
    urgent,
    submitted: isoMoment(submitted),
    worker: run?.worker ?? null,
    attempt: run?.attempt ?? null,
    started: run ? isoMoment(run.started) : null,
    lastOutput: run?.lastOutput ? isoMoment(run.lastOutput) : null,
    outOfTouch: run?.outOfTouch ?? false,
  };
}

/** As a table. @param now in seconds since the Unix epoch */
export function printJobs(jobs: readonly PoolJob[], now: number): void {
  if (jobs.length === 0) return;
  const rows = jobs.map((each) => COLUMNS.map(({ cell }) => cell(each, now)));
  for (const line of new Table(COLUMNS).lines(rows)) printLine(line);
}

interface LiveColumn extends Column {
  cell(of: PoolJob, now: number): string;
}

const ago = (moment: number, now: number) => `${writeDuration(now - moment)} ago`;

const COLUMNS: readonly LiveColumn[] = [
  { head: "JOB", align: "right", cell: ({ job: { job } }) => (job === 0 ? "-" : String(job)) },
  { head: "CLIENT", cell: ({ job }) => visible(job.client) },
  { head: "POOL", expendable: true, cell: ({ pool }) => visible(pool) },
  { head: "STATE", cell: ({ job }) => (job.run?.outOfTouch ? "out of touch" : job.state) },
  { head: "WORKER", cell: ({ job }) => visible(job.run?.worker ?? "") },
  {
    head: "STARTED",
    align: "right",
    cell: ({ job: { run } }, now) => (run ? ago(run.started, now) : ""),
  },
  {
    head: "LAST OUTPUT",
    align: "right",
    cell: ({ job: { run } }, now) =>
      run === null ? "" : run.lastOutput === null ? "none seen" : ago(run.lastOutput, now),
  },
  { head: "NAME", cell: ({ job }) => visible(job.name) },
  { head: "HINT", cell: ({ job }) => visible(job.hint) },
  { head: "KIND", expendable: true, cell: ({ job }) => (job.attached ? "attached" : "durable") },
];

/** Who was silent for longest comes first, then what has not started. */
export function bySilence(jobs: readonly PoolJob[]): PoolJob[] {
  const heard = ({ job: { run } }: PoolJob) =>
    run === null ? Number.POSITIVE_INFINITY : (run.lastOutput ?? run.started);
  return jobs.toSorted((a, b) => (heard(a) === heard(b) ? 0 : heard(a) - heard(b)));
}

/** An error of asking for such jobs; in words if the scheduler does not know them. */
export function withoutLiveJobs(error: unknown): unknown {
  if (!(error instanceof RpcError) || error.kind !== "unimplemented") return error;
  return new CommandFailed(
    "This scheduler cannot tell its running jobs one by one; " +
      '"ocluster-admin show POOL" has how many each worker runs.',
    { cause: error },
  );
}
