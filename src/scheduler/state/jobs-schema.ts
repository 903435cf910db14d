/**
 * The database of jobs, `jobs.db`: its tables, and how records become rows.
 *
 * It is a file of its own, as the schema of `scheduler.db` is shared with other programs.
 * `user_version` counts its versions; `MIGRATIONS[n]` leads from version n to the next. An older
 * program refuses a newer database.
 */
import { DEFAULT_OPTIONS } from "../jobs/submission.js";
import type { AttemptRecord, JobCause, JobRecord, JobState, Outcome } from "../jobs/types.js";
import { CLIENT_USE_TABLE } from "./client-use-table.js";

/** States as numbers. The last three are ends. New ones go to the end, and get a migration. */
export const STATES: readonly JobState[] = [
  "waiting",
  "queued",
  "offered",
  "running",
  "out of touch",
  "succeeded",
  "failed",
  "cancelled",
];

/** The number of the first state that is an end. */
export const FIRST_END = 5;

/** Outcomes and causes as numbers. */
export const OUTCOMES: readonly Outcome[] = [
  "succeeded",
  "failed",
  "timeout",
  "no space",
  "evicted",
  "lost",
  "crashed",
  "cancelled",
];

export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

  CREATE TABLE job (
    id          INTEGER PRIMARY KEY,
    attached    INTEGER NOT NULL,
    client      TEXT NOT NULL,
    pool        TEXT NOT NULL,
    urgent      INTEGER NOT NULL,
    hint        TEXT NOT NULL,
    name        TEXT NOT NULL,
    key         TEXT NOT NULL,
    batch       INTEGER,
    options     TEXT NOT NULL,   -- JSON, of what is not the default
    submitted   REAL NOT NULL,
    state       INTEGER NOT NULL,
    started     REAL,
    ended       REAL,
    cause       INTEGER,
    reason      TEXT NOT NULL,
    output      TEXT NOT NULL,
    described   INTEGER NOT NULL,
    start       REAL,
    queue_order INTEGER NOT NULL,
    not_before  REAL,
    attempts    INTEGER NOT NULL,
    failures    INTEGER NOT NULL,
    losses      INTEGER NOT NULL,
    suspicions  INTEGER NOT NULL,
    troubles    INTEGER NOT NULL,
    avoid       TEXT NOT NULL    -- JSON
  );
  CREATE UNIQUE INDEX job_key ON job (client, key) WHERE key <> '';
  CREATE INDEX job_live ON job (state, id) WHERE state < ${FIRST_END};
  CREATE INDEX job_failed ON job (id) WHERE state = 6;
  CREATE INDEX job_client ON job (client, id);
  CREATE INDEX job_pool ON job (pool, id);
  CREATE INDEX job_hint ON job (hint, id) WHERE hint <> '';
  CREATE INDEX job_batch ON job (batch, id) WHERE batch IS NOT NULL;
  CREATE INDEX job_ended ON job (ended) WHERE ended IS NOT NULL;

  CREATE TABLE attempt (
    job      INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    worker   TEXT NOT NULL,
    resumes  INTEGER NOT NULL,
    offered  REAL NOT NULL,
    started  REAL,
    ended    REAL,
    outcome  INTEGER,
    reason   TEXT NOT NULL,
    log_size INTEGER NOT NULL,
    PRIMARY KEY (job, attempt)
  ) WITHOUT ROWID;
  CREATE INDEX attempt_worker ON attempt (worker, job);
  CREATE INDEX attempt_ended ON attempt (ended) WHERE ended IS NOT NULL;

  CREATE TABLE description (job INTEGER PRIMARY KEY, sealed BLOB NOT NULL);

  -- What clients had, by the hour (of the submission of jobs, of the end of attempts), so that a month is added up quickly.
  CREATE TABLE usage (
    hour         INTEGER NOT NULL,
    client       TEXT NOT NULL,
    jobs         INTEGER NOT NULL,
    succeeded    INTEGER NOT NULL,
    failed       INTEGER NOT NULL,
    cancelled    INTEGER NOT NULL,
    seconds      REAL NOT NULL,
    lost_seconds REAL NOT NULL,
    PRIMARY KEY (hour, client)
  ) WITHOUT ROWID;

  -- Where the pieces of logs are in the segments of the spool.
  CREATE TABLE log_piece (
    job      INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    start    INTEGER NOT NULL,
    length   INTEGER NOT NULL,
    segment  INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (job, attempt, start)
  ) WITHOUT ROWID;
  CREATE INDEX log_piece_segment ON log_piece (segment, position);
  `,
  `
  -- Jobs of batches: the keys of one batch's are its own.
  ALTER TABLE job ADD COLUMN row INTEGER;
  ALTER TABLE job ADD COLUMN batch_end INTEGER;
  DROP INDEX job_key;
  CREATE UNIQUE INDEX job_key ON job (client, key) WHERE key <> '' AND batch IS NULL;
  CREATE INDEX job_row ON job (batch, row) WHERE batch IS NOT NULL;
  CREATE INDEX job_batch_end ON job (batch, batch_end) WHERE batch_end IS NOT NULL;

  CREATE TABLE batch (
    id        INTEGER PRIMARY KEY, -- of the same numbers as jobs
    client    TEXT NOT NULL,
    name      TEXT NOT NULL,
    pool      TEXT NOT NULL,
    urgent    INTEGER NOT NULL,
    options   TEXT NOT NULL,       -- as of a job: those of each of its jobs
    rules     TEXT NOT NULL,       -- JSON: how many at a time, when to stop
    digest    BLOB NOT NULL,       -- of template and rows: the same again is the same batch
    submitted REAL NOT NULL,
    rows      INTEGER NOT NULL,    -- that have come so far
    closed    INTEGER NOT NULL,    -- whether that is all
    halt      INTEGER NOT NULL,    -- 0: goes on; 1: stopped by its rules; 2: cancelled
    reason    TEXT NOT NULL,
    again     REAL NOT NULL,       -- what has ended before that without success is tried again
    ended     REAL,
    successor INTEGER              -- the batch that has its name now
  );
  CREATE UNIQUE INDEX batch_name ON batch (client, name) WHERE name <> '' AND successor IS NULL;
  CREATE INDEX batch_client ON batch (client, id);
  CREATE INDEX batch_open ON batch (id) WHERE ended IS NULL;
  CREATE TABLE batch_template (batch INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
  CREATE TABLE batch_rows (
    id     INTEGER PRIMARY KEY,
    batch  INTEGER NOT NULL,
    first  INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    sealed BLOB NOT NULL
  );
  CREATE UNIQUE INDEX batch_rows_first ON batch_rows (batch, first);
  `,
  // Null: it was not noted.
  "ALTER TABLE attempt ADD COLUMN cached INTEGER",
  // What it needs, as JSON; empty for nothing, and for those from before.
  "ALTER TABLE job ADD COLUMN needs TEXT NOT NULL DEFAULT ''",
  `
  ALTER TABLE batch ADD COLUMN counts TEXT NOT NULL DEFAULT ''; -- JSON: what its rows came to, if it has ended
  `,
  CLIENT_USE_TABLE,
];

/** Values in the order of a table's columns, as they are written. */
export type Row = readonly (string | number | null)[];

/** The columns of `job`, in the order of `jobRow`. */
export const JOB_COLUMNS = [
  "id",
  "attached",
  "client",
  "pool",
  "urgent",
  "hint",
  "name",
  "key",
  "batch",
  "options",
  "submitted",
  "state",
  "started",
  "ended",
  "cause",
  "reason",
  "output",
  "described",
  "start",
  "queue_order",
  "not_before",
  "attempts",
  "failures",
  "losses",
  "suspicions",
  "troubles",
  "avoid",
  "row",
  "batch_end",
  "needs",
] as const;

/** Of these, what changes in a job's life. The others do only when it gets another place. */
export const CHANGING_JOB_COLUMNS = [
  "state",
  "started",
  "ended",
  "cause",
  "reason",
  "output",
  "described",
  "start",
  "queue_order",
  "not_before",
  "attempts",
  "failures",
  "losses",
  "suspicions",
  "troubles",
  "avoid",
  "batch_end",
] as const satisfies readonly (typeof JOB_COLUMNS)[number][];

/** What tells whether a job has the place that it had. */
export const PLACE_COLUMNS = [
  "id",
  "pool",
  "key",
  "batch",
  "row",
] as const satisfies readonly (typeof JOB_COLUMNS)[number][];

/** The columns of `attempt`, in the order of `attemptRow`. */
export const ATTEMPT_COLUMNS = [
  "job",
  "attempt",
  "worker",
  "resumes",
  "offered",
  "started",
  "ended",
  "outcome",
  "reason",
  "log_size",
  "cached",
] as const;

/** Of these, what changes. */
export const CHANGING_ATTEMPT_COLUMNS = [
  "started",
  "ended",
  "outcome",
  "reason",
  "log_size",
] as const satisfies readonly (typeof ATTEMPT_COLUMNS)[number][];

/** A row of `job`, as it is read. */
export interface JobRow {
  readonly id: number;
  readonly attached: number;
  readonly client: string;
  readonly pool: string;
  readonly urgent: number;
  readonly hint: string;
  readonly name: string;
  readonly key: string;
  readonly batch: number | null;
  readonly options: string;
  readonly submitted: number;
  readonly state: number;
  readonly started: number | null;
  readonly ended: number | null;
  readonly cause: number | null;
  readonly reason: string;
  readonly output: string;
  readonly described: number;
  readonly start: number | null;
  readonly queue_order: number;
  readonly not_before: number | null;
  readonly attempts: number;
  readonly failures: number;
  readonly losses: number;
  readonly suspicions: number;
  readonly troubles: number;
  readonly avoid: string;
  readonly row: number | null;
  readonly batch_end: number | null;
  readonly needs: string;
}

/** A row of `attempt`, as it is read. */
export interface AttemptRow {
  readonly job: number;
  readonly attempt: number;
  readonly worker: string;
  readonly resumes: number;
  readonly offered: number;
  readonly started: number | null;
  readonly ended: number | null;
  readonly outcome: number | null;
  readonly reason: string;
  readonly log_size: number;
  readonly cached: number | null;
}

export function jobRow(job: JobRecord): Row {
  return [
    job.id,
    job.kind === "attached" ? 1 : 0,
    job.client,
    job.pool,
    job.urgent ? 1 : 0,
    job.hint,
    job.name,
    job.key,
    job.batch,
    optionsText(job.options),
    job.submitted,
    STATES.indexOf(job.state),
    job.started,
    job.ended,
    job.cause === null ? null : OUTCOMES.indexOf(job.cause),
    job.reason,
    job.output,
    job.described ? 1 : 0,
    job.start,
    job.order,
    job.notBefore,
    job.attempts,
    job.failures,
    job.losses,
    job.suspicions,
    job.troubles,
    job.avoid.length === 0 ? "" : JSON.stringify(job.avoid),
    job.row,
    job.batchEnd,
    job.needs.length === 0 ? "" : JSON.stringify(job.needs),
  ];
}

export function jobOf(row: JobRow): JobRecord {
  const { attached, avoid, cause, described, not_before, options, queue_order, state, urgent } =
    row;
  return {
    id: row.id,
    kind: attached ? "attached" : "durable",
    client: row.client,
    pool: row.pool,
    urgent: urgent !== 0,
    hint: row.hint,
    name: row.name,
    key: row.key,
    batch: row.batch,
    row: row.row,
    batchEnd: row.batch_end,
    options: optionsOf(options),
    needs: needsOf(row.needs),
    submitted: row.submitted,
    state: STATES[state]!,
    started: row.started,
    ended: row.ended,
    cause: cause === null ? null : (OUTCOMES[cause] as JobCause),
    reason: row.reason,
    output: row.output,
    described: described !== 0,
    start: row.start,
    order: queue_order,
    notBefore: not_before,
    attempts: row.attempts,
    failures: row.failures,
    losses: row.losses,
    suspicions: row.suspicions,
    troubles: row.troubles,
    avoid: avoid === "" ? NOBODY : JSON.parse(avoid),
  };
}

export function attemptRow(record: AttemptRecord): Row {
  const { attempt, cached, ended, job, logSize, offered, outcome, reason, resumes, started } =
    record;
  return [
    job,
    attempt,
    record.worker,
    resumes ? 1 : 0,
    offered,
    started,
    ended,
    outcome === null ? null : OUTCOMES.indexOf(outcome),
    reason,
    logSize,
    cached ? 1 : 0,
  ];
}

export function attemptOf(row: AttemptRow): AttemptRecord {
  const { cached, log_size, outcome, resumes, ...rest } = row;
  return {
    ...rest,
    resumes: resumes !== 0,
    cached: cached === 1,
    outcome: outcome === null ? null : OUTCOMES[outcome]!,
    logSize: log_size,
  };
}

/** One list for all that need the same: a million queued jobs do. */
export function needsOf(text: string): readonly string[] {
  let needs = KNOWN_NEEDS.get(text);
  if (!needs) {
    needs = text === "" ? [] : (JSON.parse(text) as string[]);
    KNOWN_NEEDS.set(text, needs);
  }
  return needs;
}

/** There are only a few. */
const KNOWN_NEEDS = new Map<string, readonly string[]>();

/** One for all: a million queued jobs avoid nobody. */
const NOBODY: readonly string[] = [];

/** JSON knows no infinity. */
const INFINITE = "infinite";

/**
 * What is not the default, as JSON; most jobs ask for nothing, which takes no room in their rows.
 */
function optionsText(options: JobRecord["options"]): string {
  if (options === DEFAULT_OPTIONS) return "";
  const { after, context, lostRetries, outputs, retries, retryDelay, timeout } = options;
  const said = {
    ...(retries !== DEFAULT_OPTIONS.retries && { retries }),
    ...(lostRetries !== DEFAULT_OPTIONS.lostRetries && {
      lostRetries: Number.isFinite(lostRetries) ? lostRetries : INFINITE,
    }),
    ...(retryDelay !== DEFAULT_OPTIONS.retryDelay && { retryDelay }),
    ...(timeout !== DEFAULT_OPTIONS.timeout && { timeout }),
    ...(after.length > 0 && { after }),
    ...(outputs && { outputs }),
    ...(context !== undefined && { context }),
  };
  const text = JSON.stringify(said);
  return text === "{}" ? "" : text;
}

export function optionsOf(text: string): JobRecord["options"] {
  if (text === "") return DEFAULT_OPTIONS;
  const said = JSON.parse(text);
  if (said.lostRetries === INFINITE) said.lostRetries = Number.POSITIVE_INFINITY;
  return { ...DEFAULT_OPTIONS, ...said };
}
