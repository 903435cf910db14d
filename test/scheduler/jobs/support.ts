/**
 * A book of jobs with everything around it under the test's control: time, what is on disk, and who
 * is to act.
 */

import { type BookOptions, JobBook } from "../../../src/scheduler/jobs/job-book.js";
import type {
  AttemptRecord,
  EndState,
  JobHost,
  JobRecord,
  JobStore,
  Past,
  RestoredJob,
  Submission,
} from "../../../src/scheduler/jobs/types.js";

export type Settings = Omit<BookOptions, "clock" | "store" | "host">;

export const isEnd = (state: string): state is EndState =>
  state === "succeeded" || state === "failed" || state === "cancelled";

const text = new TextEncoder();

/**
 * What is on disk is what was saved when a turn ended: rows are copied then, as a store in another
 * thread would.
 */
export class TestStore implements JobStore {
  jobs = new Map<number, JobRecord>();
  attempts = new Map<string, AttemptRecord>();
  descriptions = new Set<number>();
  private changed = new Set<JobRecord>();
  private changedAttempts = new Set<AttemptRecord>();
  private descriptionChanges = new Map<number, boolean>();
  private lastId = 0;

  nextId(): number {
    return ++this.lastId;
  }

  saveJob(job: JobRecord): void {
    this.changed.add(job);
  }

  saveAttempt(job: JobRecord, attempt: AttemptRecord): void {
    if (job.id !== attempt.job) throw new Error("an attempt of another job");
    this.changedAttempts.add(attempt);
  }

  saveDescription(id: number): void {
    this.descriptionChanges.set(id, true);
  }

  eraseDescription(id: number): void {
    this.descriptionChanges.set(id, false);
  }

  eraseDescriptionsBefore(ended: number): void {
    this.endTurn();
    for (const job of this.jobs.values()) {
      if (job.ended === null || job.ended >= ended) continue;
      job.described = false;
      this.descriptions.delete(job.id);
    }
  }

  removeBefore(ended: number): void {
    this.endTurn();
    for (const job of [...this.jobs.values()]) {
      if (job.ended === null || job.ended >= ended) continue;
      this.jobs.delete(job.id);
      this.descriptions.delete(job.id);
    }
  }

  endTurn(): void {
    for (const job of this.changed) this.jobs.set(job.id, structuredClone(job));
    for (const attempt of this.changedAttempts) {
      this.attempts.set(`${attempt.job}/${attempt.attempt}`, structuredClone(attempt));
    }
    for (const [id, isThere] of this.descriptionChanges) {
      if (isThere) this.descriptions.add(id);
      else this.descriptions.delete(id);
    }
    this.loseTurn();
  }

  /** Whatever was said in this turn was never kept. */
  loseTurn(): void {
    this.changed = new Set();
    this.changedAttempts = new Set();
    this.descriptionChanges = new Map();
  }

  /** A new job could not be kept. */
  drop(id: number): void {
    for (const job of this.changed) if (job.id === id) this.changed.delete(job);
    for (const attempt of this.changedAttempts) {
      if (attempt.job === id) this.changedAttempts.delete(attempt);
    }
    this.descriptionChanges.delete(id);
  }

  /** What is read at a restart. */
  *unfinished(): Generator<RestoredJob> {
    const rows = [...this.jobs.values()].sort((a, b) => a.id - b.id);
    for (const row of rows) {
      if (isEnd(row.state)) continue;
      const attempt = this.attempts.get(`${row.id}/${row.attempts}`);
      yield {
        job: structuredClone(row),
        attempt: attempt?.outcome === null ? structuredClone(attempt) : null,
        past: this.ends(row.options.after),
      };
    }
  }

  private ends(ids: readonly number[]): Map<number, EndState> {
    const ends = new Map<number, EndState>();
    for (const id of ids) {
      const state = this.jobs.get(id)?.state;
      if (state !== undefined && isEnd(state)) ends.set(id, state);
    }
    return ends;
  }
}

/** The world of a book. Whatever the book asks of it that makes no sense is an error. */
export class World {
  wall = 1_000_000;
  steady = 0;
  readonly store = new TestStore();
  /** The queued jobs, in the order in which they came. */
  queue: number[] = [];
  ended: number[] = [];
  stopped: string[] = [];
  /** Clients that were removed. */
  readonly removed = new Set<string>();
  /** What the pool would say: where the next job of a client begins. */
  nextStart = 0;
  book: JobBook;

  constructor(readonly settings: Settings = {}) {
    this.book = this.open();
  }

