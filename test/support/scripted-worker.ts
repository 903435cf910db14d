/**
 * A worker that does as the test says: it takes a job, writes its log, and says how it ends. It is
 * one as the reference has them, who know nothing of durable jobs; or, if jobs are taken with
 * `popDurable`, one of ours.
 */
import {
  DurableJob,
  DurableQueue,
  Job,
  type JobDescr,
  Queue,
  Registration,
  readJobDescr,
  Worker,
} from "../../src/api/index.js";
import { type Deferred, deferred } from "../../src/async/index.js";
import { type Capability, RpcError, readCapFile, Vat } from "../../src/rpc/index.js";

/** A job as the test has it: it writes the log and says how it ends. */
export class ScriptedJob {
  descr!: JobDescr;
  readonly cancelled: Deferred<void> = deferred();
  private text = Buffer.alloc(0);
  private ended = false;
  private readonly outcome: Deferred<string> = deferred();
  private more: Deferred<void> = deferred();
  private readonly cause: Deferred<DurableJob.AttemptOutcome> = deferred();

  /** @param isOurs whether it says why it has ended */
  capability(isOurs = false): Capability {
    this.outcome.promise.catch(() => {});
    const ours = DurableJob.durableJobMethods({
      begun: async () => {},
      outcome: () => this.cause.promise,
      settled: () => {},
    });
    const job: Job.JobService = {
      log: async (start) => {
        while (start >= this.text.length && !this.ended) await this.more.promise;
        const data = this.text.subarray(start);
        return { data, next: start + data.length };
      },
      result: () => this.outcome.promise,
      cancel: () => this.cancelled.resolve(),
      release: () => this.cancelled.resolve(),
    };
    return Job.local(job, isOurs ? ours : []);
  }

  /** How one that was taken with `popDurable` ends, other than well. */
  end(cause: Exclude<DurableJob.AttemptOutcome["cause"], "succeeded">, reason = cause): void {
    this.cause.resolve({ cause, output: "", reason, logSize: this.text.length });
    this.fail(reason);
  }

  write(text: string | Uint8Array): void {
    this.text = Buffer.concat([this.text, Buffer.from(text)]);
    this.wake();
  }

  succeed(output: string): void {
    this.ended = true;
    this.cause.resolve({ cause: "succeeded", output, reason: "", logSize: this.text.length });
    this.outcome.resolve(output);
    this.wake();
  }

  fail(reason: string): void {
    this.ended = true;
    this.outcome.reject(new RpcError("failed", reason));
    this.wake();
  }

  private wake(): void {
    const { more } = this;
    this.more = deferred();
    more.resolve();
  }
}

export class ScriptedWorker {
  private constructor(
    private readonly vat: Vat,
    private readonly queue: Capability,
  ) {}

  /** Registers with the pool of this capability file. */
  static async connect(capFile: string, name = "w1"): Promise<ScriptedWorker> {
    const vat = new Vat();
    using registration = await vat.import(readCapFile(capFile));
    const queue = Registration.register(registration, {
      name,
      capacity: 1,
      worker: Worker.local({
        metrics: async () => ({ contentType: "text/plain", data: "" }),
        additionalMetric: async () => null,
        selfUpdate: async () => {},
      }),
    });
    await queue.whenResolved();
    return new ScriptedWorker(vat, queue);
  }

  async pop(): Promise<ScriptedJob> {
    const job = new ScriptedJob();
    using descr = await Queue.pop(this.queue, job.capability());
    job.descr = readJobDescr(descr);
    return job;
  }

  /** As a worker of ours. */
  async popDurable(): Promise<ScriptedJob> {
    const job = new ScriptedJob();
    using run = job.capability(true);
    const { descr } = await DurableQueue.pop(this.queue, run);
    job.descr = readJobDescr(descr);
    descr.release();
    return job;
  }

  async close(): Promise<void> {
    this.queue.release();
    await this.vat.close();
  }
}
