/**
 * Workers of our kind and clients for durable jobs. A worker's jobs take no time, or go on until it
 * is closed; it can come back with those that go on, as a worker does that has lost its scheduler.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  BulkQueue,
  DurableJob,
  DurableQueue,
  DurableSubmission,
  Job,
  JobRecords,
  Registration,
} from "../../src/api/index.js";
import { type Capability, type SturdyRef, Vat } from "../../src/rpc/index.js";
import { Capacity } from "../../src/worker/capacity.js";
import { LeaseHolder, type LeaseRun } from "../../src/worker/leases.js";
import { descr, idleService, nullLog, SHORT_LOG } from "./load.js";
import { POOL } from "./process.js";

export const SPEC = "((from busybox) (run (shell true)))";

export interface DurableWorkerOptions {
  /** Requests for jobs that wait at a time; default 1, as a worker has it. */
  readonly requests?: number;
  /** Told when the scheduler has the end of a job on disk. */
  onSettled?(): void;
}

export class DurableWorker {
  /** Jobs that go on. */
  private readonly held: DurableQueue.DurableAssignment[] = [];
  private vat = new Vat();
  private queue!: Capability;

  private constructor(
    private readonly name: string,
    private readonly options: DurableWorkerOptions,
  ) {}

  static async connect(
    ref: SturdyRef,
    name: string,
    options: DurableWorkerOptions = {},
  ): Promise<DurableWorker> {
    const worker = new DurableWorker(name, options);
    await worker.register(ref);
    return worker;
  }

  /** Takes jobs, durable or not, and is done with each at once, until it is closed. */
  async work(): Promise<void> {
    const { onSettled, requests = 1 } = this.options;
    const lane = async () => {
      for (;;) {
        const job = durableJob(async () => SUCCEEDED, onSettled);
        const { descr } = await DurableQueue.pop(this.queue, job);
        descr.release();
      }
    };
    await Promise.all(Array.from({ length: requests }, lane));
  }

  /**
   * Takes many durable jobs at a time until it is closed, as our workers do it, but that nothing is
   * written down. It is done with each at once, or when a process has run for it.
   *
   * @param processes `run`, for each job, and how many at a time
   */
  async workInBulk(processes?: { readonly run: string; readonly atATime: number }): Promise<void> {
    const { queue } = this;
    const capacity = new Capacity(processes?.atATime ?? 1);
    const result = { ...SUCCEEDED, seconds: 0, log: Buffer.alloc(64, "x") };
    const done = Promise.resolve(result);
    const run: LeaseRun = {
      ended: done,
      capability: () => durableJob(async () => SUCCEEDED),
      settled: () => this.options.onSettled?.(),
      giveUp: () => {},
    };
    const leases = new LeaseHolder({
      queue,
      capacity,
      run: (_assignment, _client, descr) => {
        descr.release();
        if (!processes) return run;
        capacity.take(1);
        const ended = once(spawn(processes.run, { stdio: "ignore" }), "exit").then(() => {
          capacity.giveBack(1);
          return result;
        });
        return { ...run, ended };
      },
    });
    const never = new AbortController().signal;
    for (;;) {
      await leases.whenHungry(never);
      const taken = await BulkQueue.take(
        queue,
        durableJob(async () => SUCCEEDED),
        leases.wish,
      );
      if (taken.kind === "attached") taken.descr.release();
      else leases.accept(taken);
    }
  }

  /** Takes so many durable jobs, which go on until it is closed. */
  async hold(count: number): Promise<void> {
    const one = async () => {
      const { assignment, descr } = await DurableQueue.pop(
        this.queue,
        durableJob(() => never),
      );
      descr.release();
      this.held.push(assignment!);
    };
    await Promise.all(Array.from({ length: count }, one));
  }

  /**
   * Comes back, after its connection was lost, with the jobs that go on. Resolves when the
   * scheduler has them again.
   */
  async comeBack(ref: SturdyRef): Promise<void> {
    await this.close();
    this.vat = new Vat();
    await this.register(ref);
    const resume = async ({ attempt, book, job }: DurableQueue.DurableAssignment) => {
      const run = durableJob(() => never);
      const held = { book, job, attempt, state: "running", run } as const;
      const verdict = await DurableQueue.resume(this.queue, held);
      if (verdict !== "goOn") throw new Error(`Job ${job} is not wanted any more`);
    };
    await Promise.all(this.held.map(resume));
  }

  async close(): Promise<void> {
    this.queue.release();
    await this.vat.close();
  }

  private async register(ref: SturdyRef): Promise<void> {
    using registration = await this.vat.import(ref);
    const worker = idleService();
    this.queue = Registration.register(registration, { name: this.name, capacity: 1, worker });
    await this.queue.whenResolved();
  }
}

export class DurableClient {
  private constructor(
    private readonly vat: Vat,
    readonly submission: Capability,
  ) {}

  static async connect(ref: SturdyRef): Promise<DurableClient> {
    const vat = new Vat();
    const submission = await vat.import(ref);
    await submission.whenResolved();
    return new DurableClient(vat, submission);
  }

  /** Resolves to the job's number when it is on disk. */
  async submit(hint = ""): Promise<number> {
    const options = DurableSubmission.DEFAULT_DURABLE_OPTIONS;
    const job = { pool: POOL, descr: descr(SPEC, hint), options };
    return (await DurableSubmission.submit(this.submission, job)).job;
  }

  /**
   * Submits a job, reads its log to the end, and waits for its record to say that it has succeeded.
   */
  async run(): Promise<void> {
    const job = await this.submit();
    let start = 0;
    for (;;) {
      const range = { job, attempt: 0, start, follow: true };
      const { data, next } = await JobRecords.log(this.submission, range);
      if (data.length === 0) break;
      start = next;
    }
    const { state } = await JobRecords.get(this.submission, job);
    if (state !== "succeeded") throw new Error(`Job ${job} is ${state}`);
  }

  async close(): Promise<void> {
    this.submission.release();
    await this.vat.close();
  }
}

const SUCCEEDED: DurableJob.AttemptOutcome = {
  cause: "succeeded",
  output: "",
  reason: "",
  logSize: SHORT_LOG.chunk * SHORT_LOG.chunks,
};

const never = new Promise<never>(() => {});

/** One that has begun at once. Its log is there; that of one which goes on is empty so far. */
function durableJob(
  outcome: () => Promise<DurableJob.AttemptOutcome>,
  settled: () => void = () => {},
): Capability {
  const log = nullLog(SHORT_LOG);
  return Job.local(
    {
      log: (start) => outcome().then(() => log(start)),
      result: async () => (await outcome()).output,
      cancel: () => {},
    },
    DurableJob.durableJobMethods({ begun: async () => {}, outcome, settled }),
  );
}
