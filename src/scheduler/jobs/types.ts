/**
 * Durable jobs as data: what is on record of a job and of its attempts, and what the state machine
 * (`job-book.ts`) is given from outside: time, a memory that outlives it, and somebody who acts.
 *
 * Records are plain data that can be cloned between threads: numbers, strings, booleans, null and
 * arrays of these. Moments are Unix seconds, durations are seconds, both with fractions; sizes are
 * bytes.
 */

/** The states of a job; `job-book.ts` says how one leads to another. The last three are ends. */
export type JobState =
  | "waiting"
  | "queued"
  | "offered"
  | "running"
  | "out of touch"
  | "succeeded"
  | "failed"
  | "cancelled";

export type EndState = "succeeded" | "failed" | "cancelled";

/**
 * How an attempt ended, told apart because not all are the job's own doing:
 *
 * - `succeeded`, `failed`, `timeout`: what came of the build. The last two count against `retries`.
 * - `no space`: the worker's disk was full. Another attempt is free, but counts against
 *   `lostRetries`.
 * - `evicted`: the worker gave it back, or never got it. Another attempt is free, however often.
 * - `lost`: the worker was gone for longer than its lease. `crashed`: the worker came back without
 *   it. Both count against `lostRetries`, and are evidence against a job that had begun.
 * - `cancelled`: it was told to stop, as its job was cancelled.
 */
export type Outcome =
  | "succeeded"
  | "failed"
  | "timeout"
  | "no space"
  | "evicted"
  | "lost"
  | "crashed"
  | "cancelled";

/** Those that say how long such a job takes: it ran until it ended by itself, or was too slow. */
export const OWN_ENDS: readonly Outcome[] = ["succeeded", "failed", "timeout"];

/**
 * What somebody else than the book can say of an attempt's end: that it is cancelled, only the book
 * decides.
 */
export type ReportedOutcome = Exclude<Outcome, "cancelled">;

/** Why a job ended as it did: how its last attempt ended, or `cancelled`. */
export type JobCause = Exclude<Outcome, "evicted">;

/** What its client asked for beyond the description. */
export interface JobOptions {
  /** How many more attempts it gets after failed ones (`failed`, `timeout`). */
  readonly retries: number;
  /** How many more attempts it gets after `lost`, `crashed` and `no space`; may be infinite. */
  readonly lostRetries: number;
  /** How long it waits after a failed attempt, in seconds. */
  readonly retryDelay: number;
  /** How long an attempt may run, in seconds; null for any time. */
  readonly timeout: number | null;
  /** The jobs that have to succeed first: earlier ones of the same client, in ascending order. */
  readonly after: readonly number[];
  /** Which files of its result are kept. */
  readonly outputs?: OutputOrder | undefined;
  /** Of a job that is built from a local directory: the hash of its manifest. */
  readonly context?: string | undefined;
}

/** Which files are kept: absolute paths and patterns, at least one. */
export interface OutputOrder {
  readonly paths: readonly string[];
  /** `failure`: of the failed step's root as it was. */
  readonly when: "success" | "failure" | "always";
  /** What is not there is no failure. */
  readonly optional: boolean;
}

/**
 * A job. The book holds those that have not ended, and changes them in place; to all others they
 * are read-only. The row of an attached job has the same form: it has no key, description or delay,
 * and its options are the defaults.
 */
export interface JobRecord {
  /** From 1 on, in the order of submission; never used again. */
  readonly id: number;
  readonly kind: "durable" | "attached";
  readonly client: string;
  /** It changes only when a pool gets another name. */
  pool: string;
  readonly urgent: boolean;
  /** The cache hint; empty for none. */
  readonly hint: string;
  /** For people; empty for none. */
  readonly name: string;
  /** A client's submits with the same key are the same job; empty for none. */
  key: string;
  /**
   * The batch that it is part of. Its key is one of that batch then, and no other job's business.
   */
  batch: number | null;
  /** Which of the batch's rows it is, from 0; null outside of batches. */
  row: number | null;
  readonly options: JobOptions;
  /** The abilities that it needs of a worker. */
  readonly needs: readonly string[];
  readonly submitted: number;

