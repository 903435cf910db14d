/**
 * What is on file of one job. Times are seconds since the Unix epoch, with fractions; null where
 * there is none (yet). Sizes are bytes.
 */
import {
  type DurableOptions,
  readDurableOptions,
  writeDurableOptions,
} from "./durable-submission.js";
import type { JobRecord as WireJobRecord } from "./generated/extensions.js";
import { type Cause, causeFromWire, causeToWire } from "./job-cause.js";
import { type JobState, stateFromWire, stateToWire } from "./job-state.js";

export interface JobRecord {
  readonly job: number;
  readonly client: string;
  readonly pool: string;
  /** Belonged to a connection: neither its description nor its log are kept. */
  readonly attached: boolean;
  readonly hint: string;
  /** "": none. */
  readonly batch: string;
  /** Which row of the batch, from 0; undefined: of none, or the scheduler does not tell. */
  readonly row?: number | undefined;
  readonly urgent: boolean;
  readonly submitted: number;
  /** When its first attempt started. */
  readonly started: number | null;
  readonly ended: number | null;
  readonly state: JobState;
  readonly cause: Cause | null;
  /** For people: why it ended, or why it waits. */
  readonly reason: string;
  readonly output: string;
  readonly options: DurableOptions;
  readonly attempts: readonly AttemptRecord[];
  /** Has ended, and can have one more attempt; a row's by its batch. */
  readonly retriable: boolean;
  /** Grows with each change; at least 1. */
  readonly revision: number;
}

export interface AttemptRecord {
  readonly attempt: number;
  readonly worker: string;
  readonly offered: number;
  /** When its worker said that it runs. */
  readonly started: number | null;
  readonly ended: number | null;
  readonly outcome: Cause | null;
  readonly reason: string;
  /** Of what the scheduler has of its log. */
  readonly logSize: number;
  /** The scheduler waits for its worker to come back. */
  readonly outOfTouch: boolean;
  /** Bytes of the stream of files that is kept of it; 0: there is none (any more). */
  readonly outputSize: number;
}

export function writeRecord(wire: WireJobRecord, record: JobRecord): void {
  wire.job = BigInt(record.job);
  wire.client = record.client;
  wire.pool = record.pool;
  wire.attached = record.attached;
  wire.name = record.options.name;
  wire.key = record.options.key;
  wire.hint = record.hint;
  wire.batch = record.batch;
  wire.urgent = record.urgent;
  wire.submitted = record.submitted;
  wire.started = record.started ?? 0;
  wire.ended = record.ended ?? 0;
  wire.state = stateToWire(record.state);
  wire.cause = causeToWire(record.cause);
  wire.reason = record.reason;
  wire.output = record.output;
  writeDurableOptions(wire._initOptions(), record.options);
  const attempts = wire._initAttempts(record.attempts.length);
  for (const [index, attempt] of record.attempts.entries()) {
    const entry = attempts.get(index);
    entry.attempt = attempt.attempt;
    entry.worker = attempt.worker;
    entry.offered = attempt.offered;
    entry.started = attempt.started ?? 0;
    entry.ended = attempt.ended ?? 0;
    entry.outcome = causeToWire(attempt.outcome);
    entry.reason = attempt.reason;
    entry.logSize = BigInt(attempt.logSize);
    entry.outOfTouch = attempt.outOfTouch;
    entry.outputSize = BigInt(attempt.outputSize);
  }
  wire.revision = BigInt(record.revision);
  wire.retriable = record.retriable;
  wire.row = BigInt((record.row ?? -1) + 1);
}

export function readRecord(wire: WireJobRecord): JobRecord {
  return {
    job: Number(wire.job),
    client: wire.client,
    pool: wire.pool,
    attached: wire.attached,
    hint: wire.hint,
    batch: wire.batch,
    urgent: wire.urgent,
    submitted: wire.submitted,
    started: wire.started || null,
    ended: wire.ended || null,
    state: stateFromWire(wire.state),
    cause: causeFromWire(wire.cause),
    reason: wire.reason,
    output: wire.output,
    options: readDurableOptions(wire.options),
    attempts: wire.attempts.map((attempt) => ({
      attempt: attempt.attempt,
      worker: attempt.worker,
      offered: attempt.offered,
      started: attempt.started || null,
      ended: attempt.ended || null,
      outcome: causeFromWire(attempt.outcome),
      reason: attempt.reason,
      logSize: Number(attempt.logSize),
      outOfTouch: attempt.outOfTouch,
      outputSize: Number(attempt.outputSize),
    })),
    retriable: wire.retriable,
    revision: Number(wire.revision),
    row: wire.row === 0n ? undefined : Number(wire.row) - 1,
  };
}
