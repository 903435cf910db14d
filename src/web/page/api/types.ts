/**
 * What the server answers: the JSON of its API, as docs/openapi.yaml describes it, as far as the
 * page looks at it. Times are ISO 8601, durations seconds, sizes bytes; null: there is none (yet).
 */

export type JobState = "waiting" | "queued" | "running" | "succeeded" | "failed" | "cancelled";

export interface Attempt {
  readonly attempt: number;
  readonly worker: string;
  readonly started: string | null;
  readonly ended: string | null;
  readonly outcome: string | null;
  readonly cause: string | null;
  readonly reason: string | null;
  readonly logSize: number;
  readonly outputSize: number;
}

export interface Job {
  readonly id: number;
  readonly pool: string;
  readonly state: JobState;
  readonly name: string | null;
  readonly key: string | null;
  readonly hint: string | null;
  readonly batch: string | null;
  readonly submitted: string;
  readonly started: string | null;
  readonly ended: string | null;
  readonly attempts: readonly Attempt[];
  readonly output: string | null;
  readonly reason: string | null;
  readonly client: string;
  readonly kind: "durable" | "attached";
  readonly cause: string | null;
  /** Can have one more attempt; a row's by its batch. */
  readonly retriable: boolean;
}

export interface JobPage {
  readonly jobs: readonly Job[];
  readonly cursor: string | null;
  /** Records that were looked at for a text; null: none had to be. */
  readonly scanned?: number | null;
}

export interface LiveJob {
  /** Null: of a connection, and without a number. */
  readonly id: number | null;
  readonly state: JobState;
  readonly client: string;
  readonly kind: "durable" | "attached";
  readonly name: string | null;
  readonly hint: string | null;
  readonly urgent: boolean;
  readonly submitted: string;
  readonly worker: string | null;
  readonly started: string | null;
  readonly lastOutput: string | null;
  readonly outOfTouch: boolean;
}

export interface SchedulerState {
  readonly state: "up" | "down";
  readonly since: string;
  readonly message: string | null;
}

export interface Session {
  readonly role: "admin" | "viewer" | "client";
  readonly client: string | null;
  readonly scope:
    | { readonly kind: "all" }
    | { readonly kind: "job"; readonly job: number }
    | { readonly kind: "batch"; readonly batch: number };
  readonly can: {
    readonly cancel: boolean;
    readonly retry: boolean;
    readonly workers: boolean;
    readonly share: boolean;
  };
  readonly expires: string;
  readonly version: string;
  readonly scheduler: SchedulerState;
}

export interface Problem {
  readonly kind: string;
  readonly worker: string | null;
  readonly text: string;
}

/** Capacity, running, queued, started, finished; the last two since the sample before. */
export type Sample = readonly [number, number, number, number, number];

export interface Pool {
  readonly name: string;
  readonly workers: number;
  readonly capacity: number;
  readonly running: number;
  readonly queued: number;
  readonly able: readonly { readonly ability: string; readonly workers: number }[];
  readonly cpus: number;
  readonly memory: number;
  readonly architectures: readonly string[];
  readonly known: number | null;
  readonly paused: number | null;
  readonly wanted: number | null;
  readonly waitSeconds: number | null;
  readonly rate: { readonly started: number; readonly finished: number } | null;
  readonly problems: readonly Problem[];
  /** The last hour, oldest first; null: not watched. */
  readonly spark?: {
    /** Seconds. */
    readonly step: number;
    readonly running: readonly (number | null)[];
    readonly queued: readonly (number | null)[];
    readonly finished: readonly (number | null)[];
  } | null;
}

export interface Pools {
  readonly pools: readonly Pool[];
  readonly scheduler: SchedulerState;
}

export type WorkerState =
  | "active"
  | "paused"
  | "self-paused"
  | "shutting-down"
  | "disconnected"
  | "disconnected-paused";

export interface PoolWorker {
  readonly name: string;
  readonly connected: boolean;
  readonly state: WorkerState;
  readonly capacity: number;
  readonly running: number;
  readonly queued: number;
  readonly work: number;
}

export interface PoolClient {
  readonly id: string;
  readonly rate: number;
  readonly delay: number;
  readonly due: string | null;
  readonly queued: number;
  readonly urgent: number;
}

