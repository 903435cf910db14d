/**
 * Attached jobs that have ended, of which nothing was written down before: most of all jobs of
 * those who have no durable ones. There may be thousands a second, so they pass to the thread of
 * the database as two lists, and are written with two statements each that have nothing to look up.
 */
import type { Database } from "better-sqlite3";
import type { JobCause } from "../jobs/types.js";
import { FIRST_END, OUTCOMES, STATES } from "./jobs-schema.js";

/** Moments are Unix seconds. */
export interface EndedRun {
  readonly id: number;
  readonly client: string;
  readonly pool: string;
  readonly hint: string;
  readonly worker: string;
  readonly urgent: boolean;
  /** See `AttemptRecord`. */
  readonly cached: boolean;
  readonly submitted: number;
  readonly started: number;
  readonly ended: number;
  readonly cause: JobCause;
  readonly reason: string;
  readonly output: string;
}

/** Numbers and texts that follow each other in a packed run. */
const NUMBERS = 7;
const TEXTS = 6;
const WIDTH = NUMBERS + TEXTS;

export interface PackedRuns {
  /** Of each run its numbers; then where each of its texts is in `texts`. */
  readonly numbers: Float64Array;
  /** Each is there once. */
  readonly texts: readonly string[];
}

export function packRuns(runs: readonly EndedRun[]): PackedRuns {
  const numbers = new Float64Array(runs.length * WIDTH);
  const places = new Map<string, number>();
  let at = 0;
  const add = (text: string): void => {
    let place = places.get(text);
    if (place === undefined) {
      place = places.size;
      places.set(text, place);
    }
    numbers[at++] = place;
  };
  for (const run of runs) {
    numbers[at++] = run.id;
    numbers[at++] = run.urgent ? 1 : 0;
    numbers[at++] = run.cached ? 1 : 0;
    numbers[at++] = run.submitted;
    numbers[at++] = run.started;
    numbers[at++] = run.ended;
    numbers[at++] = OUTCOMES.indexOf(run.cause);
    add(run.client);
    add(run.pool);
    add(run.hint);
    add(run.worker);
    add(run.reason);
    add(run.output);
  }
  return { numbers, texts: [...places.keys()] };
}

export function unpackRuns({ numbers, texts }: PackedRuns): EndedRun[] {
  const runs: EndedRun[] = [];
  let at = 0;
  const number = (): number => numbers[at++]!;
  const text = (): string => texts[number()]!;
  while (at < numbers.length) {
    runs.push({
      id: number(),
      urgent: number() !== 0,
      cached: number() !== 0,
      submitted: number(),
      started: number(),
      ended: number(),
      cause: OUTCOMES[number()] as JobCause,
      client: text(),
      pool: text(),
      hint: text(),
      worker: text(),
      reason: text(),
      output: text(),
    });
  }
  return runs;
}

/** The state in which a job is that has ended so. */
export function endOf(cause: JobCause): "succeeded" | "failed" | "cancelled" {
  return cause === "succeeded" || cause === "cancelled" ? cause : "failed";
}

/** The number of that state. */
export function stateOf(cause: JobCause): number {
  return STATES.indexOf(endOf(cause), FIRST_END);
}

export class EndedRuns {
  private readonly statements: ReturnType<typeof prepare>;

  constructor(db: Database) {
    this.statements = prepare(db);
  }

  /** Writes their records. */
  save(runs: readonly EndedRun[]): void {
    const { attempt, job } = this.statements;
    for (const run of runs) {
      const { cause, client, ended, hint, id, output, pool, reason, started, worker } = run;
      const outcome = OUTCOMES.indexOf(cause);
      const urgent = run.urgent ? 1 : 0;
      const state = stateOf(cause);
      const course = [run.submitted, state, started, ended];
      job.run(id, client, pool, urgent, hint, ...course, outcome, reason, output);
      attempt.run(id, worker, started, started, ended, outcome, reason, run.cached ? 1 : 0);
    }
  }
}

function prepare(db: Database) {
  return {
    job: db.prepare<(string | number)[]>(
      `INSERT OR REPLACE INTO job
         (id, client, pool, urgent, hint, submitted, state, started, ended, cause, reason, output,
          attached, name, key, options, described, queue_order, attempts, failures, losses,
          suspicions, troubles, avoid)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, '', '', '', 0, 0, 1, 0, 0, 0, 0, '')`,
    ),
    attempt: db.prepare<(string | number)[]>(
      `INSERT OR REPLACE INTO attempt
         (job, worker, offered, started, ended, outcome, reason, cached, attempt, resumes, log_size)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0)`,
    ),
  };
}
