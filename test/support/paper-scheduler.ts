/**
 * A scheduler that has durable jobs on paper alone: what becomes of them, and what they print, is
 * the test's to say. It can go away and come back. Clients reach it over loopback, as they do a
 * real one.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Admin,
  DurableSubmission,
  type JobDescr,
  JobRecords,
  readJobDescr,
  Submission,
} from "../../src/api/index.js";
import { deferred } from "../../src/async/index.js";
import {
  brokenCapability,
  type Capability,
  Identity,
  RpcError,
  type SturdyRef,
  Vat,
  writeCapFile,
} from "../../src/rpc/index.js";
import { freePort } from "./programs.js";

type Record = JobRecords.JobRecord;

/** Of the first job's submission. Each further one is a second later. */
export const BEGINNING = Date.UTC(2026, 10, 30, 18, 0, 0) / 1000;

export class PaperJob {
  private readonly logs: string[] = [];
  private changed = deferred<void>();

  constructor(
    public record: Record,
    readonly descr: JobDescr | null,
  ) {}

  /** The stream of files that is kept of it. */
  outputs: Uint8Array = new Uint8Array();

  change(patch: Partial<Record>): void {
    this.record = { ...this.record, ...patch, revision: this.record.revision + 1 };
    this.wake();
  }

  /** A worker begins a further attempt. */
  begin(worker: string): void {
    const now = this.record.submitted + 10 * (this.record.attempts.length + 1);
    const attempt = {
      ...{ attempt: this.record.attempts.length + 1, worker, offered: now, started: now },
      ...{ ended: null, outcome: null, reason: "", logSize: 0, outOfTouch: false, outputSize: 0 },
    };
    this.logs.push("");
    const attempts = [...this.record.attempts, attempt];
    this.change({ state: "running", started: this.record.started ?? now, attempts });
  }

  print(text: string): void {
    this.logs[this.logs.length - 1] += text;
    this.wake();
  }

  /** The scheduler was killed before this had come to its disk. */
  unprint(bytes: number): void {
    this.logs[this.logs.length - 1] = this.logs.at(-1)!.slice(0, -bytes);
  }

  /** The attempt is over, and the job has this state, after five seconds. */
  end(outcome: JobRecords.Cause, state: JobRecords.JobState, reason = "", output = ""): void {
    const last = this.record.attempts.at(-1)!;
    const ended = last.started! + 5;
    const logSize = Buffer.byteLength(this.logs.at(-1)!);
    const attempts = this.record.attempts.with(-1, { ...last, ended, outcome, reason, logSize });
    const isEnd = state === "succeeded" || state === "failed" || state === "cancelled";
    const end = isEnd ? { ended, cause: outcome, reason, output } : {};
    this.change({ state, attempts, ...end });
  }

  async next(signal: AbortSignal): Promise<void> {
    const { promise } = this.changed;
    const aborted = deferred<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    await Promise.race([promise, aborted.promise]);
  }

  /** As bytes, an attempt's log, and whether it is whole. */
  log(attempt: number): { readonly data: Buffer; readonly isWhole: boolean } {
    const isWhole = this.record.attempts[attempt - 1]?.outcome !== null;
    return { data: Buffer.from(this.logs[attempt - 1] ?? ""), isWhole };
  }

  private wake(): void {
    const { changed } = this;
    this.changed = deferred();
    changed.resolve();
  }
}

export class PaperScheduler {
  /** By number, from 1. */
  readonly jobs = new Map<number, PaperJob>();
  /** What was listed, and what of whose use was asked for. */
  readonly asked: unknown[] = [];
  usage: JobRecords.ClientUsage[] = [];
  /** Bytes of a log that go into one answer. */
  chunk = 7;
  /** Instead of an answer to a submit. */
  refusal: RpcError | null = null;
  private vat: Vat | undefined;
  private submitted = deferred<void>();

  private constructor(
    readonly dir: string,
    private readonly port: number,
    private readonly identity: Identity,
  ) {}

  /**
   * With capability files `submission.cap`, `admin.cap` and, of a scheduler without durable jobs,
   * `plain.cap` in `dir`.
   */
  static async start(): Promise<PaperScheduler> {
    const dir = mkdtempSync(join(tmpdir(), "ocluster-paper-"));
    const scheduler = new PaperScheduler(dir, await freePort(), Identity.ephemeral());
    await scheduler.comeBack();
    return scheduler;
  }

  /** Hangs up, and is not there any more. */
  async leave(): Promise<void> {
    await this.vat?.close();
    this.vat = undefined;
  }

  async comeBack(): Promise<void> {
    const vat: Vat = new Vat({
      identity: this.identity,
      restore: (id): Capability => this.service(Buffer.from(id).toString(), ref),
    });
    const listener = await vat.listen(
      { kind: "tcp", host: "127.0.0.1", port: this.port },
      { tls: true },
    );
    const ref = (name: string): SturdyRef => vat.sturdyRef(listener, Buffer.from(name));
    for (const name of ["submission", "admin", "plain"]) {
      writeCapFile(join(this.dir, `${name}.cap`), ref(name));
    }
    this.vat = vat;
  }

