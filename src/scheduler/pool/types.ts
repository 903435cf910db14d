/**
 * What the pool is given from outside: time, a memory that outlives it, and how to read a job.
 * With these three handed in, the pool itself is pure: no network, no database, no timers.
 */

/**
 * The present, in seconds since some fixed moment (in production: the Unix epoch); may have
 * fractions.
 */
export type Clock = () => number;

/**
 * Estimates of how long a job takes, in whole seconds, not negative; the second is not less than
 * the first.
 */
export interface Costs {
  /** On a worker that holds the job's cache hint. */
  readonly cached: number;
  /** On any other worker. At most this much queued work makes a worker worth waiting for. */
  readonly nonCached: number;
}

/**
 * How a pool reads the jobs it is given; it looks at them in no other way. All but `costs` must
 * give the same answer for the same job each time, and be cheap: they are called for every job.
 */
export interface JobTraits<J> {
  /** Jobs with the same hint like to run on the same worker. The empty hint says nothing. */
  hint(job: J): string;
  /** As far as is known now: `estimates.ts` has two ways to know. */
  costs(job: J): Costs;
  /** What `show` calls the job. */
  label(job: J): string;
  /**
   * The names of a few workers, each once, that are not to get the job as long as others are
   * active: attempts of it went wrong there. By default none.
   */
  avoids?(job: J): readonly string[];
  /**
   * The abilities without which a worker is never given the job. Of all jobs together only a few
   * sets. By default none.
   */
  needs?(job: J): readonly string[];
}

/**
 * Told in lines for people what the pool decides: who takes which job is `info`, and how it came to
 * that `debug`.
 */
export interface PoolLog {
  info(message: string): void;
  debug(message: string): void;
  /** Whether `debug` does anything: there are several such lines for each job. */
  readonly debugging: boolean;
  /** False: nor does `info`, of which there is a line for each job. */
  readonly informing?: boolean;
}

export interface KnownWorker {
  readonly name: string;
  /** Paused by an administrator, which lasts until lifted. */
  readonly paused: boolean;
}

/**
 * What one pool remembers across restarts: which workers there are and which of them are paused,
 * who holds which hint, and the clients' rates. Reads are on the path of every job, so they must
 * not go to a disk each time. Writes are kept when they return; all but `markCached` may throw a
 * `StoreError`.
 */
export interface PoolStore {
  /**
   * The workers, connected or not, that hold the hint: sorted by name as bytes. Valid until the
   * next call.
   */
  holders(hint: string): readonly string[];
  /**
   * The worker holds the hint from now on. Never throws: a mark that cannot be kept is only a lost
   * hint.
   */
  markCached(hint: string, worker: string): void;
  /** Every hint that is held and its holders, both sorted as bytes. Slow; for tests and people. */
  cached(): Iterable<readonly [hint: string, workers: readonly string[]]>;

  /** The client's rate; 1 until set. */
  rate(client: string): number;
  setRate(client: string, rate: number): void;
  removeRate(client: string): void;

  /** Every worker that ever registered and was not forgotten, sorted by name as bytes. */
  knownWorkers(): readonly KnownWorker[];
  isKnown(worker: string): boolean;
  isPaused(worker: string): boolean;
  /** Makes the worker known, not paused, unless it is known already. */
  addWorker(worker: string): void;
  /** Sets or lifts the administrator's pause of a known worker. */
  setPaused(worker: string, paused: boolean): void;
  /** Forgets the worker and its pause; the hints it holds stay on record. */
  removeWorker(worker: string): void;
}
