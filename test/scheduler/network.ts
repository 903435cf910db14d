/**
 * A scheduler with its real services on a real vat, and workers and clients that dial it over
 * loopback. Each peer has a vat of its own, so that its connection can be broken. `stop` checks
 * that no reference was lost on the way.
 */
import { createHash } from "node:crypto";
import { expect } from "vitest";
import {
  Admin,
  DurableJob,
  DurableQueue,
  DurableSubmission,
  Job,
  type JobDescr,
  JobRecords,
  OutputUpload,
  PoolAdmin,
  Queue,
  Registration,
  readJobDescr,
  type Source,
  Submission,
  Ticket,
  Worker,
} from "../../src/api/index.js";
import { deferred } from "../../src/async/index.js";
import type { Fields, Logger } from "../../src/console/log.js";
import {
  type Capability,
  Identity,
  type Listener,
  type LivenessOptions,
  type MethodEntry,
  RpcError,
  SturdyRef,
  Vat,
} from "../../src/rpc/index.js";
import type { EstimateKind } from "../../src/scheduler/pool/estimates.js";
import {
  type ClientLimits,
  DEFAULT_CLIENT_LIMITS,
} from "../../src/scheduler/services/client-limits.js";
import type { PoolEvents } from "../../src/scheduler/services/cluster-pool.js";
import { DurableJobs } from "../../src/scheduler/services/durable-jobs.js";
import {
  DEFAULT_DURABLE_SETTINGS,
  type DurableSettings,
} from "../../src/scheduler/services/durable-settings.js";
import { JobLines } from "../../src/scheduler/services/job-lines.js";
import { Scheduler } from "../../src/scheduler/services/scheduler.js";
import { Store } from "../../src/scheduler/state/store.js";
import { countLeaks } from "../support/leaks.js";

export interface NetworkOptions {
  readonly pools?: readonly string[];
  readonly clientLimits?: Partial<ClientLimits>;
  readonly liveness?: LivenessOptions;
  readonly store?: Store;
  readonly events?: PoolEvents;
  readonly identity?: Identity;
  /** The state directory of durable jobs; without it there are none. */
  readonly durable?: string;
  readonly settings?: Partial<DurableSettings>;
  /** Default: fixed. */
  readonly estimates?: EstimateKind;
  /** Where it listens; 0, the default: on a free one. */
  readonly port?: number;
}

export class Network {
  readonly log: string[] = [];
  readonly finished: string[] = [];
  /** The lines about jobs that have ended, with their fields. */
  readonly jobLines: { readonly text: string; readonly fields: Fields }[] = [];
  private readonly peers: Vat[] = [];
  private readonly owned: Capability[] = [];
  /** Of clients that were added, by id. */
  readonly secrets = new Map<string, Uint8Array>();

  private constructor(
    readonly scheduler: Scheduler,
    readonly vat: Vat,
    private readonly listener: Listener,
    private readonly store: Store,
    private readonly leaksBefore: number,
    private readonly durableJobs: DurableJobs | undefined,
  ) {}

  static async start(options: NetworkOptions = {}): Promise<Network> {
    const {
      identity = Identity.ephemeral(),
      pools = ["pool"],
      store = Store.open(":memory:"),
    } = options;
    const lines: string[] = [];
    const finished: string[] = [];
    const jobLines: Network["jobLines"] = [];
    const endedJobs = new JobLines({
      ...silentLog(),
      info: (text, fields = {}) => void jobLines.push({ text, fields }),
    });
    const clientLimits = { ...DEFAULT_CLIENT_LIMITS, ...options.clientLimits };
    const durable =
      options.durable === undefined
        ? undefined
        : await DurableJobs.open({
            directory: options.durable,
            key: identity.derivedId("job-descriptions"),
            settings: { ...DEFAULT_DURABLE_SETTINGS, ...options.settings },
            clientLimits,
            log: silentLog(lines),
            lines: endedJobs,
          });
    const scheduler: Scheduler = new Scheduler({
      pools,
      store,
      derivedId: (name) => identity.derivedId(name),
      sturdyRef: (id) => vat.sturdyRef(listener, id),
      clientLimits,
      // By default nobody is probed during a test.
      liveness: options.liveness ?? { intervalMs: 1_000_000, timeoutMs: 1_000_000 },
      events: options.events ?? {
        started: () => {},
        finished: (_, outcome) => void finished.push(outcome),
      },
      log: silentLog(lines),
      lines: endedJobs,
      durable,
      estimates: options.estimates,
    });
    await scheduler.start();
    const vat = new Vat({
      identity,
      restore: (id, connection) => scheduler.restore(id, connection),
    });
    const { port = 0 } = options;
    const listener = await vat.listen({ kind: "tcp", host: "127.0.0.1", port }, { tls: true });
    const leaks = await countLeaks();
    const network = new Network(scheduler, vat, listener, store, leaks, durable);
    Object.assign(network, { log: lines, finished, jobLines });
    return network;
  }

