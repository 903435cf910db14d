/**
 * Null workers and the clients that keep them busy. A null job takes no time: its result is there
 * when it starts, and its log as soon as somebody asks for it.
 */
import {
  Job,
  type JobDescr,
  Queue,
  Registration,
  readJobDescr,
  Submission,
  Ticket,
  Worker,
} from "../../src/api/index.js";
import { type Capability, type SturdyRef, Vat } from "../../src/rpc/index.js";
import { POOL } from "./process.js";

/** What a job's log is made of. */
export interface NullLog {
  /** Bytes of each chunk. */
  readonly chunk: number;
  readonly chunks: number;
}

type JobLog = (start: number) => Job.LogChunk;

export const SHORT_LOG: NullLog = { chunk: 64, chunks: 1 };

export function nullLog({ chunk, chunks }: NullLog): JobLog {
  const data = Buffer.alloc(chunk, "x");
  return (start) =>
    start >= chunk * chunks
      ? { data: data.subarray(0, 0), next: start }
      : { data, next: start + chunk };
}

function nullJob(log: NullLog): Capability {
  return Job.local({ log: nullLog(log), result: async () => "", cancel: () => {} });
}

export interface NullWorkerOptions {
  readonly capacity?: number;
  readonly log?: NullLog;
  /** Told when a job arrives, and what stands in its spec. */
  onJob?(spec: string): void;
  /** How many requests for jobs are outstanding. */
  readonly requests?: number;
}

/** A worker that takes jobs until it is closed. */
export class NullWorker {
  private constructor(
    private readonly vat: Vat,
    private readonly queue: Capability,
    private readonly options: NullWorkerOptions,
  ) {}

  static async connect(
    ref: SturdyRef,
    name: string,
    options: NullWorkerOptions = {},
  ): Promise<NullWorker> {
    const vat = new Vat();
    using registration = await vat.import(ref);
    const queue = Registration.register(registration, {
      name,
      capacity: options.capacity ?? 1,
      worker: idleService(),
    });
    await queue.whenResolved();
    return new NullWorker(vat, queue, options);
  }

  /** Takes jobs until it is closed, or as many as given. */
  async work(jobs = Number.POSITIVE_INFINITY): Promise<void> {
    const { log = SHORT_LOG, onJob, requests = 1 } = this.options;
    let left = jobs;
    const lane = async () => {
      while (left-- > 0) {
        using descr = await Queue.pop(this.queue, nullJob(log));
        if (!onJob) continue;
        const { action } = readJobDescr(descr);
        onJob(action.kind === "obuilder" ? action.spec : "");
      }
    };
    await Promise.all(Array.from({ length: requests }, lane));
  }

  async close(): Promise<void> {
    this.queue.release();
    await this.vat.close();
  }
}

export class NullClient {
  private constructor(
    private readonly vat: Vat,
    private readonly submission: Capability,
  ) {}

  static async connect(ref: SturdyRef): Promise<NullClient> {
    const vat = new Vat();
    const submission = await vat.import(ref);
    await submission.whenResolved();
    return new NullClient(vat, submission);
  }

  /**
   * Submits a job, reads its log to the end and waits for its result. Returns the bytes of the log.
   */
  async run(spec: string, hint = ""): Promise<number> {
    using ticket = this.submit(spec, hint);
    using job = Ticket.job(ticket);
    const result = Job.result(job);
    let bytes = 0;
    for (let start = 0; ; ) {
      const { data, next } = await Job.log(job, start);
      if (data.length === 0) break;
      bytes += data.length;
      start = next;
    }
    await result;
    return bytes;
  }

  /** A ticket for a job, which the caller owns. */
  submit(spec: string, hint = ""): Capability {
    return Submission.submit(this.submission, { pool: POOL, descr: descr(spec, hint) });
  }

  /** Breaks the connection, with all that is held through it. */
  async close(): Promise<void> {
    this.submission.release();
    await this.vat.close();
  }
}

/** A worker's own service; nobody asks it for anything. */
export function idleService(): Capability {
  return Worker.local({
    metrics: async () => ({ contentType: "text/plain", data: "" }),
    additionalMetric: async () => null,
    selfUpdate: async () => {},
  });
}

export function descr(spec: string, cacheHint: string): JobDescr {
  return { action: { kind: "obuilder", spec }, cacheHint, secrets: [] };
}
