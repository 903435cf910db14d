/**
 * What clients had of the cluster: sums by the hour, kept with each change of a record, so that a
 * month of ten million jobs is added up in no time. They outlive the records.
 *
 * Jobs count in the hour of their submission, attempts in that of their end. A record that is
 * written again counts for what has changed.
 */
import type { Database } from "better-sqlite3";
import { type EndedRun, stateOf } from "./ended-runs.js";
import type { Changes, Usage } from "./jobs-messages.js";
import { ATTEMPT_COLUMNS, FIRST_END, JOB_COLUMNS, OUTCOMES, type Row } from "./jobs-schema.js";

const HOUR = 3600;

const JOB = index(JOB_COLUMNS);
const ATTEMPT = index(ATTEMPT_COLUMNS);

/** Attempts that came to nothing by no fault of the job. */
const IN_VAIN = new Set(
  (["no space", "evicted", "lost", "crashed"] as const).map((outcome) => OUTCOMES.indexOf(outcome)),
);

/** The columns that are added up, of one hour and client. */
interface Sums {
  jobs: number;
  succeeded: number;
  failed: number;
  cancelled: number;
  seconds: number;
  lostSeconds: number;
}

/** By hour and client. */
type AllSums = Map<string, Sums>;

const ENDS = ["succeeded", "failed", "cancelled"] as const;

export class UsageBooks {
  private readonly statements: ReturnType<typeof prepare>;

  constructor(db: Database) {
    this.statements = prepare(db);
  }

  /**
   * Counts what `changes` will change; to be called before they are made, in the same transaction.
   * `ended`: those of them that have ended at once. Returns the ids of the other jobs that are new.
   */
  note(changes: Changes, ended: readonly EndedRun[]): ReadonlySet<number> {
    const isNew = new Set<number>();
    const sums = new Map<string, Sums>();
    const clients = new Map<number, string>();
    for (const row of changes.jobs) {
      if (this.noteJob(row, sums, clients)) isNew.add(row[JOB.id] as number);
    }
    for (const row of changes.attempts) this.noteAttempt(row, sums, clients);
    for (const run of ended) noteEnded(run, sums);
    for (const [key, sum] of sums) {
      const [hour, client] = splitKey(key);
      const { cancelled, failed, jobs, lostSeconds, seconds, succeeded } = sum;
      this.statements.add.run(
        hour,
        client,
        jobs,
        succeeded,
        failed,
        cancelled,
        seconds,
        lostSeconds,
      );
    }
    return isNew;
  }

  /** By client, sorted; of the hours that have begun in [since, until). */
  between(since: number, until: number): Usage[] {
    return this.statements.between.all(Math.floor(since / HOUR), Math.ceil(until / HOUR));
  }

  /** Whether the job is new. */
  private noteJob(row: Row, sums: AllSums, clients: Map<number, string>): boolean {
    const id = row[JOB.id] as number;
    const client = row[JOB.client] as string;
    const state = row[JOB.state] as number;
    clients.set(id, client);
    const before = this.statements.state.get(id) as number | undefined;
    if (before === state) return false;
    const sum = sumsOf(sums, row[JOB.submitted] as number, client);
    if (before === undefined) sum.jobs++;
    else if (before >= FIRST_END) sum[ENDS[before - FIRST_END]!]--;
    if (state >= FIRST_END) sum[ENDS[state - FIRST_END]!]++;
    return before === undefined;
  }

  private noteAttempt(row: Row, sums: AllSums, clients: Map<number, string>): void {
    const ended = row[ATTEMPT.ended] as number | null;
    if (ended === null) return;
    const job = row[ATTEMPT.job] as number;
    if (this.statements.outcome.get(job, row[ATTEMPT.attempt] as number) != null) return;
    const client = clients.get(job) ?? (this.statements.client.get(job) as string | undefined);
    if (client === undefined) return;
    const begun = (row[ATTEMPT.started] ?? row[ATTEMPT.offered]) as number;
    addTime(sumsOf(sums, ended, client), ended - begun, row[ATTEMPT.outcome] as number);
  }
}

function noteEnded({ cause, client, ended, started, submitted }: EndedRun, all: AllSums): void {
  const sums = sumsOf(all, submitted, client);
  sums.jobs++;
  sums[ENDS[stateOf(cause) - FIRST_END]!]++;
  addTime(sumsOf(all, ended, client), ended - started, OUTCOMES.indexOf(cause));
}

function addTime(sums: Sums, took: number, outcome: number): void {
  const seconds = Math.max(0, took);
  sums.seconds += seconds;
  if (IN_VAIN.has(outcome)) sums.lostSeconds += seconds;
}

function sumsOf(sums: AllSums, moment: number, client: string): Sums {
  const key = `${Math.floor(moment / HOUR)} ${client}`;
  let sum = sums.get(key);
  if (!sum) {
    sum = { jobs: 0, succeeded: 0, failed: 0, cancelled: 0, seconds: 0, lostSeconds: 0 };
    sums.set(key, sum);
  }
  return sum;
}

function splitKey(key: string): [hour: number, client: string] {
  const space = key.indexOf(" ");
  return [Number(key.slice(0, space)), key.slice(space + 1)];
}

/** Where each column is in a row. */
function index<C extends string>(columns: readonly C[]): Record<C, number> {
  return Object.fromEntries(columns.map((name, at) => [name, at])) as Record<C, number>;
}

function prepare(db: Database) {
  return {
    state: db.prepare<[number]>("SELECT state FROM job WHERE id = ?").pluck(),
    client: db.prepare<[number]>("SELECT client FROM job WHERE id = ?").pluck(),
    outcome: db
      .prepare<[number, number]>("SELECT outcome FROM attempt WHERE job = ? AND attempt = ?")
      .pluck(),
    add: db.prepare<[number, string, number, number, number, number, number, number]>(
      `INSERT INTO usage (hour, client, jobs, succeeded, failed, cancelled, seconds, lost_seconds)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (hour, client) DO UPDATE SET
         jobs = jobs + excluded.jobs,
         succeeded = succeeded + excluded.succeeded,
         failed = failed + excluded.failed,
         cancelled = cancelled + excluded.cancelled,
         seconds = seconds + excluded.seconds,
         lost_seconds = lost_seconds + excluded.lost_seconds`,
    ),
    between: db.prepare<[number, number], Usage>(
      `SELECT client, sum(jobs) AS jobs, sum(succeeded) AS succeeded, sum(failed) AS failed,
         sum(cancelled) AS cancelled, sum(seconds) AS seconds, sum(lost_seconds) AS lostSeconds
       FROM usage WHERE hour >= ? AND hour < ? GROUP BY client ORDER BY client`,
    ),
  };
}