  state: JobState;
  /** Of a batch's job that has ended: which end of its batch that was, from 1. */
  batchEnd: number | null;
  /** When its first attempt began. */
  started: number | null;
  ended: number | null;
  /** Null until it has ended. */
  cause: JobCause | null;
  /**
   * Why it ended so, or its last attempt so far did, in words; empty if there is nothing to say.
   */
  reason: string;
  /** What the attempt that succeeded said: for Docker jobs, the id of what was pushed. */
  output: string;
  /** Whether its description is still on record, so that it can be tried again. */
  described: boolean;

  /**
   * The fair start time in its pool's queue; null before it was first queued, and when it has to
   * queue up anew.
   */
  start: number | null;
  /**
   * Counts the jobs that were queued, over restarts: the order of those with the same fair start
   * time.
   */
  order: number;
  /** While it waits for a delay to be over: until when. */
  notBefore: number | null;

  /** How many attempts there were; the number of the last one. */
  attempts: number;
  /** Attempts that count against `retries`, since the job was submitted or last retried by hand. */
  failures: number;
  /** Attempts that count against `lostRetries`, since then. */
  losses: number;
  /** Attempts since then whose worker was lost or crashed while the job ran. */
  suspicions: number;
  /** Attempts since then that ended by a worker's trouble of whatever kind. */
  troubles: number;
  /**
   * The workers where an attempt has ended without success since then: the last few, the newest
   * first.
   */
  avoid: readonly string[];
}

/**
 * An attempt: one go of a job on one worker. Its number, 1 for the first, is the fence against late
 * results.
 */
export interface AttemptRecord {
  readonly job: number;
  readonly attempt: number;
  readonly worker: string;
  /**
   * Whether the worker keeps it when the connection is lost, and enforces its timeout; those of the
   * reference do not.
   */
  readonly resumes: boolean;
  /** Whether its worker was chosen because it held the job's cache hint. */
  readonly cached: boolean;
  readonly offered: number;
  /** When the worker said that it has begun. */
  started: number | null;
  ended: number | null;
  /** Null while it goes on. */
  outcome: Outcome | null;
  /** In words; empty if there is nothing to say. */
  reason: string;
  /**
   * Bytes of its log, as far as known: it is exact when the attempt has ended and its log is
   * complete.
   */
  logSize: number;
}

/** The present. Records have wall time, but no decision depends on it: clocks get set. */
export interface JobClock {
  /** Unix seconds. */
  wall(): number;
  /** Seconds since some moment; never goes back. */
  steady(): number;
}

/**
 * Is told what to keep. All that is said in one turn of the event loop belongs together: it is kept
 * as a whole or not at all. Whoever makes a promise to a client or worker waits until it is on
 * disk, before answering.
 *
 * Records that are passed are live. The store reads them by the end of the turn, when they are as
 * they are to be kept; so it may note which have changed, and read each once. Nothing here throws.
 */
export interface JobStore {
  /** The next job's id. Never the same again, whatever happens to that job or to this process. */
  nextId(): number;
  /** The job is new, or has changed. */
  saveJob(job: JobRecord): void;
  /** The attempt is new, or has changed. */
  saveAttempt(job: JobRecord, attempt: AttemptRecord): void;
  /** The description of a new job: its bytes as they came. They may hold secrets. */
  saveDescription(id: number, description: Uint8Array): void;
  /** The description is not needed any more. */
  eraseDescription(id: number): void;
  /**
   * Erases the descriptions of all jobs that ended before that moment, and notes it with them
   * (`described`).
   */
  eraseDescriptionsBefore(ended: number): void;
  /** Removes all jobs that ended before that moment, with attempts and logs. */
  removeBefore(ended: number): void;
}

/**
 * Acts on what the book decides. Must not call the book before the call that it is in has returned.
 */
