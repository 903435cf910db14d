/**
 * A book of jobs that is as slow and obvious as can be: jobs are in a list that is walked for every
 * question, what counts is counted anew from the whole history, and there are no indexes, heaps or
 * reverse links that could be wrong.
 */

import type {
  EndState,
  HeldAttempt,
  JobOptions,
  JobState,
  ReportedOutcome,
  Verdict,
} from "../../../src/scheduler/jobs/types.js";
import { isEnd } from "./support.js";

interface Attempt {
  readonly worker: string;
  readonly resumes: boolean;
  begun: boolean;
  outcome: string | null;
  /** Which of a worker's was offered first. */
  since: number;
}

export interface ModelJob {
  readonly id: number;
  readonly client: string;
  readonly key: string;
  readonly options: JobOptions;
  state: JobState;
  cause: string | null;
  output: string;
  described: boolean;
  attempts: Attempt[];
  /** How many attempts there were before it was last submitted or retried by hand. */
  round: number;
  start: number | null;
  /** When something is to happen with it, on the steady clock. */
  moment: number | null;
  notBefore: number | null;
  /** Who has waited longer for other jobs hears of them first. */
  waitsSince: number;
  endedAt: number | null;
  removed: boolean;
}

export interface ModelSettings {
  readonly lease: number;
  readonly poisonAfter: number;
  readonly keepJobs: number;
  readonly keepFailed: number;
}

const count = (job: ModelJob, ...outcomes: string[]) =>
  roundOf(job).filter(({ outcome }) => outcomes.includes(outcome ?? "")).length;

const roundOf = (job: ModelJob) => job.attempts.slice(job.round);

export const tallyOf = (job: ModelJob) => ({
  failures: count(job, "failed", "timeout"),
  losses: count(job, "no space", "lost", "crashed"),
  suspicions: roundOf(job).filter(
    ({ outcome, begun }) => begun && (outcome === "lost" || outcome === "crashed"),
  ).length,
  troubles: count(job, "no space", "lost", "crashed", "evicted"),
});

/** The last eight workers where it went wrong, the newest first. */
export function avoidOf(job: ModelJob): string[] {
  const bad = ["failed", "timeout", "no space", "lost", "crashed"];
  const workers = job.attempts
    .filter(({ outcome }) => bad.includes(outcome ?? ""))
    .map(({ worker }) => worker)
    .reverse();
  return [...new Set(workers)].slice(0, 8);
}

export class Model {
  wall = 1_000_000;
  steady = 0;
  jobs: ModelJob[] = [];
  queue: number[] = [];
  nextStart = 0;
  nextCleaning = 0;
  /** Counts what has to be in order. */
  counter = 0;
  /** What has happened in this move. */
  ended: number[] = [];
  stopped: string[] = [];
  private news: ModelJob[] = [];

  constructor(readonly settings: ModelSettings) {}

  get(id: number): ModelJob | undefined {
    return this.jobs.find((job) => job.id === id && !job.removed);
  }

  active(id: number): ModelJob | undefined {
    const job = this.get(id);
    return job && !isEnd(job.state) ? job : undefined;
  }

  /** The state of a job of the client's; null if it has none of that number. */
  private stateOf(client: string, id: number): JobState | null {
    const job = this.get(id);
    return job?.client === client ? job.state : null;
  }

  /** `new`, `refused`, or the id of the job that has the key. */
  submit(id: number, client: string, key: string, options: JobOptions): "new" | "refused" | number {
    const same = this.jobs.find((job) => !job.removed && job.client === client && job.key === key);
    if (key !== "" && same) return same.id;
    const states = options.after.map((other) => this.stateOf(client, other));
    if (states.includes(null)) return "refused";
    const job: ModelJob = {
      id,
      client,
      key,
      options,
      state: "waiting",
      cause: null,
      output: "",
      described: true,
      attempts: [],
      round: 0,
      start: null,
      moment: null,
      notBefore: null,
      waitsSince: this.counter++,
      endedAt: null,
      removed: false,
    };
    this.jobs.push(job);
    if (states.includes("failed") || states.includes("cancelled")) this.cancelJob(job);
    else this.enqueueIfReady(job);
    this.spread();
    return "new";
  }

