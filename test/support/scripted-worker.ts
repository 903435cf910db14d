/**
 * A worker that does as the test says: it takes a job, writes its log, and says how it ends. It is
 * one as the reference has them, who know nothing of durable jobs.
 */
import {
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

  capability(): Capability {
    this.outcome.promise.catch(() => {});
    return Job.local({
      log: async (start) => {
        while (start >= this.text.length && !this.ended) await this.more.promise;
        const data = this.text.subarray(start);
        return { data, next: start + data.length };
      },
      result: () => this.outcome.promise,
      cancel: () => this.cancelled.resolve(),
      release: () => this.cancelled.resolve(),
    });
  }

  write(text: string | Uint8Array): void {
    this.text = Buffer.concat([this.text, Buffer.from(text)]);
    this.wake();
  }

  succeed(output: string): void {
    this.ended = true;
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

  async close(): Promise<void> {
    this.queue.release();
    await this.vat.close();
  }
}
