/**
 * The jobs of a worker: those that run, with their share of its capacity, their time limits, and
 * what is logged and counted of them; and those that have ended, until nobody will ask for them.
 */
import { BulkQueue, cacheHintOf, type DurableQueue, readJobDescr } from "../../api/index.js";
import { alarm, Condition, stopwatch } from "../../async/index.js";
import { logger } from "../../console/index.js";
import { type DetachedPointer, RpcError } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import { type Builders, build } from "../build.js";
import { type Capacity, type WeightRule, weigh } from "../capacity.js";
import { JobTimedOut } from "../failure.js";
import type { LeaseRun } from "../leases.js";
import type { WorkerMetrics } from "../metrics.js";
import type { DurableAttempt } from "./durable-attempt.js";
import { countedAs, type Ending, endingBy } from "./ending.js";
import { HeldAttempts } from "./held-attempts.js";
import { Job } from "./job.js";

const log = logger("worker");

export interface JobsOptions {
  /** The worker's. */
  readonly name: string;
  readonly stateDir: string;
  /** A directory for what lives no longer than the process. */
  readonly temporary: string;
  readonly capacity: Capacity;
  readonly builders: Builders;
  readonly metrics: WorkerMetrics;
  readonly weights?: readonly WeightRule[] | undefined;
  /** ms that a job may take. Default: any time. */
  readonly jobTimeout?: number | undefined;
  /** A job has ended for want of space on a disk of this worker's. */
  onNoSpace?(): void;
  /** Bytes of output after which a job's log is cut. */
  readonly maxLogSize?: number | undefined;
}

/** A job that was started. */
export interface RunningJob {
  readonly job: Job;
  /** Of a durable one; undefined also if it could not be begun. */
  readonly attempt: DurableAttempt | undefined;
  /** Resolves when its end is kept, and its share of the capacity free; with how long it ran. */
  readonly ended: Promise<Ending & { readonly seconds: number }>;
}

export class Jobs {
  /** Those that run, or that somebody may still want to read the log of. */
  readonly #jobs = new Set<Job>();
  readonly #gone = new Condition();
  #isStopping = false;
  #attempts!: HeldAttempts;

  private constructor(private readonly options: JobsOptions) {}

  /** With what an earlier process has kept. Rejects with the system's error. */
  static async open(options: JobsOptions): Promise<Jobs> {
    const { metrics, stateDir } = options;
    const jobs = new Jobs(options);
    const onForgotten = () => jobs.#gone.notify();
    jobs.#attempts = await HeldAttempts.open({ stateDir, metrics, onForgotten });
    return jobs;
  }

  get attempts(): HeldAttempts {
    return this.#attempts;
  }

  /** A job to offer. */
  offer(): Job {
    const { maxLogSize, temporary: directory } = this.options;
    const job: Job = Job.offered(
      { directory, ...(maxLogSize !== undefined && { maxSize: maxLogSize }) },
      () => {
        this.#jobs.delete(job);
        this.#gone.notify();
      },
    );
    return job;
  }