export interface JobHost {
  /**
   * Puts the job into its pool's queue, where it has not been: behind all of its client's jobs if
   * `job.start` is null; else with that fair start time, which it had before. It should not go to
   * workers in `job.avoid`. Returns its fair start time.
   */
  enqueue(job: JobRecord): number;
  /** Takes a queued job out of its pool's queue. */
  withdraw(job: JobRecord): void;
  /**
   * The attempt has been given up: its worker is to stop it, if it can be reached; else it is told
   * when it is back.
   */
  stop(job: JobRecord, attempt: AttemptRecord): void;
  /** Whether the job's client has not been removed. */
  isWanted(job: JobRecord): boolean;
  /** The job has ended; the book does not know it any more. */
  ended(job: JobRecord): void;
}

/** A job as it is submitted. */
export interface Submission {
  readonly client: string;
  readonly pool: string;
  readonly description: Uint8Array;
  readonly urgent?: boolean;
  readonly hint?: string;
  readonly needs?: readonly string[];
  readonly name?: string;
  readonly key?: string;
  readonly options?: Partial<JobOptions>;
}

/**
 * A row of a batch that is to become a job. Its description is made of the batch's template when a
 * worker takes it.
 */
export interface RowSubmission extends Place {
  readonly client: string;
  readonly pool: string;
  readonly urgent: boolean;
  readonly hint: string;
  readonly needs: readonly string[];
  readonly name: string;
  /** In full, as `checkSubmission` gives them. */
  readonly options: JobOptions;
}

/** A job's place in a batch. */
export interface Place {
  readonly batch: number;
  readonly row: number;
  readonly key: string;
}

/** What the records say of jobs that the book does not know, as they have ended. */
export interface Past {
  /** The job of the submission's client and key; null if there is none. */
  readonly keyed?: number | null;
  /**
   * How the jobs that it is to run after have ended; null for ids that the client has no job of.
   */
  readonly states?: ReadonlyMap<number, EndState | null>;
}

/** What is known of an attempt that is about to be offered; see `AttemptRecord`. */
export type Offer = Pick<AttemptRecord, "worker" | "resumes" | "cached">;

/** What a worker says of an attempt's end, or somebody else who knows. */
export interface AttemptReport {
  readonly outcome: ReportedOutcome;
  /** For how long it ran, if its worker has said nothing of it before; in seconds. */
  readonly seconds?: number;
  readonly reason?: string;
  readonly output?: string;
  readonly logSize?: number;
}

export type SubmitResult =
  /** The job is new; it is to be answered for when it is on disk. */
  | { readonly kind: "new"; readonly job: JobRecord }
  /** There is a job of that key already. */
  | { readonly kind: "known"; readonly id: number }
  /** To be submitted again, with what the records say of the key or of these jobs. */
  | { readonly kind: "ask"; readonly key: boolean; readonly jobs: readonly number[] }
  /** In words for the client. */
  | { readonly kind: "refused"; readonly reason: string };

export type RetryResult =
  | { readonly kind: "again"; readonly job: JobRecord }
  /** To be retried again, with what the records say of these jobs, which it runs after. */
  | { readonly kind: "ask"; readonly jobs: readonly number[] }
  | { readonly kind: "refused"; readonly reason: string };

/** An attempt that a worker has with it when it connects again. */
export interface HeldAttempt {
  readonly job: number;
  readonly attempt: number;
  /**
   * `ended`: it is done, and its outcome will be handed over. `crashed`: the process that ran it is
   * gone.
   */
  readonly state: "running" | "ended" | "crashed";
}

/**
 * `goOn`: the worker is to go on, or to hand over its outcome. `stop`: it is to stop and forget it.
 */
export type Verdict = "goOn" | "stop";

/** A job that had not ended, as it is read from the records at a restart. */
export interface RestoredJob {
  readonly job: JobRecord;
  /** Its attempt that had not ended; null if it had none. */
  readonly attempt: AttemptRecord | null;
  /**
   * Of a waiting job: how those of `job.options.after` that have ended did so. One that is neither
   * here nor among the restored is taken to have succeeded and to have been removed since.
   */
  readonly past: ReadonlyMap<number, EndState>;
}
