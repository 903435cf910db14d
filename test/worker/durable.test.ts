/**
 * Durable jobs, from the scheduler's side: a worker keeps what it was given, whatever becomes of
 * connections and of itself.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DurableJob, Job } from "../../src/api/index.js";
import { Backoff } from "../../src/async/index.js";
import { configureLog } from "../../src/console/log.js";
import { JobFailed, Worker, type WorkerOptions } from "../../src/worker/index.js";
import { HeldAttempts } from "../../src/worker/jobs/held-attempts.js";
import { Job as WorkerJob } from "../../src/worker/jobs/job.js";
import { WorkerMetrics } from "../../src/worker/metrics.js";
import { countLeaks } from "../support/leaks.js";
import { LogEntries } from "../support/log-entries.js";
import { DurableScheduler, logOf, settle } from "./durable-scheduler.js";
import { puppets } from "./small-cluster.js";

let scheduler: DurableScheduler;
let stateDir: string;
let leaks: number;
let stops: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  leaks = await countLeaks();
  scheduler = await DurableScheduler.start();
  stateDir = mkdtempSync(join(tmpdir(), "ocluster-durable-"));
  scheduler.writeCap(join(stateDir, "pool.cap"));
  stops = [];
});

afterEach(async () => {
  for (const stop of stops) await stop();
  await scheduler.stop();
  rmSync(stateDir, { recursive: true });
  expect((await countLeaks()) - leaks).toBe(0);
});

/** Starts a worker, which connects again after 20 ms. The result stops it. */
function start(options: Partial<WorkerOptions> = {}) {
  const end = new AbortController();
  const worker = new Worker({
    connect: join(stateDir, "pool.cap"),
    name: "w1",
    stateDir,
    backoff: new Backoff(
      () => performance.now() * 1e9,
      () => 0.02,
    ),
    ...options,
  });
  const running = worker.run(end.signal);
  const stop = () => {
    end.abort();
    return running;
  };
  stops.push(stop);
  return { worker, stop, ended: running };
}

/** What is on disk of attempts, besides the journal. */
const logs = () => readdirSync(join(stateDir, "attempts")).filter((name) => name !== "journal");
const journal = () => readFileSync(join(stateDir, "attempts/journal"), "utf8");

/** Resolves when a job is told to stop. */
const aborted = ({ signal }: { signal: AbortSignal }) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));

describe("an attempt", () => {
  it("is told of in the worker's log with its number and its client, as attached jobs are", async () => {
    using entries = new LogEntries();
    await configureLog({ verbosity: "info", format: "text", color: "never" });
    try {
      const { custom, end, started } = puppets();
      start({ custom });
      await scheduler.give({ text: "a", job: 17, attempt: 2 });
      await started("a");
      end("a");
      await entries.first(/Job 17 \(attempt 2\) succeeded \(of "alice"\)$/);
      await scheduler.give({ text: "b" });
      await started("b");
      end("b");
      await entries.first(/Job succeeded \(job 41 of "alice"\)$/);
      await entries.first(/Build duration: [\d.]+s \(job 41 of "alice"\)$/);
    } finally {
      await configureLog({ verbosity: "warning", format: "text", color: "auto" });
    }
  });

  it("is on disk when it has begun, and until the scheduler has all of it", async () => {
    const { custom, end, started } = puppets();
    const { worker } = start({ custom });
    const run = await scheduler.give({ text: "a", job: 17, attempt: 2 });
    await DurableJob.begun(run);
    expect(journal()).toBe(
      '{"book":"00112233445566778899aabbccddeeff","job":17,"attempt":2,"state":"running"}\n',
    );
    await started("a");
    expect((await worker.metrics.report()).data).toContain("ocluster_worker_durable_attempts 1\n");
    end("a");
    const text = "Building on w1\nJob succeeded\n";
    expect(await DurableJob.outcome(run)).toEqual({
      cause: "succeeded",
      output: "a is done",
      reason: "",
      logSize: text.length,
    });
    expect(journal()).toContain('"state":"ended","ending":{"cause":"succeeded"');
    expect(await logOf(run)).toBe(text);
    await DurableJob.settled(run);
    const { data } = await worker.metrics.report();
    expect(data).toContain("ocluster_worker_durable_attempts 0\n");
    expect(data).toContain('ocluster_worker_durable_ended_total{cause="succeeded"} 1\n');
  });

  it.each<[string, object, Error | string, object]>([
    [
      "a build that fails",
      {},
      new JobFailed("It is broken"),
      { cause: "failed", reason: "It is broken" },
    ],
    [
      "a disk of the worker that is full",
      {},
      Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" }),
      { cause: "no space", reason: "ENOSPC: no space left on device, write" },
    ],
    [
      "one that is the cause of what is said",
      {},
      new JobFailed("The builder stopped", {
        cause: Object.assign(new Error("ENOSPC"), { code: "ENOSPC" }),
      }),
      { cause: "no space", reason: "The builder stopped" },
    ],
    [
      "its time limit",
      { timeout: 0.05 },
      "for ever",
      { cause: "timeout", reason: "Job timed out: it took longer than 0.05 s" },
    ],
  ])("has a cause of its end: %s", async (_what, assignment, failure, expected) => {
    const test: NonNullable<WorkerOptions["custom"]>[string] = async (job) => {
      if (failure instanceof Error) throw failure;
      await aborted(job);
      throw new Error("whatever comes of it");
    };
    start({ custom: { test } });
    const run = await scheduler.give({ text: "a", job: 1, ...assignment });
    await expect(Job.result(run)).rejects.toThrow(/^(Build failed|Internal error)$/);
    expect(await settle(run)).toMatchObject(expected);
  });

  it("is cancelled on demand, and still kept until that is known", async () => {
    const { custom, started } = puppets();
    start({ custom });
    const run = await scheduler.give({ text: "a", job: 1 });
    await started("a");
    await Job.cancel(run);
    expect(await DurableJob.outcome(run)).toMatchObject({ cause: "cancelled" });
    expect(journal()).toContain('"cause":"cancelled"');
    await DurableJob.settled(run);
  });
});

