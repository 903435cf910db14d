/**
 * A real scheduler, one worker and a client in this process, over TLS on loopback. What the
 * worker's jobs do is up to each test, by handlers of custom jobs.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Message, Text } from "capnp-es";
import { expect } from "vitest";
import { Custom } from "../../src/api/generated/ocluster.js";
import { type JobDescr, PoolAdmin, Submission, Ticket } from "../../src/api/index.js";
import { deferred } from "../../src/async/index.js";
import { type Capability, writeCapFile } from "../../src/rpc/index.js";
import { type CustomJob, Worker, type WorkerOptions } from "../../src/worker/index.js";
import { Network, Submitted, type TestClient } from "../scheduler/network.js";

/** What is submitted: `text` comes with a custom job of the kind `kind`. */
interface Order extends Partial<JobDescr> {
  readonly kind?: string;
  readonly text?: string;
  /** Who submits it, if not the client that is there. */
  readonly by?: TestClient;
}

export class SmallCluster {
  readonly stateDir = mkdtempSync(join(tmpdir(), "ocluster-worker-"));
  private readonly stop = new AbortController();
  /** How the worker ended; "stopped" if it was never started. */
  ended: Promise<"stopped" | "updated"> = Promise.resolve("stopped");

  private constructor(
    readonly network: Network,
    private readonly client: TestClient,
  ) {}

  /** Starts the scheduler, with the client. */
  static async open(): Promise<SmallCluster> {
    const network = await Network.start();
    return new SmallCluster(network, await network.client("alice"));
  }

  stopWorker(): void {
    this.stop.abort();
  }

  /** Ends everything, and checks that the worker has left no file. */
  async close(): Promise<void> {
    this.stopWorker();
    await this.ended;
    expect(readdirSync(join(this.stateDir, "tmp"))).toEqual([]);
    rmSync(this.stateDir, { recursive: true });
    await this.network.stop();
  }

  /** Starts the worker and waits until it is registered. */
  async startWorker(options: Partial<WorkerOptions> = {}): Promise<Worker> {
    const connect = join(this.stateDir, "pool.cap");
    writeCapFile(connect, this.network.ref("pool-pool"));
    const registered = deferred();
    const worker = new Worker({
      connect,
      name: "w1",
      stateDir: this.stateDir,
      onRegistered: () => registered.resolve(),
      ...options,
    });
    this.ended = worker.run(this.stop.signal);
    await Promise.race([registered.promise, this.ended]);
    return worker;
  }

  submit({ kind = "test", text = "", by = this.client, ...descr }: Order = {}): Submitted {
    const root = new Message().initRoot(Custom);
    Text.fromPointer(root.payload).set(0, text);
    const ticket = Submission.submit(by.submission, {
      pool: "pool",
      urgent: false,
      descr: {
        action: { kind: "custom", name: kind, payload: root.payload },
        cacheHint: "",
        secrets: [],
        ...descr,
      },
    });
    return new Submitted(ticket, Ticket.job(ticket));
  }

  /** The worker as administrators reach it; the caller's to release. */
  async remoteWorker(): Promise<Capability> {
    return PoolAdmin.worker(await this.network.poolAdmin(), "w1");
  }
}

/** Waits for a job's end, and gives what its client saw. */
export async function outcome(job: Submitted): Promise<{ log: string; result: string }> {
  const log = await job.log();
  const result = await job.result.catch(String);
  job.release();
  return { log, result };
}

/** A handler whose jobs wait to be told how to end, by what was sent with them. */
export function puppets() {
  const jobs = new Map<string, { job: CustomJob; end: ReturnType<typeof deferred<string>> }>();
  const started = deferred<void>();
  let waiting: { text: string; done: () => void }[] = [];
  const handler = async (job: CustomJob) => {
    const text = Text.fromPointer(job.payload).get(0);
    const end = deferred<string>();
    jobs.set(text, { job, end });
    for (const { done } of waiting.filter((each) => each.text === text)) done();
    waiting = waiting.filter((each) => each.text !== text);
    job.signal.addEventListener("abort", () => end.reject(job.signal.reason));
    started.resolve();
    return end.promise;
  };
  return {
    custom: { test: handler },
    running: () => [...jobs.keys()],
    /** Waits until the job that `text` came with runs. */
    async started(text: string) {
      if (!jobs.has(text)) {
        await new Promise<void>((done) => {
          waiting.push({ text, done });
        });
      }
      return jobs.get(text)!;
    },
    end(text: string) {
      jobs.get(text)!.end.resolve(`${text} is done`);
      jobs.delete(text);
    },
  };
}