  /** Runs an offered job, and returns at once. Takes `popped.descr`. */
  start(job: Job, { assignment, descr, owner }: DurableQueue.Popped): RunningJob {
    let attempt: DurableAttempt | undefined;
    try {
      attempt = assignment ? this.#attempts.assign(job, assignment) : undefined;
    } catch (error) {
      descr.release();
      const reason = RpcError.from(error);
      job.abandon(reason);
      const ending = { ...endingBy(reason), seconds: 0 };
      return { job, attempt, ended: Promise.resolve(ending) };
    }
    this.#jobs.add(job);
    const of = factsOf(owner, assignment, cacheHintOf(descr));
    const weight = this.#takeCapacity(descr, of);
    const elapsed = stopwatch();
    const stopClock = this.#limitTime(job, assignment?.timeout ?? 0);
    const { builders, capacity, metrics, name, onNoSpace } = this.options;
    const running = job.run(() => {
      job.log.append(`Building on ${name}`);
      const settings = { capture: attempt?.capture, client: owner?.client };
      return build(readJobDescr(descr), job, builders, settings);
    }, attempt);
    if (this.#isStopping) job.stopWithWorker();
    const ended = running.then((ending) => {
      stopClock();
      descr.release();
      const facts = { ...of, outcome: ending.cause, duration: elapsed() };
      report(attempt ? `Job ${attempt.label}` : "Job", ending, facts);
      log.info(`Build duration: ${elapsed().toFixed(6)}s${suffix(of)}`, facts);
      if (ending.cause === "no space") onNoSpace?.();
      metrics.jobEnded(countedAs(ending), elapsed());
      if (attempt) metrics.durableEnded.inc({ cause: ending.cause });
      capacity.giveBack(weight);
      return { ...ending, seconds: elapsed() };
    });
    return { job, attempt, ended };
  }

  /** Runs a job that is a lease, and returns at once. Takes `descr`. */
  startLease(
    assignment: DurableQueue.DurableAssignment,
    client: string,
    descr: DetachedPointer,
  ): LeaseRun {
    const owner = client === "" ? null : { client, number: assignment.job };
    const { attempt, ended, job } = this.start(this.offer(), { descr, owner, assignment });
    return {
      ended: ended.then(({ cause, files, output, reason, seconds }) => {
        // That of a lease that was given up is gone, and nobody is to be told of it.
        const isShort = files === undefined && job.log.length <= BulkQueue.LOG_BYTES;
        return { cause, output, reason, seconds, log: isShort ? job.log.contents() : null };
      }),
      capability: () => job.capability(),
      settled: () => attempt?.settled(),
      giveUp: () => attempt?.giveUp(),
    };
  }

  /**
   * Has all that run stop: attached ones are cancelled, others given back. So is what is started
   * from now on.
   */
  stop(): void {
    this.#isStopping = true;
    for (const job of this.#jobs) job.stopWithWorker();
  }

  /**
   * Resolves when nobody will ask for any job; throws `signal`'s reason when it is aborted first.
   */
  async whenGone(signal: AbortSignal): Promise<void> {
    while (this.#jobs.size + this.#attempts.size > 0) await this.#gone.wait(signal);
  }

  /** The units that the job takes. */
  #takeCapacity(descr: DetachedPointer, of: JobFacts): number {
    const { capacity, metrics, weights = [] } = this.options;
    const hint = cacheHintOf(descr);
    const weight = weigh(weights, hint);
    capacity.take(weight);
    log.info(`Cache_hint ${hint}`, { ...of });
    log.info(`Job weight ${weight}${suffix(of)}`, { ...of, weight });
    metrics.jobsAccepted.inc();
    return weight;
  }

  /**
   * Stops the job when it has taken too long, by its own limit (in seconds; 0: none) or the
   * worker's.
   */
  #limitTime(job: Job, limit: number): () => void {
    const { jobTimeout = Number.POSITIVE_INFINITY } = this.options;
    const ms = Math.min(jobTimeout, limit > 0 ? limit * 1000 : Number.POSITIVE_INFINITY);
    return alarm(ms, () => {
      job.stop(new JobTimedOut(`Job timed out: it took longer than ${ms / 1000} s`));
    });
  }
}

/**
 * Whose job it is, in the fields of the lines about it. What the scheduler does not tell is null.
 */
interface JobFacts {
  readonly job: number | null;
  readonly attempt: number | null;
  readonly client: string | null;
  readonly hint: string | null;
}

function factsOf(
  owner: DurableQueue.JobOwner | null,
  assignment: DurableQueue.DurableAssignment | null,
  hint: string,
): JobFacts {
  return {
    job: assignment?.job ?? (owner?.number || null),
    attempt: assignment?.attempt ?? null,
    client: owner?.client ?? null,
    hint: hint === "" ? null : hint,
  };
}

/**
 * ` (job 17 of "alice")`, as far as it is known. Behind the line, which may be looked for as it
 * was.
 */
function suffix({ client, job }: JobFacts): string {
  const words = [
    ...(job === null ? [] : [`job ${job}`]),
    ...(client === null ? [] : [`of ${quoted(client)}`]),
  ];
  return words.length === 0 ? "" : ` (${words.join(" ")})`;
}

function report(label: string, { cause, exception, reason }: Ending, of: JobFacts): void {
  const fields = { ...of };
  // The label has the number of a durable job.
  const whose = suffix(of.attempt === null ? of : { ...of, job: null });
  if (cause === "succeeded") log.info(`${label} succeeded${whose}`, fields);
  else if (cause === "cancelled") log.info(`${label} cancelled${whose}`, fields);
  else if (cause === "evicted") log.info(`${label} given back${whose}`, fields);
  else if (exception === null) log.info(`${label} failed: ${reason}${whose}`, fields);
  else log.warn(`Build failed: ${exception}${whose}`, fields);
}
