/** A worker that takes many jobs at a time, over the network, and does what a test says. */
import { type Batches, BulkQueue, DurableQueue, readJobDescr } from "../../src/api/index.js";
import { type Network, TestJob, type TestWorker, type TestWorkerOptions } from "./network.js";

/** A lease as its worker has it. */
export interface TestLease extends BulkQueue.LeaseId {
  readonly client: string;
  readonly spec: string;
  readonly hint: string;
  readonly isRow: boolean;
  readonly book: Uint8Array;
}

const SUCCEEDED = { cause: "succeeded", begun: true, seconds: 0, output: "", reason: "" } as const;

export class BulkWorker {
  private readonly templates = new Map<number, Batches.NewBatch>();
  /** How many templates it was sent. */
  sent = 0;

  private constructor(readonly worker: TestWorker) {}

  static async connect(
    network: Network,
    name: string,
    options: TestWorkerOptions = {},
  ): Promise<BulkWorker> {
    return new BulkWorker(await network.worker(name, options));
  }

  /** Waits for jobs, at most so many; they are to be durable ones. */
  async take(room: number, ahead = 0, signal?: AbortSignal): Promise<TestLease[]> {
    const wish = { room, ahead, templates: [...this.templates.keys()] };
    const taken = await this.takeAny(wish, signal);
    if (taken.kind === "attached") throw new Error("it is an attached job");
    for (const template of taken.templates) {
      this.sent++;
      this.templates.set(template.batch, BulkQueue.unpackTemplate(template));
    }
    return taken.leases.map(({ attempt, client, content, job }) => {
      const batch = "batch" in content ? this.templates.get(content.batch) : undefined;
      using descr = BulkQueue.describe(content, batch ?? null);
      const { action, cacheHint: hint } = readJobDescr(descr);
      const spec = action.kind === "obuilder" ? action.spec : "";
      return { job, attempt, client, spec, hint, isRow: "batch" in content, book: taken.book };
    });
  }

  /** The `Job` that it offers is of no use for leases. */
  takeAny(wish: BulkQueue.LeaseWish, signal?: AbortSignal): Promise<BulkQueue.Taken> {
    const offered = new TestJob();
    offered.output.resolve("attached");
    return BulkQueue.take(this.worker.queue, offered.capability(), wish, { signal });
  }

  /** Says that these have ended, well if nothing else is said. */
  end(
    leases: readonly BulkQueue.LeaseId[],
    how: Partial<BulkQueue.LeaseEnd> = {},
  ): Promise<readonly number[]> {
    const ends = leases.map(({ attempt, job }) => ({
      ...{ ...SUCCEEDED, job, attempt, log: Buffer.from(`log of ${job}\n`) },
      ...how,
    }));
    return BulkQueue.ended(this.worker.queue, ends);
  }

  /** Gives these back as they came. */
  giveBack(leases: readonly BulkQueue.LeaseId[]): Promise<readonly number[]> {
    const reason = "other jobs came first";
    return this.end(leases, { cause: "evicted", begun: false, reason, log: Buffer.alloc(0) });
  }

  /** Says that it goes on; resolves to what the scheduler says, and the job. */
  async begin(lease: BulkQueue.LeaseId): Promise<{ verdict: DurableQueue.Verdict; job: TestJob }> {
    const job = new TestJob();
    job.begun.resolve();
    const verdict = await BulkQueue.begun(this.worker.queue, lease, job.capability());
    return { verdict, job };
  }

  /** Says that it has a lease of an earlier connection. */
  async resume(
    { attempt, book, job: number }: TestLease,
    state: DurableQueue.HeldAttempt["state"],
  ): Promise<{ verdict: DurableQueue.Verdict; job: TestJob }> {
    const job = new TestJob();
    job.begun.resolve();
    const run = state === "crashed" ? null : job.capability();
    const held = { book, job: number, attempt, state, run };
    return { verdict: await DurableQueue.resume(this.worker.queue, held), job };
  }

  disconnect(): Promise<void> {
    return this.worker.disconnect();
  }
}