  private open(): JobBook {
    const host: JobHost = {
      enqueue: (job) => {
        if (this.queue.includes(job.id)) throw new Error(`job ${job.id} is queued already`);
        this.queue.push(job.id);
        return job.start ?? this.nextStart++;
      },
      withdraw: (job) => this.unqueue(job.id),
      stop: (job, attempt) => this.stopped.push(`${job.id}/${attempt.attempt}`),
      isWanted: ({ client }) => !this.removed.has(client),
      ended: (job) => {
        if (this.book.job(job.id)) throw new Error(`job ${job.id} has ended and is still known`);
        this.ended.push(job.id);
      },
    };
    const clock = { wall: () => this.wall, steady: () => this.steady };
    return new JobBook({ clock, store: this.store, host, ...this.settings });
  }

  unqueue(id: number): void {
    if (!this.queue.includes(id)) throw new Error(`job ${id} is not queued`);
    this.queue = this.queue.filter((other) => other !== id);
  }

  /** Submits as the services do: asks the records what the book wants to know. */
  submit(submission: Partial<Submission> = {}) {
    const whole = {
      client: "alice",
      pool: "p",
      description: text.encode("(from x)"),
      ...submission,
    };
    let result = this.book.submit(whole);
    if (result.kind === "ask") {
      result = this.book.submit(whole, {
        keyed: result.key ? this.keyed(whole.client, whole.key ?? "") : null,
        states: this.statesOf(whole.client, result.jobs),
      });
    }
    if (result.kind === "ask") throw new Error("it asks again");
    return result;
  }

  /** The id of a job that must be new. */
  make(submission: Partial<Submission> = {}): number {
    const result = this.submit(submission);
    if (result.kind !== "new") throw new Error(JSON.stringify(result));
    return result.job.id;
  }

  retry(id: number) {
    const record = structuredClone(this.row(id));
    let result = this.book.retry(record);
    if (result.kind === "ask") {
      const states = this.statesOf(record.client, result.jobs);
      result = this.book.retry(record, { states });
    }
    if (result.kind === "ask") throw new Error("it asks again");
    return result;
  }

  private statesOf(client: string, ids: readonly number[]): NonNullable<Past["states"]> {
    return new Map(
      ids.map((id) => {
        const row = this.store.jobs.get(id);
        if (row?.client !== client) return [id, null];
        if (!isEnd(row.state)) throw new Error(`the book asks after job ${id}, which it has`);
        return [id, row.state];
      }),
    );
  }

  private keyed(client: string, key: string): number | null {
    for (const row of this.store.jobs.values()) {
      if (row.client === client && row.key === key) return row.id;
    }
    return null;
  }

  /**
   * Gives a queued job to a worker; to the first in the queue if none is named. Returns the
   * attempt's number.
   */
  offer(worker: string, id = this.queue[0]!, resumes = true): number {
    this.unqueue(id);
    return this.book.offer(id, { worker, resumes, cached: false })!.attempt;
  }

  /** Gives it to a worker, which begins. */
  run(worker: string, id = this.queue[0]!, resumes = true): number {
    const attempt = this.offer(worker, id, resumes);
    if (!this.book.begun(id, attempt)) throw new Error(`job ${id} is not to begin`);
    return attempt;
  }

  /** Lets time go by, in one step, and all happen that is due. */
  pass(seconds: number): void {
    this.store.endTurn();
    this.wall += seconds;
    this.steady += seconds;
    while (this.book.due() <= this.steady) this.book.tick();
  }

  forget(id: number): void {
    this.store.drop(id);
    this.book.forget(id);
  }

  /** The scheduler is killed, and started again. */
  restart({ losing = false } = {}): void {
    if (losing) this.store.loseTurn();
    else this.store.endTurn();
    this.queue = [];
    this.book = this.open();
    const jobs = [...this.store.unfinished()];
    const isAway = ({ attempt }: RestoredJob) => attempt !== null;
    this.book.restore(jobs.filter(isAway));
    const others = jobs.filter((one) => !isAway(one));
    const isWaiting = ({ job }: RestoredJob) => job.state === "waiting";
    this.book.restore(others.filter(isWaiting));
    // In parts that do not begin where others end.
    for (const odd of [1, 0]) {
      this.book.restore(others.filter((one) => !isWaiting(one) && one.job.id % 2 === odd));
    }
    this.book.start();
  }

  /** A job as it is on record, all that was said included. */
  row(id: number): JobRecord {
    this.store.endTurn();
    const row = this.store.jobs.get(id);
    if (!row) throw new Error(`no job ${id}`);
    return row;
  }

  /** How the job's attempts ended, with their workers. */
  attemptsOf(id: number): string[] {
    const { attempts } = this.row(id);
    return Array.from({ length: attempts }, (_, i) => {
      const { worker, outcome } = this.store.attempts.get(`${id}/${i + 1}`)!;
      return `${worker}: ${outcome}`;
    });
  }
}
