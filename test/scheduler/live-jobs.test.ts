/**
 * Jobs that have not ended, attached and durable: what an administrator is told of them, how they
 * are cancelled, and what is logged.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Job, JobRecords, LiveJobs } from "../../src/api/index.js";
import { type Capability, RpcError } from "../../src/rpc/index.js";
import { Network, type TestClient } from "./network.js";

let directory: string;
let network: Network;
let pool: Capability;
let alice: TestClient;
let bob: TestClient;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-live-"));
  network = await Network.start({ durable: directory });
  pool = await network.poolAdmin();
  alice = await network.client("alice");
  bob = await network.client("bob");
});

afterEach(async () => {
  await network.stop();
  rmSync(directory, { recursive: true });
});

const running = async (filter: LiveJobs.LiveFilter = {}) =>
  (await LiveJobs.list(pool, { ...filter, states: ["running"] })).jobs;

describe("running jobs", () => {
  it("are told with worker, start and last output, whatever their kind", async () => {
    const worker = await network.worker("w1");
    const before = Date.now() / 1000;
    const attached = alice.submit("one", { hint: "web" });
    const job = await worker.pop();
    expect(await running()).toMatchObject([
      {
        ...{ client: "alice", attached: true, hint: "web", state: "running" },
        run: { attempt: 1, worker: "w1", lastOutput: null, outOfTouch: false },
      },
    ]);
    // What its client reads has passed by here.
    job.print("hey\n");
    expect(Buffer.from((await Job.log(attached.job, 0)).data).toString()).toBe("hey\n");
    const [heard] = await running();
    expect(heard!.run!.started).toBeGreaterThanOrEqual(before);
    expect(heard!.run!.lastOutput).toBeGreaterThanOrEqual(heard!.run!.started);

    const id = await bob.submitDurable("two", { name: "nightly" });
    const durable = await worker.popDurable();
    durable.begun.resolve();
    durable.print("building\n");
    const lastOutput = async () => (await running({ client: "bob" }))[0]?.run?.lastOutput ?? 0;
    await expect.poll(lastOutput).toBeGreaterThanOrEqual(before);
    expect(await running({ worker: "w1" })).toHaveLength(2);
    expect(await running({ worker: "w2" })).toEqual([]);
    expect(await running({ hint: "web" })).toMatchObject([{ client: "alice" }]);
    expect(await running({ client: "bob" })).toMatchObject([{ job: id, name: "nightly" }]);

    job.output.resolve("");
    durable.end("succeeded");
    await expect.poll(running).toEqual([]);
    attached.release();
  });
});

describe("cancelling", () => {
  it("takes all that fit, queued and running, and tells what they were", async () => {
    const worker = await network.worker("w1");
    const [runs, waits] = [alice.submit("one", { hint: "a" }), alice.submit("two", { hint: "a" })];
    const other = bob.submit("three", { hint: "a" });
    const job = await worker.pop();
    await Promise.all([waits.queued(), other.queued()]);
    const id = await alice.submitDurable("four", { hint: "a" });
    const after = await alice.submitDurable("five", { hint: "a", after: [id] });
    const filter = { client: "alice", hint: "a" };

    const dry = await LiveJobs.list(pool, filter);
    expect(dry.total).toBe(4);
    expect(dry.jobs.map(({ state }) => state).sort()).toEqual([
      ...["queued", "queued", "running", "waiting"],
    ]);
    expect(await LiveJobs.list(pool, filter, { limit: 1 })).toMatchObject({
      total: 4,
      jobs: [expect.anything()],
    });

    const cancelled = await LiveJobs.cancel(pool, filter);
    expect(cancelled.total).toBe(4);
    await expect(waits.result).rejects.toEqual(
      new RpcError("failed", "Ticket cancelled by an administrator"),
    );
    await job.cancelled.promise;
    job.output.reject(new RpcError("failed", "Build cancelled"));
    expect(await alice.ended(id)).toMatchObject({
      state: "cancelled",
      reason: "Cancelled by an administrator.",
    });
    expect(await alice.ended(after)).toMatchObject({ state: "cancelled" });
    await expect.poll(async () => (await LiveJobs.list(pool, {})).jobs).toHaveLength(1);
    expect(await LiveJobs.list(pool, {})).toMatchObject({ jobs: [{ client: "bob" }] });
    for (const each of [runs, waits, other]) each.release();
  });

  it("of a worker's jobs leaves alone what is queued", async () => {
    const worker = await network.worker("w1");
    const [first, second] = [alice.submit("one"), alice.submit("two")];
    const job = await worker.pop();
    await second.queued();
    expect(await LiveJobs.cancel(pool, { worker: "w1" })).toMatchObject({ total: 1 });
    await job.cancelled.promise;
    expect(await LiveJobs.list(pool, { states: ["queued"] })).toMatchObject({ total: 1 });
    job.output.reject(new RpcError("failed", "Build cancelled"));
    for (const each of [first, second]) each.release();
  });

  it("by number ends attached jobs, too, of nobody but their client or for an administrator", async () => {
    const worker = await network.worker("w1");
    const admin = await network.admin();
    const [runs, waits] = [alice.submit("one"), alice.submit("two")];
    const job = await worker.pop();
    await waits.queued();
    const [queued] = (await LiveJobs.list(pool, { states: ["queued"] })).jobs;
    const [started] = await running();
    await expect(JobRecords.cancel(bob.submission, queued!.job)).rejects.toThrow("You have no job");
    await JobRecords.cancel(alice.submission, queued!.job);
    await expect(waits.result).rejects.toThrow("Ticket cancelled by its client");
    await JobRecords.cancel(admin, started!.job);
    await job.cancelled.promise;
    job.output.reject(new RpcError("failed", "Build cancelled"));
    const ended = () => JobRecords.get(admin, started!.job).catch(() => null);
    await expect.poll(ended).toMatchObject({ attached: true, state: "cancelled" });
    for (const each of [runs, waits]) each.release();
  });
});

describe("the log", () => {
  it("has one line for each job that has ended, with all that is known of it", async () => {
    const worker = await network.worker("w1");
    const good = alice.submit("one", { hint: "web" });
    (await worker.pop()).output.resolve("");
    await good.result;
    const bad = bob.submit("two");
    (await worker.pop()).output.reject(new RpcError("failed", "Build failed"));
    await expect(bad.result).rejects.toThrow("Build failed");
    const gone = alice.submit("three");
    await gone.queued();
    gone.release();
    await expect.poll(() => network.jobLines.length).toBe(3);
    const id = await bob.submitDurable("four", { retries: 1 });
    for (const cause of ["failed", "succeeded"] as const) {
      const job = await worker.popDurable();
      job.begun.resolve();
      job.end(cause, { reason: cause === "failed" ? "no" : "" });
      await job.settled.promise;
    }
    expect(network.jobLines.map(({ text }) => text.replace(/\d+\.\ds/g, "0.0s"))).toEqual([
      'Job 1 of "alice" in "pool", hint "web": succeeded on "w1" after 0.0s (waited 0.0s)',
      'Job 2 of "bob" in "pool": failed on "w1" after 0.0s (waited 0.0s): Build failed',
      'Job 3 of "alice" in "pool": cancelled (waited 0.0s): Ticket released (cancelled)',
      'Job 4 of "bob" in "pool": succeeded on "w1" after 0.0s (waited 0.0s, 2 attempts)',
    ]);
    expect(network.jobLines.map(({ fields }) => fields)).toMatchObject([
      {
        ...{ job: 1, kind: "attached", client: "alice", pool: "pool", hint: "web", worker: "w1" },
        ...{ wait: expect.any(Number), duration: expect.any(Number), attempts: 1 },
        ...{ outcome: "succeeded", reason: null },
      },
      { job: 2, outcome: "failed", reason: "Build failed", hint: null },
      { job: 3, outcome: "cancelled", worker: null, duration: null, attempts: 0 },
      { job: id, kind: "durable", outcome: "succeeded", worker: "w1", attempts: 2 },
    ]);
    for (const each of [good, bad]) each.release();
  });
});