describe("a lost connection", () => {
  it("ends attached jobs, and no durable ones", async () => {
    const { custom, end, started } = puppets();
    start({ custom });
    await scheduler.give({ text: "attached" });
    const durable = await scheduler.give({ text: "durable", job: 5 });
    const attached = await started("attached");
    const { job } = await started("durable");
    await DurableJob.begun(durable);
    job.log.append("before");
    const before = await Job.log(durable, 0);

    scheduler.cut();
    await aborted(attached.job);
    job.log.append("while nobody listened");
    const back = await scheduler.back("5-1");
    expect(scheduler.told).toEqual([[], [{ job: 5, attempt: 1, state: "running" }]]);
    expect(job.signal.aborted).toBe(false);
    await DurableJob.begun(back);
    end("durable");
    expect(await logOf(back, before.next)).toBe("while nobody listened\nJob succeeded\n");
    expect(await settle(back)).toMatchObject({ cause: "succeeded", output: "durable is done" });
    // And it asks for more.
    await scheduler.asked();
  });

  it("is told of before any new job is asked for", async () => {
    const { custom, started } = puppets();
    start({ custom });
    await scheduler.give({ text: "a", job: 5 });
    const { job } = await started("a");
    await scheduler.asked();
    let verdict!: (verdict: "stop") => void;
    const asked = new Promise<void>((resolve) => {
      scheduler.verdict = () => {
        resolve();
        return new Promise((decide) => {
          verdict = decide;
        });
      };
    });
    scheduler.cut();
    await asked;
    const pops = scheduler.asks;
    expect(job.signal.aborted).toBe(false);
    verdict("stop");
    await aborted(job);
    await scheduler.asked();
    expect(scheduler.asks).toBe(pops + 1);
    // What was given up is forgotten: nobody is told of it again.
    scheduler.cut();
    while (scheduler.told.length < 3) await scheduler.event();
    await scheduler.asked();
    expect(scheduler.told[2]).toEqual([]);
  });

  it("is outlived by an end and a long log that came meanwhile", async () => {
    const { custom, end, started } = puppets();
    start({ custom });
    await scheduler.give({ text: "a", job: 5 });
    const { job } = await started("a");
    const comeBack = await scheduler.goAway();
    const line = `${"x".repeat(999)}\n`;
    for (let i = 0; i < 3000; i++) await job.log.write(line);
    end("a");
    while (!journal().includes('"state":"ended"')) await new Promise(setImmediate);
    expect(logs()).toEqual(["5-1-00112233445566778899aabbccddeeff.log"]);
    await comeBack();
    const run = await scheduler.back("5-1");
    expect(scheduler.told[1]).toEqual([{ job: 5, attempt: 1, state: "ended" }]);
    const text = `Building on w1\n${line.repeat(3000)}Job succeeded\n`;
    expect((await logOf(run)) === text).toBe(true);
    expect(await logOf(run, text.length - 5)).toBe("eded\n");
    expect(await settle(run)).toMatchObject({ cause: "succeeded", logSize: text.length });
    while (logs().length > 0) await new Promise(setImmediate);
  });

  it("stops what no scheduler has asked for in time", async () => {
    const { custom, started } = puppets();
    const { worker } = start({ custom });
    await scheduler.give({ text: "a", job: 5, reattach: 0.05 });
    const { job } = await started("a");
    const comeBack = await scheduler.goAway();
    await aborted(job);
    await comeBack();
    await scheduler.asked();
    expect(scheduler.told).toEqual([[], []]);
    expect((await worker.metrics.report()).data).toContain("ocluster_worker_durable_attempts 0\n");
  });

  it("leads to no end when a scheduler comes that knows no durable jobs", async () => {
    const { custom, end, started } = puppets();
    start({ custom });
    await scheduler.give({ text: "a", job: 5 });
    const { job } = await started("a");
    scheduler.isOld = true;
    scheduler.cut();
    await scheduler.give({ text: "b" });
    await started("b");
    scheduler.isOld = false;
    scheduler.cut();
    const back = await scheduler.back("5-1");
    expect(job.signal.aborted).toBe(false);
    end("a");
    expect(await settle(back)).toMatchObject({ cause: "succeeded" });
  });
});