  retry(id: number): "again" | "refused" {
    const job = this.get(id)!;
    if (!isEnd(job.state) || job.state === "succeeded" || !job.described) return "refused";
    if (job.endedAt! < this.wall - this.settings.keepFailed) return "refused";
    const states = job.options.after.map((other) => this.stateOf(job.client, other));
    if (states.some((state) => state === null || state === "failed" || state === "cancelled")) {
      return "refused";
    }
    job.round = job.attempts.length;
    job.state = "waiting";
    job.cause = null;
    job.endedAt = null;
    job.start = null;
    job.waitsSince = this.counter++;
    this.enqueueIfReady(job);
    return "again";
  }

  cancel(id: number): boolean {
    const job = this.active(id);
    if (!job) return false;
    job.described = false;
    this.cancelJob(job);
    this.spread();
    return true;
  }

  forget(id: number): void {
    const job = this.get(id)!;
    if (job.attempts.at(-1)?.outcome === null) this.stop(job);
    this.unqueue(job);
    job.removed = true;
    job.moment = null;
    job.state = "cancelled";
    this.news.push(job);
    this.spread();
  }

  offer(id: number, worker: string, resumes: boolean): number {
    const job = this.get(id)!;
    this.unqueue(job);
    job.attempts.push({ worker, resumes, begun: false, outcome: null, since: this.counter++ });
    job.state = "offered";
    return job.attempts.length;
  }

  private current(id: number, number: number): [ModelJob, Attempt] | null {
    const job = this.active(id);
    const attempt = job?.attempts.at(-1);
    if (!job || !attempt || attempt.outcome !== null) return null;
    return job.attempts.length === number ? [job, attempt] : null;
  }

  begun(id: number, number: number): boolean {
    const found = this.current(id, number);
    if (!found) return false;
    this.begin(...found);
    return true;
  }

  private begin(job: ModelJob, attempt: Attempt): void {
    if (!attempt.begun && !attempt.resumes && job.options.timeout !== null) {
      job.moment = this.steady + job.options.timeout;
    }
    attempt.begun = true;
    if (job.state === "offered") job.state = "running";
  }

  reportEnd(id: number, number: number, outcome: ReportedOutcome, output: string): boolean {
    const found = this.current(id, number);
    if (!found) return false;
    this.endAttempt(...found, outcome, output);
    this.spread();
    return true;
  }

  private endAttempt(job: ModelJob, attempt: Attempt, outcome: ReportedOutcome, output = ""): void {
    if (["succeeded", "failed", "timeout", "no space"].includes(outcome)) attempt.begun = true;
    attempt.outcome = outcome;
    job.moment = null;
    const { options } = job;
    const { failures, losses, suspicions, troubles } = tallyOf(job);
    if (outcome === "succeeded") {
      job.output = output;
      job.described = false;
      this.end(job, "succeeded", outcome);
    } else if (outcome === "failed" || outcome === "timeout") {
      if (failures > options.retries) this.end(job, "failed", outcome);
      else {
        job.start = null;
        this.waitFor(job, options.retryDelay);
      }
    } else if (outcome !== "evicted" && suspicions >= this.settings.poisonAfter) {
      this.end(job, "failed", outcome);
    } else if (outcome !== "evicted" && losses > options.lostRetries) {
      this.end(job, "failed", outcome);
    } else {
      const delays = [0, 0, 1, 2, 4, 8, 16, 32];
      this.waitFor(job, delays[troubles] ?? 60);
    }
  }

  outOfTouch(worker: string, only: number | undefined): void {
    for (const [job, attempt] of this.at(worker)) {
      if (only !== undefined && job.id !== only) continue;
      if (!attempt.resumes) {
        this.stop(job);
        this.endAttempt(job, attempt, "lost");
      } else if (job.state !== "out of touch") {
        job.state = "out of touch";
        job.moment = this.steady + this.settings.lease;
      }
    }
    this.spread();
  }

  resumed(worker: string, held: readonly HeldAttempt[]): Verdict[] {
    const before = this.at(worker);
    const told = new Set<ModelJob>();
    const verdicts = held.map(({ job: id, attempt: number, state }): Verdict => {
      const found = this.current(id, number);
      if (found?.[1].worker !== worker) return "stop";
      const [job, attempt] = found;
      told.add(job);
      this.begin(job, attempt);
      if (state === "crashed") {
        this.endAttempt(job, attempt, "crashed");
        return "stop";
      }
      if (job.state === "out of touch") {
        job.state = "running";
        job.moment = null;
      }
      return "goOn";
    });
    for (const [job, attempt] of before) {
      if (!told.has(job)) this.endAttempt(job, attempt, attempt.begun ? "crashed" : "evicted");
    }
    this.spread();
    return verdicts;
  }