  /** Ends everything, and checks that nothing was lost. */
  async stop(): Promise<void> {
    for (const capability of this.owned) capability.release();
    for (const vat of this.peers) await vat.close();
    await this.stopScheduler();
    this.store.close();
    expect((await countLeaks()) - this.leaksBefore).toBe(0);
  }

  /** Ends the scheduler alone: its peers lose their connections. */
  async stopScheduler(): Promise<void> {
    this.durableJobs?.stop();
    await this.vat.close();
    await this.durableJobs?.close();
  }

  get durable(): DurableJobs {
    if (!this.durableJobs) throw new Error("there are no durable jobs here");
    return this.durableJobs;
  }

  /** Has `stop` release it. */
  own(capability: Capability): Capability {
    this.owned.push(capability);
    return capability;
  }

  get port(): number {
    const { address } = this.listener;
    if (address.kind !== "tcp") throw new Error("the scheduler listens on TCP here");
    return address.port;
  }

  /** A sturdy ref of the scheduler to a service with a derived id. */
  ref(name: string): SturdyRef {
    return this.vat.sturdyRef(this.listener, this.vat.identity.derivedId(name));
  }

  /** A sturdy ref of the scheduler to the service with this id. */
  refOf(id: Uint8Array): SturdyRef {
    return this.vat.sturdyRef(this.listener, id);
  }

  /** A new vat, and the service imported into it. */
  async dial(ref: SturdyRef): Promise<{ vat: Vat; service: Capability }> {
    const vat = new Vat();
    this.peers.push(vat);
    return { vat, service: await vat.import(ref) };
  }

  async admin(): Promise<Capability> {
    return this.own((await this.dial(this.ref("admin"))).service);
  }

  async poolAdmin(name = "pool"): Promise<Capability> {
    return this.own(Admin.pool(await this.admin(), name));
  }

  async show(pool = "pool"): Promise<string> {
    return PoolAdmin.show(await this.poolAdmin(pool));
  }

  /** Adds a client and connects it. */
  async client(id: string): Promise<TestClient> {
    const ref = await this.scheduler.addClient(id);
    this.secrets.set(id, ref.id);
    return this.clientOf(ref);
  }

  /** What a removal of a client begins with. */
  removeAccess(id: string): void {
    for (const { hash } of this.store.sturdyRefs.find("ocluster-client", Buffer.from(id))) {
      this.store.sturdyRefs.remove(hash);
    }
  }

  /** Connects a client that was added before, perhaps by a scheduler before this one. */
  known(id: string): Promise<TestClient> {
    return this.clientOf(this.vat.sturdyRef(this.listener, this.secrets.get(id)!));
  }

  async clientOf(ref: SturdyRef): Promise<TestClient> {
    const { vat, service } = await this.dial(ref);
    return new TestClient(vat, this.own(service));
  }

  /** Connects a worker and registers it. */
  async worker(name: string, options: TestWorkerOptions = {}): Promise<TestWorker> {
    const { vat, service } = await this.dial(this.ref(`pool-${options.pool ?? "pool"}`));
    const worker = new TestWorker(vat, name, service, options);
    this.own(worker.queue);
    await worker.queue.whenResolved();
    return worker;
  }

  /** Connects a worker whose registration need not succeed, by way of `port` if given. */
  async unregisteredWorker(name: string, port = this.port): Promise<TestWorker> {
    const { fingerprint, id } = this.ref("pool-pool");
    const via = new SturdyRef({ kind: "tcp", host: "127.0.0.1", port }, fingerprint, id);
    const { vat, service } = await this.dial(via);
    const worker = new TestWorker(vat, name, service, {});
    this.own(worker.queue);
    return worker;
  }
}

