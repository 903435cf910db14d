/**
 * A job for programs: the form that scripts rely upon, one line each. Fields may be added; none
 * goes away or changes its meaning. What there is not (yet) is null. Times are ISO 8601 in UTC.
 */
import type { JobRecords } from "../../api/index.js";
import { isoMoment, visibleJson } from "../../text/index.js";

/** One line, without the newline at its end. */
export function jobJson(record: JobRecords.JobRecord): string {
  return visibleJson(jobFields(record));
}

/** The same as a value. */
export function jobFields(record: JobRecords.JobRecord) {
  const { attached, attempts, batch, client, hint, job, options, output, pool, reason, state } =
    record;
  return {
    id: job,
    pool,
    state,
    name: textOrNull(options.name),
    key: textOrNull(options.key),
    hint: textOrNull(hint),
    batch: textOrNull(batch),
    submitted: isoMoment(record.submitted),
    started: timeOrNull(record.started),
    ended: timeOrNull(record.ended),
    attempts: attempts.map(attemptJson),
    output: state === "succeeded" ? output : null,
    reason: textOrNull(reason),
    client,
    kind: attached ? "attached" : "durable",
    cause: record.cause,
    retriable: record.retriable,
  };
}

function attemptJson(record: JobRecords.AttemptRecord) {
  const { attempt, ended, logSize, outcome, outputSize, reason, started, worker } = record;
  return {
    attempt,
    worker,
    started: timeOrNull(started),
    ended: timeOrNull(ended),
    outcome,
    // What went wrong, if something did: the outcome again, but for success.
    cause: outcome === "succeeded" ? null : outcome,
    reason: textOrNull(reason),
    logSize,
    outputSize,
  };
}

function textOrNull(text: string): string | null {
  return text === "" ? null : text;
}

function timeOrNull(moment: number | null): string | null {
  return moment === null ? null : isoMoment(moment);
}