export interface Reason {
  readonly kind: string;
  readonly text: string;
}

export interface PoolDetail {
  readonly ready: number;
  readonly backlog: { readonly urgent: number; readonly other: number };
  readonly totals: {
    readonly submitted: number;
    readonly started: number;
    readonly cancelled: number;
    readonly finished: number;
  };
  readonly obstacles: readonly Reason[];
  readonly workers: readonly PoolWorker[];
  readonly clients: readonly PoolClient[];
}

export interface History {
  readonly from: string;
  /** Seconds between two points. */
  readonly step: number;
  readonly points: readonly (Sample | null)[];
}

export interface PoolPage extends Pool {
  readonly history: History;
  readonly detail: PoolDetail | null;
}

export interface Explanation {
  readonly job: {
    readonly client: string;
    readonly label: string;
    readonly urgent: boolean;
    readonly delay: number;
    readonly ahead: number | null;
    readonly length: number | null;
  } | null;
  readonly obstacles: readonly Reason[];
  readonly reason?: string | null;
}

export interface LogPage {
  readonly attempt: number;
  readonly from: number;
  readonly lines: readonly string[];
  /** Numbers of lines that are longer than what came. */
  readonly cut: readonly number[];
  readonly open: boolean;
  readonly sgr: string;
  readonly total: number;
  readonly size: number;
  readonly complete: boolean;
}

export interface LogMatches {
  readonly matches: readonly number[];
  readonly next: number | null;
  readonly total: number;
}

export interface LogState {
  readonly job: number;
  readonly attempt: number;
  readonly total: number;
  readonly size: number;
  readonly complete: boolean;
}

export interface LogStep {
  readonly line: number;
  readonly title: string;
  readonly cached: boolean | null;
  readonly seconds: number | null;
  /** Of its layer. */
  readonly id: string | null;
  readonly started: string | null;
  readonly ended: boolean;
  readonly failed: boolean;
}

export interface OutputEntry {
  readonly path: string;
  readonly type: "file" | "dir" | "link";
  readonly mode: string;
  readonly size: number;
  readonly target: string | null;
}

export interface Outputs {
  readonly attempt: number;
  readonly total: number;
  readonly entries: readonly OutputEntry[];
}

export type BatchState = "running" | "succeeded" | "failed" | "stopped" | "cancelled";

export interface Batch {
  readonly id: number;
  readonly name: string | null;
  readonly pool: string;
  readonly client: string | null;
  readonly state: BatchState;
  readonly submitted: string;
  readonly ended: string | null;
  readonly rows: number;
  readonly complete: boolean;
  readonly queued: number;
  readonly running: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly reason: string | null;
  readonly columns: readonly string[];
  /** Seconds. */
  readonly eta: number | null;
}

export interface BatchPage {
  readonly batches: readonly Batch[];
  readonly cursor: string | null;
}

export interface Grid {
  readonly rows: number;
  /** A letter a row: `.` `r` `s` `f` `c`. */
  readonly states: string;
}

export interface ClientUsage {
  readonly client: string;
  readonly jobs: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly seconds: number;
  readonly lostSeconds: number;
}

export interface Usage {
  readonly periods: readonly {
    readonly since: string;
    readonly until: string;
    readonly clients: readonly ClientUsage[];
  }[];
  readonly rates: Readonly<Record<string, Readonly<Record<string, number>>>> | null;
}

export interface WorkerPage {
  readonly name: string;
  readonly pools: readonly {
    readonly pool: string;
    readonly connected: boolean;
    readonly state: WorkerState;
    readonly capacity: number;
    readonly running: number;
    readonly queued: number;
    readonly work: number;
  }[];
  readonly jobs: readonly Job[];
  readonly attempts: {
    readonly seen: number;
    readonly lost: number;
    readonly failed: number;
    readonly succeeded: number;
  };
  readonly metrics: Readonly<Record<string, number>> | null;
}

export interface Operation {
  readonly id: string | number;
  readonly kind: "drain" | "update";
  readonly pool: string;
  readonly worker: string;
  readonly state: "running" | "done" | "failed";
  readonly status: string | null;
  readonly error: string | null;
  readonly started: string;
  readonly ended: string | null;
}