/** A log that shows nothing, and writes down what it is told. */
export function silentLog(lines: string[] = []): Logger {
  const put = (message: string) => void lines.push(message);
  return { error: put, warn: put, info: put, debug: put, debugging: false };
}

export interface SubmitOptions {
  readonly pool?: string;
  readonly hint?: string;
  readonly urgent?: boolean;
  readonly source?: Source;
}

/** A job's description; what is in it does not matter to the scheduler. */
export function descr(spec: string, cacheHint = "", source?: Source): JobDescr {
  return { action: { kind: "obuilder", spec }, cacheHint, source, secrets: [] };
}

export class TestClient {
  constructor(
    readonly vat: Vat,
    readonly submission: Capability,
  ) {}

  submit(
    spec: string,
    { pool = "pool", hint = "", urgent = false, source }: SubmitOptions = {},
  ): Submitted {
    const job = { pool, urgent, descr: descr(spec, hint, source) };
    const ticket = Submission.submit(this.submission, job);
    return new Submitted(ticket, Ticket.job(ticket));
  }

  /** Submits a durable job, and returns its number when it is answered. */
  async submitDurable(
    spec: string,
    {
      pool = "pool",
      hint = "",
      urgent = false,
      source,
      ...options
    }: SubmitOptions & Partial<DurableSubmission.DurableOptions> = {},
  ): Promise<number> {
    const { job } = await DurableSubmission.submit(this.submission, {
      pool,
      urgent,
      descr: descr(spec, hint, source),
      options: { ...DurableSubmission.DEFAULT_DURABLE_OPTIONS, ...options },
    });
    return job;
  }

  record(job: number, revision = 0): Promise<JobRecords.JobRecord> {
    return JobRecords.get(this.submission, job, revision);
  }

  /** The record when the job has ended. */
  async ended(job: number): Promise<JobRecords.JobRecord> {
    return untilRecord(this.submission, job, ({ ended }) => ended !== null);
  }

  /** A whole log, of the newest attempt by default. */
  async durableLog(job: number, attempt = 0, follow = true): Promise<string> {
    let text = "";
    for (let start = 0; ; ) {
      const range = { job, attempt, start, follow };
      const { data, next } = await JobRecords.log(this.submission, range);
      if (data.length === 0) return text;
      text += Buffer.from(data).toString();
      start = next;
    }
  }
}

/** Waits until the record of a job is as is wanted. */
export async function untilRecord(
  records: Capability,
  job: number,
  isWanted: (record: JobRecords.JobRecord) => boolean,
): Promise<JobRecords.JobRecord> {
  let record = await JobRecords.get(records, job);
  while (!isWanted(record)) record = await JobRecords.get(records, job, record.revision);
  return record;
}

/** A job as its client holds it. */
export class Submitted {
  readonly result: Promise<string>;

  constructor(
    readonly ticket: Capability,
    readonly job: Capability,
  ) {
    this.result = Job.result(job);
    this.result.catch(() => {});
  }

  /** Fulfilled when the scheduler has the job. */
  async queued(): Promise<void> {
    await this.ticket.whenResolved();
  }

  release(): void {
    this.ticket.release();
    this.job.release();
  }

  async log(): Promise<string> {
    let text = "";
    for (let start = 0; ; ) {
      const { data, next } = await Job.log(this.job, start);
      if (data.length === 0) return text;
      text += Buffer.from(data).toString();
      start = next;
    }
  }
}

export interface TestWorkerOptions {
  readonly pool?: string;
  readonly capacity?: number;
  readonly service?: Partial<Worker.WorkerService>;
  /** More that its `Worker` can do. */
  readonly extensions?: readonly MethodEntry[];
}

export class TestWorker {
  readonly queue: Capability;

  constructor(
    readonly vat: Vat,
    readonly name: string,
    registration: Capability,
    { capacity = 1, extensions, service }: TestWorkerOptions,
  ) {
    this.queue = Registration.register(registration, {
      name,
      capacity,
      worker: Worker.local(
        {
          metrics: async (source) => ({ contentType: "text/plain", data: `${name} ${source}` }),
          additionalMetric: async () => null,
          selfUpdate: async () => {
            throw new RpcError("failed", "cannot");
          },
          ...service,
        },
        extensions,
      ),
    });
    registration.release();
  }

