/**
 * Batches and their rows for programs: the form that scripts rely upon, one line each. Fields may
 * be added; none goes away or changes its meaning. What there is not (yet) is null. Times are ISO
 * 8601 in UTC.
 */
import type { Batches } from "../../api/index.js";
import { isoMoment, visibleJson } from "../../text/index.js";
import { textOfBytes } from "./rows/row-source.js";

/** One line, without the newline at its end. */
export function batchJson(batch: Batches.BatchRecord): string {
  return visibleJson(batchFields(batch));
}

/** The same as a value. */
export function batchFields(batch: Batches.BatchRecord) {
  const { cancelled, closed, ended, failed, name, pool, queued, reason, rows } = batch;
  return {
    id: batch.batch,
    name: name === "" ? null : name,
    pool,
    state: batch.state,
    submitted: isoMoment(batch.submitted),
    ended: ended === null ? null : isoMoment(ended),
    rows,
    complete: closed,
    ...{ queued, running: batch.running, succeeded: batch.succeeded, failed, cancelled },
    reason: reason === "" ? null : reason,
  };
}

/** A row that has ended, as results have it. */
export interface ResultRow {
  readonly key: string;
  /** From 1. */
  readonly row: number;
  /** By column. */
  readonly values: Readonly<Record<string, string>>;
  readonly state: string;
  /** How many there were. */
  readonly attempts: number;
  readonly worker: string | null;
  /** That its last attempt took. */
  readonly seconds: number | null;
  /** The id of what was built. */
  readonly output: string | null;
  readonly reason: string | null;
  readonly job: number;
  readonly started: string | null;
  readonly ended: string | null;
}

export function resultOf(row: EndedRow, columns: readonly string[]): ResultRow {
  const { job, values } = row;
  const last = job.attempts.at(-1);
  const { ended = null, started = null } = last ?? {};
  return {
    key: row.key,
    row: row.row + 1,
    values: Object.fromEntries(columns.map((name, at) => [name, textOfBytes(values[at] ?? "")])),
    state: job.state,
    attempts: job.attempts.length,
    worker: last?.worker ?? null,
    seconds:
      ended !== null && started !== null ? Math.round((ended - started) * 1000) / 1000 : null,
    output: job.state === "succeeded" && job.output !== "" ? job.output : null,
    reason: job.reason === "" ? null : job.reason,
    job: job.job,
    started: started === null ? null : isoMoment(started),
    ended: ended === null ? null : isoMoment(ended),
  };
}

/** A row whose job has ended, with its values; bytes, a character for each. */
export interface EndedRow {
  readonly row: number;
  readonly key: string;
  readonly values: readonly string[];
  readonly job: Batches.EndedRow["job"];
}