  /** What a worker has, in the order in which it was offered it. */
  private at(worker: string): [ModelJob, Attempt][] {
    const all: [ModelJob, Attempt][] = [];
    for (const job of this.jobs) {
      const attempt = job.attempts.at(-1);
      if (this.active(job.id) && attempt?.outcome === null && attempt.worker === worker) {
        all.push([job, attempt]);
      }
    }
    return all.sort(([, a], [, b]) => a.since - b.since);
  }

  /** Time has gone by. Returns whether old records were cleaned up. */
  tick(): boolean {
    for (;;) {
      const due = this.jobs
        .filter(({ moment, removed }) => !removed && moment !== null && moment <= this.steady)
        .sort((a, b) => a.moment! - b.moment! || a.id - b.id)[0];
      if (!due) break;
      due.moment = null;
      const attempt = due.attempts.at(-1);
      if (attempt?.outcome !== null) this.enqueue(due);
      else {
        this.stop(due);
        this.endAttempt(due, attempt, due.state === "out of touch" ? "lost" : "timeout");
      }
    }
    this.spread();
    if (this.nextCleaning > this.steady) return false;
    this.nextCleaning = this.steady + 60;
    for (const job of this.jobs) {
      if (job.endedAt === null) continue;
      if (job.endedAt < this.wall - this.settings.keepJobs) job.removed = true;
      if (job.endedAt < this.wall - this.settings.keepFailed) job.described = false;
    }
    return true;
  }

  restart(): void {
    this.nextCleaning = this.steady;
    const active = this.jobs.filter((job) => this.active(job.id));
    const lost: ModelJob[] = [];
    for (const job of active) {
      job.waitsSince = this.counter++;
      const attempt = job.attempts.at(-1);
      if (attempt?.outcome === null) {
        attempt.since = this.counter++;
        if (!attempt.resumes) lost.push(job);
        else {
          job.state = "out of touch";
          job.moment = this.steady + this.settings.lease;
        }
      } else if (job.notBefore !== null) {
        const rest = Math.max(0, job.notBefore - this.wall);
        job.moment = this.steady + Math.min(rest, Math.max(60, job.options.retryDelay));
      }
    }
    for (const job of lost) this.endAttempt(job, job.attempts.at(-1)!, "lost");
    this.spread();
  }

  private enqueue(job: ModelJob): void {
    job.state = "queued";
    job.notBefore = null;
    job.start ??= this.nextStart++;
    this.queue.push(job.id);
  }

  private enqueueIfReady(job: ModelJob): void {
    // A record that was removed while somebody waited had succeeded: else nobody would wait.
    const isDone = (id: number) => !this.active(id);
    if (job.options.after.every(isDone)) this.enqueue(job);
  }

  private waitFor(job: ModelJob, seconds: number): void {
    if (seconds === 0) {
      this.enqueue(job);
      return;
    }
    job.state = "waiting";
    job.moment = this.steady + seconds;
    job.notBefore = this.wall + seconds;
  }

  private unqueue(job: ModelJob): void {
    this.queue = this.queue.filter((id) => id !== job.id);
  }

  private stop(job: ModelJob): void {
    this.stopped.push(`${job.id}/${job.attempts.length}`);
  }

  private cancelJob(job: ModelJob): void {
    const attempt = job.attempts.at(-1);
    if (attempt?.outcome === null) {
      attempt.outcome = "cancelled";
      this.stop(job);
    }
    this.unqueue(job);
    this.end(job, "cancelled", "cancelled");
  }

  private end(job: ModelJob, state: EndState, cause: string): void {
    job.state = state;
    job.cause = cause;
    job.moment = null;
    job.notBefore = null;
    job.endedAt = this.wall;
    this.ended.push(job.id);
    this.news.push(job);
  }

  /** Those that wait hear what has ended. */
  private spread(): void {
    for (let job = this.news.shift(); job; job = this.news.shift()) {
      const { id, state } = job;
      const waiting = this.jobs
        .filter((other) => this.active(other.id)?.state === "waiting" && other.notBefore === null)
        .filter((other) => other.options.after.includes(id))
        .sort((a, b) => a.waitsSince - b.waitsSince);
      for (const other of waiting) {
        if (state === "succeeded") this.enqueueIfReady(other);
        else this.cancelJob(other);
      }
    }
  }
}