  async stop(): Promise<void> {
    await this.leave();
    rmSync(this.dir, { recursive: true });
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.dir, name), text);
  }

  add(patch: Partial<Record> = {}, descr: JobDescr | null = null): PaperJob {
    const job = this.jobs.size + 1;
    const record: Record = {
      ...{ job, client: "alice", pool: "cpu", attached: false, hint: "", batch: "", urgent: false },
      ...{ submitted: BEGINNING + job, started: null, ended: null, state: "queued", cause: null },
      ...{ reason: "", output: "", options: DurableSubmission.DEFAULT_DURABLE_OPTIONS },
      ...{ attempts: [], retriable: false, revision: 1 },
      ...patch,
    };
    const added = new PaperJob(record, descr);
    this.jobs.set(job, added);
    const { submitted } = this;
    this.submitted = deferred();
    submitted.resolve();
    return added;
  }

  /** The job with this number, as soon as there is one. */
  async job(number: number): Promise<PaperJob> {
    for (;;) {
      const job = this.jobs.get(number);
      if (job) return job;
      await this.submitted.promise;
    }
  }

  private service(name: string, ref: (name: string) => SturdyRef): Capability {
    const records = JobRecords.jobRecordsMethods(this.records());
    const durable = DurableSubmission.durableSubmissionMethods({
      submitDurable: (job) => this.submit(job),
    });
    const submission = {
      submit: () => brokenCapability(new RpcError("failed", "No attached jobs here")),
      save: () => ref(name),
    };
    if (name === "submission") return Submission.local(submission, [...durable, ...records]);
    if (name === "plain") return Submission.local(submission);
    return Admin.local(
      {
        pools: () => ["cpu"],
        pool: () => brokenCapability(new RpcError("failed", "No such pool")),
        addClient: () => brokenCapability(new RpcError("failed", "Full")),
        removeClient: () => {},
        listClients: () => [],
      },
      records,
    );
  }

  private async submit({
    descr,
    options,
    pool,
    urgent,
  }: DurableSubmission.SubmittedDurableJob): Promise<DurableSubmission.DurableSubmitted> {
    const read = readJobDescr(descr);
    descr.release();
    if (this.refusal) throw this.refusal;
    const { key } = options;
    const known = [...this.jobs.values()].find(({ record }) => record.options.key === key);
    if (key !== "" && known) return { job: known.record.job, known: true };
    const added = this.add({ pool, urgent, options, hint: read.cacheHint }, read);
    return { job: added.record.job, known: false };
  }

  private records(): JobRecords.JobRecordsService {
    const find = (job: number): PaperJob => {
      const found = this.jobs.get(job);
      if (!found) throw new RpcError("failed", `There is no job ${job}.`);
      return found;
    };
    return {
      list: async (filter, cursor, limit) => {
        this.asked.push(filter);
        const all = [...this.jobs.values()].map(({ record }) => record).reverse();
        const start = Number(cursor);
        // Fewer than were asked for, as a scheduler may do.
        const end = start + Math.min(limit, 3);
        return { jobs: all.slice(start, end), cursor: end < all.length ? String(end) : "" };
      },
      get: async (job, revision, signal) => {
        const found = find(job);
        while (found.record.revision === revision) await found.next(signal);
        return found.record;
      },
      log: async ({ attempt, follow, job, start }, signal) => {
        const found = find(job);
        const number = attempt || found.record.attempts.length;
        for (;;) {
          const { data, isWhole } = found.log(number);
          const at = start < 0 ? Math.max(0, data.length + start) : start;
          if (isWhole && at > data.length) {
            throw new RpcError("failed", "Start value out of range!");
          }
          if (at < data.length || !follow || isWhole) {
            const part = data.subarray(at, at + this.chunk);
            return { data: part, next: at + part.length, attempt: number };
          }
          await found.next(signal);
        }
      },
      cancelJob: async (job) => {
        const found = find(job);
        if (found.record.ended === null) {
          found.change({ state: "cancelled", cause: "cancelled", ended: BEGINNING + 60 });
        }
      },
      retry: async (job) => {
        const found = find(job);
        if (found.record.ended === null) throw new RpcError("failed", `Job ${job} has not ended.`);
        found.change({ state: "queued", cause: null, ended: null, reason: "" });
      },
      usage: async (since, until) => {
        this.asked.push({ since, until });
        return this.usage;
      },
      outputs: async (job, attempt) => {
        const stream = find(job).outputs;
        return { attempt: attempt || 1, size: stream.length };
      },
      readOutputs: async ({ job, limit, start }) => {
        return find(job).outputs.subarray(start, start + limit);
      },
    };
  }
}