  /** Waits for the next job. */
  async pop(signal?: AbortSignal): Promise<TestJob> {
    const job = new TestJob();
    // It stays here if there is no connection any more.
    using run = job.capability();
    using descr = await Queue.pop(this.queue, run, { signal });
    job.descr = readJobDescr(descr);
    return job;
  }

  /** Waits for the next job, as a worker that knows durable ones. */
  async popDurable(job = new TestJob(), signal?: AbortSignal): Promise<TestJob> {
    using run = job.capability();
    const { assignment, descr } = await DurableQueue.pop(this.queue, run, { signal });
    using _ = descr;
    job.descr = readJobDescr(descr);
    job.assignment = assignment;
    return job;
  }

  /** Says that it has a job from an earlier connection. */
  resume(
    job: TestJob,
    state: DurableQueue.HeldAttempt["state"] = "running",
  ): Promise<DurableQueue.Verdict> {
    const { attempt, book, job: number } = job.assignment!;
    const run = state === "crashed" ? null : job.capability();
    return DurableQueue.resume(this.queue, { attempt, book, job: number, state, run });
  }

  /** Breaks the connection. */
  async disconnect(): Promise<void> {
    this.queue.release();
    await this.vat.close();
  }
}

/** A job as its worker holds it. */
export class TestJob {
  descr!: JobDescr;
  readonly output = deferred<string>();
  /** Fulfilled when the client cancels the job, or nobody holds it any more. */
  readonly cancelled = deferred<"cancel" | "release">();
  /** Of a durable job. */
  assignment: DurableQueue.DurableAssignment | null = null;
  readonly begun = deferred();
  readonly outcome = deferred<DurableJob.AttemptOutcome>();
  readonly settled = deferred();
  text = "";
  /** The stream of files that it hands over. */
  stream = new Uint8Array();
  /** Puts a part of it elsewhere; null: its worker does not know how. */
  put: OutputUpload.OutputUploadService["put"] | null = null;
  /** Called before each part of it is given. */
  beforePart: (start: number) => void | Promise<void> = () => {};
  private isWhole = false;
  private readers: (() => void)[] = [];

  capability(): Capability {
    this.output.promise.catch(() => {});
    this.outcome.promise.catch(() => {});
    const whole = () => this.close();
    this.output.promise.then(whole, whole);
    this.outcome.promise.then(whole, whole);
    const job: Job.JobService = {
      log: (start) => this.page(start),
      result: () => this.output.promise,
      cancel: () => this.cancelled.resolve("cancel"),
      release: () => this.cancelled.resolve("release"),
    };
    const durable: DurableJob.DurableJobService = {
      begun: () => this.begun.promise,
      outcome: () => this.outcome.promise,
      settled: () => this.settled.resolve(),
      readOutputs: async (start, limit) => {
        await this.beforePart(start);
        return this.stream.subarray(start, start + limit);
      },
    };
    const put = this.put;
    return Job.local(job, [
      ...DurableJob.durableJobMethods(durable),
      ...(put ? OutputUpload.outputUploadMethods({ put }) : []),
    ]);
  }

  /** Prints something. */
  print(text: string): void {
    this.text += text;
    for (const wake of this.readers.splice(0)) wake();
  }

  /** Ends it as a worker that knows durable jobs does. */
  end(cause: DurableJob.AttemptOutcome["cause"], { output = "", reason = "" } = {}): void {
    this.begun.resolve();
    const { length: size } = this.stream;
    const sha256 = createHash("sha256").update(this.stream).digest();
    const outputs = size > 0 ? { outputs: { size, sha256 } } : {};
    this.outcome.resolve({ cause, output, reason, logSize: this.text.length, ...outputs });
  }

  /** Says that it cannot run, as a worker that knows durable jobs does, or as one that does not. */
  abandon(reason: RpcError): void {
    this.begun.reject(reason);
    this.outcome.reject(reason);
  }

  private async page(start: number): Promise<Job.LogChunk> {
    if (start > this.text.length) throw new RpcError("failed", "Start value out of range!");
    while (start >= this.text.length && !this.isWhole) {
      await new Promise<void>((resolve) => this.readers.push(resolve));
    }
    const data = Buffer.from(this.text).subarray(start, start + 5);
    return { data, next: start + data.length };
  }

  private close(): void {
    this.isWhole = true;
    for (const wake of this.readers.splice(0)) wake();
  }

  get spec(): string {
    const { action } = this.descr;
    return action.kind === "obuilder" ? action.spec : "";
  }
}