describe("a scheduler without durable jobs", () => {
  it("is asked for what it has", async () => {
    scheduler.isOld = true;
    const { custom, end, started } = puppets();
    start({ custom });
    for (const text of ["a", "b"]) {
      const run = await scheduler.give({ text });
      await started(text);
      end(text);
      expect(await Job.result(run)).toBe(`${text} is done`);
    }
    expect(readdirSync(join(stateDir, "attempts"))).toEqual(["journal"]);
    expect(journal()).toBe("");
  });
});

describe("a worker that ends", () => {
  it("gives durable jobs back, and cancels others", async () => {
    const { custom, started } = puppets();
    const { ended, stop } = start({ custom });
    const attached = await scheduler.give({ text: "attached" });
    const durable = await scheduler.give({ text: "durable", job: 5 });
    await started("attached");
    await started("durable");
    void stop();
    await expect(Job.result(attached)).rejects.toThrow("Build cancelled");
    expect(await settle(durable)).toMatchObject({ cause: "evicted", reason: "Job given back" });
    await ended;
    expect(journal()).toContain('"state":"forgotten"');
    start();
    await scheduler.asked();
    expect(scheduler.told).toEqual([[], []]);
  });

  it("keeps what it cannot tell for its next start", async () => {
    const { custom, started } = puppets();
    const { stop } = start({ custom });
    await scheduler.give({ text: "a", job: 5 });
    await scheduler.give({ text: "b", job: 6 });
    const { job } = await started("a");
    await started("b");
    const line = `${"x".repeat(999)}\n`;
    for (let i = 0; i < 30; i++) job.log.write(line);
    const comeBack = await scheduler.goAway();
    await stop();
    await comeBack();

    start();
    await scheduler.asked();
    expect(scheduler.told[1]).toEqual([
      { job: 5, attempt: 1, state: "ended" },
      { job: 6, attempt: 1, state: "ended" },
    ]);
    const a = await scheduler.back("5-1");
    expect(await logOf(a, 29_000)).toBe(`${line.slice(-15)}${line}Job given back\n`);
    await expect(Job.result(a)).rejects.toThrow("The worker has given the job back");
    expect(await settle(a)).toMatchObject({ cause: "evicted" });
    const b = await scheduler.back("6-1");
    expect(await logOf(b)).toBe("Building on w1\nJob given back\n");
    expect(await settle(b)).toMatchObject({ cause: "evicted" });
    while (logs().length > 0) await new Promise(setImmediate);
  });

  it("finishes durable jobs when it drains, over a lost connection, too", async () => {
    const { custom, end, started } = puppets();
    const { ended, worker } = start({ custom });
    await scheduler.give({ text: "a", job: 5 });
    await started("a");
    worker.drain();
    scheduler.cut();
    const back = await scheduler.back("5-1");
    end("a");
    expect(await settle(back)).toMatchObject({ cause: "succeeded" });
    expect(await ended).toBe("stopped");
  });
});

it("a job whose request is taken back while it is answered is given back", async () => {
  const job = WorkerJob.offered({ directory: tmpdir() });
  const run = job.capability();
  job.withdraw();
  await expect(DurableJob.begun(run)).rejects.toThrow("Job given back");
  expect(await DurableJob.outcome(run)).toMatchObject({ cause: "evicted", logSize: 0 });
  run.release();
});

describe("a job whose connection ends with the answer that assigns it", () => {
  async function runThrough(isDurable: boolean) {
    const metrics = new WorkerMetrics();
    const held = await HeldAttempts.open({ stateDir, metrics, onForgotten: () => {} });
    const job = WorkerJob.offered({ directory: stateDir });
    const run = job.capability();
    run.release();
    await new Promise(setImmediate);
    const assignment = { book: new Uint8Array(16), job: 1, attempt: 1, timeout: 0, reattach: 600 };
    const keeper = isDurable ? held.assign(job, assignment) : undefined;
    const body = async () => {
      job.signal.throwIfAborted();
      return "built";
    };
    const ending = await job.run(body, keeper);
    await held.close();
    return ending;
  }

  it("runs if it is durable, and is cancelled if it is not", async () => {
    expect(await runThrough(true)).toMatchObject({ cause: "succeeded", output: "built" });
    expect(await runThrough(false)).toMatchObject({ cause: "cancelled" });
  });
});
