/**
 * A batch that has not ended, as the scheduler has it in memory: where it stands, its run, and what
 * it is made of.
 */
import type { Batches as Api } from "../../api/index.js";
import { Mutex } from "../../async/index.js";
import { BatchRun, type Counts, type EndState } from "../batches/index.js";
import type { JobOptions, JobState } from "../jobs/types.js";
import type { BatchJobs, BatchRow } from "../state/batch-tables.js";
import { STATES } from "../state/jobs-schema.js";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class LiveBatch {
  readonly run: BatchRun;
  /** How many ends of jobs there were. */
  last = 0;
  /** The batch whose name it has, and whose work it need not do again. */
  previous: number | null = null;
  /** Rows are added one call after the other. */
  readonly adding = new Mutex();
  /** Jobs of it are being begun; and something has happened since that was looked at. */
  isPumping = false;
  isChanged = false;
  /** What has to be done before it may be said to have ended is being done. */
  isEnding = false;

  constructor(
    readonly row: Mutable<BatchRow>,
    readonly made: Api.NewBatch,
    /** Of each job, in full. */
    readonly options: JobOptions,
    /** Bytes of its template and rows. */
    public bytes: number,
  ) {
    this.run = new BatchRun(made.rules);
  }

  get id(): number {
    return this.row.id;
  }

  /**
   * Takes in what is on record, after a restart or when it goes on. `again`: jobs that are to be
   * tried once more.
   */
  restore(jobs: BatchJobs, again: readonly number[]): void {
    const { row, run } = this;
    if (row.rows > 0) run.add(row.rows);
    run.goOn(again);
    for (const [index, number] of jobs.rows.entries()) {
      const state = STATES[jobs.states[index]!]!;
      run.restored(number, isEnd(state) ? state : null, jobs.recent[index] === 1);
    }
    this.last = jobs.last;
    this.bytes += jobs.bytes;
    if (row.halt !== 0) run.stopFor(row.halt === 1 ? "stopped" : "cancelled", row.reason);
    if (row.closed) run.close();
    else run.judge();
  }

  view(revision: number): Api.BatchRecord {
    const { row, run } = this;
    return viewOf(row, this.made.template.columns, revision, {
      ...run.counts,
      state: run.state,
      last: this.last,
    });
  }

  /** What is kept of it when it has ended. */
  get summary(): string {
    return JSON.stringify({ ...this.run.counts, state: this.run.state, last: this.last });
  }
}

export interface Summary extends Counts {
  readonly state: Api.BatchState;
  readonly last: number;
}

export function viewOf(
  row: BatchRow,
  columns: readonly string[],
  revision: number,
  { cancelled, failed, last, queued, running, state, succeeded }: Summary,
): Api.BatchRecord {
  const { client, closed, ended, id, name, pool, reason, rows, submitted } = row;
  const counts = { queued, running, succeeded, failed, cancelled };
  return {
    ...{ batch: id, client, name, pool, submitted, ended, state, reason, rows },
    closed: closed !== 0,
    ...counts,
    ...{ revision, columns, last },
  };
}

function isEnd(state: JobState): state is EndState {
  return state === "succeeded" || state === "failed" || state === "cancelled";
}
