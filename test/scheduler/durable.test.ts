/** Stories of durable jobs, with simulated workers, old and new, that reach the scheduler over the network. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Admin, JobRecords, PoolMonitor, Ticket } from "../../src/api/index.js";
import { Identity, RpcError } from "../../src/rpc/index.js";
import { logPage } from "../../src/scheduler/services/log-reader.js";
import { Store } from "../../src/scheduler/state/store.js";
import { Network, type NetworkOptions, type TestClient, TestJob, untilRecord } from "./network.js";

let directory: string;
let network: Network;
const identity = Identity.ephemeral();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-durable-"));
});

afterEach(async () => {
  await network.stop();
  rmSync(directory, { recursive: true });
});

async function start(options: NetworkOptions = {}): Promise<Network> {
  const store = Store.open(join(directory, "scheduler.db"));
  network = await Network.start({ durable: directory, store, identity, ...options });
  return network;
}

/** Stops the scheduler, and starts another one on the same state; alice is connected to it. */
async function restart(options: NetworkOptions = {}): Promise<TestClient> {
  const { secrets } = network;
  await network.stop();
  await start(options);
  for (const [id, secret] of secrets) network.secrets.set(id, secret);
  return network.known("alice");
}

/** What is on disk at this moment is all that the next scheduler has. */
async function killAndRestart(): Promise<TestClient> {
  const killed = mkdtempSync(join(tmpdir(), "ocluster-durable-"));
  cpSync(directory, killed, { recursive: true });
  const { secrets } = network;
  await network.stop();
  rmSync(directory, { recursive: true });
  directory = killed;
  await start();
  for (const [id, secret] of secrets) network.secrets.set(id, secret);
  return network.known("alice");
}

/** Waits until the scheduler has so much of the log of the first attempt: that is no change of the record. */
function logged(client: TestClient, job: number, bytes: number): Promise<void> {
  const size = async () => (await client.record(job)).attempts[0]?.logSize;
  return expect.poll(size).toBe(bytes);
}

describe("a durable job", () => {
  it("goes to a worker, and its log and outcome are on record", async () => {
    await start();
    const alice = await network.client("alice");
    const id = await alice.submitDurable("(from busybox)", { hint: "tutorial", name: "first" });
    expect(await alice.record(id)).toMatchObject({ state: "queued", attempts: [] });
    const worker = await network.worker("w1");
    const job = await worker.popDurable();
    expect(job.descr).toMatchObject({
      action: { kind: "obuilder", spec: "(from busybox)" },
      cacheHint: "tutorial",
    });
    expect(job.assignment).toMatchObject({ job: id, attempt: 1, timeout: 0, reattach: 600 });
    job.begun.resolve();
    job.print("Building...\n");
    const log = alice.durableLog(id);
    await untilRecord(alice.submission, id, ({ started }) => started !== null);
    expect(await network.show()).toContain("w1 (0): [] (1 running)");
    job.print("Job succeeded\n");
    job.end("succeeded", { output: "the-layer" });
    expect(await log).toBe("Building...\nJob succeeded\n");
    await job.settled.promise;
    expect(await alice.record(id)).toMatchObject({
      client: "alice",
      pool: "pool",
      hint: "tutorial",
      state: "succeeded",
      output: "the-layer",
      options: { name: "first" },
      attempts: [{ attempt: 1, worker: "w1", outcome: "succeeded", logSize: job.text.length }],
    });
    expect(await alice.durableLog(id)).toBe(job.text);
    await expect.poll(() => network.show()).toContain("w1 (0): [] (0 running)");
    expect(network.finished).toEqual(["ok"]);
  });

  it("has its whole log, also for who asks in the moment when it ends", async () => {
    await start();
    const alice = await network.client("alice");
    const id = await alice.submitDurable("one");
    const job = await (await network.worker("w1")).popDurable();
    job.begun.resolve();
    job.print("Building...\n");
    await logged(alice, id, job.text.length);
    // The record is read before the end, and the log looked for after it.
    const { book, records, spool } = network.durable;
    const read = records.job.bind(records);
    records.job = async (asked) => {
      const before = await read(asked);
      book.ended(id, 1, { outcome: "succeeded", logSize: job.text.length });
      await expect.poll(() => spool.growingLog(id, 1)).toBeUndefined();
      return before;
    };
    const range = { job: id, attempt: 0, start: job.text.length, follow: true };
    expect(await JobRecords.log(alice.submission, range)).toMatchObject({ next: range.start });
    job.end("succeeded");
    await job.settled.promise;
  });

  it("is run by a worker that knows nothing of durable jobs", async () => {
    await start();
    const alice = await network.client("alice");
    const [good, bad] = [await alice.submitDurable("one"), await alice.submitDurable("two")];
    const worker = await network.worker("old");
    const first = await worker.pop();
    first.print("Building\n");
    first.output.resolve("image");
    expect(await alice.ended(good)).toMatchObject({ state: "succeeded", output: "image" });
    expect(await alice.durableLog(good)).toBe("Building\n");
    const second = await worker.pop();
    second.output.reject(new RpcError("failed", "Build failed"));
    expect(await alice.ended(bad)).toMatchObject({
      state: "failed",
      cause: "failed",
      reason: "Build failed",
    });
  });

  it("is tried again when an old worker is lost with it", async () => {
    await start();
    const alice = await network.client("alice");
    const id = await alice.submitDurable("one");
    const old = await network.worker("old");
    const job = await old.pop();
    job.print("half of");
    await logged(alice, id, 7);
    await old.disconnect();
    const next = await (await network.worker("w2")).popDurable();
    expect(next.assignment).toMatchObject({ job: id, attempt: 2 });
    next.end("succeeded");
    const { attempts } = await alice.ended(id);
    expect(attempts.map(({ outcome, worker }) => [worker, outcome])).toEqual([
      ["old", "lost"],
      ["w2", "succeeded"],
    ]);
    expect(await alice.durableLog(id, 1)).toBe("half of");
  });

  it("ends for who reads its log with a record from before its end", async () => {
    await start();
    const alice = await network.client("alice");
    const id = await alice.submitDurable("one");
    const job = await (await network.worker("w1")).popDurable();
    job.begun.resolve();
    job.print("all");
    await logged(alice, id, 3);
    const { durable } = network;
    const before = (await durable.records.job(id))!;
    job.end("succeeded");
    await alice.ended(id);
    const range = { job: id, attempt: 1, start: 3, follow: true };
    const { signal } = new AbortController();
    expect(await logPage(durable, before, range, signal)).toMatchObject({ next: 3, attempt: 1 });
  });

  it("is stopped at its worker when it is cancelled", async () => {
    await start();
    const alice = await network.client("alice");
    const [queued, running] = [await alice.submitDurable("q"), await alice.submitDurable("r")];
    await JobRecords.cancel(alice.submission, queued);
    const job = await (await network.worker("w1")).popDurable();
    expect(job.assignment!.job).toBe(running);
    job.begun.resolve();
    await JobRecords.cancel(alice.submission, running, "not needed");
    expect(await job.cancelled.promise).toBe("cancel");
    expect(await alice.record(queued)).toMatchObject({ state: "cancelled", attempts: [] });
    expect(await alice.record(running)).toMatchObject({
      state: "cancelled",
      reason: "not needed",
      attempts: [{ outcome: "cancelled" }],
    });
    // The worker keeps the attempt until it has been told that nobody wants its outcome.
    job.end("cancelled");
    await job.settled.promise;
  });

  it("is cancelled with its client's removal", async () => {
    await start();
    const alice = await network.client("alice");
    const worker = await network.worker("w1");
    const running = await alice.submitDurable("r");
    const job = await worker.popDurable();
    const queued = await alice.submitDurable("q");
    const admin = await network.admin();
    await Admin.removeClient(admin, "alice");
    expect(await JobRecords.get(admin, queued)).toMatchObject({ state: "cancelled" });
    expect(await JobRecords.get(admin, running)).toMatchObject({ state: "running" });
    await expect(alice.record(queued)).rejects.toThrow("Access has been revoked");
    job.end("succeeded");
    await job.settled.promise;
  });

  it("is not tried again when its client was removed meanwhile", async () => {
    await start();
    const alice = await network.client("alice");
    const id = await alice.submitDurable("r");
    const old = await network.worker("old");
    await old.pop();
    const admin = await network.admin();
    await Admin.removeClient(admin, "alice");
    await old.disconnect();
    const { attempts, reason, state } = await untilRecord(admin, id, ({ ended }) => ended !== null);
    expect(state).toBe("cancelled");
    expect(reason).toContain("client was removed");
    expect(attempts).toMatchObject([{ outcome: "lost" }]);
  });

  it("is explained by its number, in whatever state", async () => {
    await start();
    const alice = await network.client("alice");
    const pool = await network.poolAdmin();
    const explain = (job: number) => PoolMonitor.explain(pool, { kind: "job", job });
    const id = await alice.submitDurable("one", { hint: "h", retries: 1, retryDelay: 60 });
    const next = await alice.submitDurable("two", { after: [id] });
    const noWorkers = { kind: "noWorkers", workers: 0 };
    expect(await explain(id)).toMatchObject({ job: { label: "h" }, obstacles: [noWorkers] });
    const after = { kind: "after", job: id, jobs: 1 };
    expect(await explain(next)).toEqual({ job: null, obstacles: [after] });
    const worker = await network.worker("w1");
    const job = await worker.popDurable();
    expect((await explain(id)).obstacles).toEqual([{ kind: "running", worker: "w1" }]);
    job.end("failed");
    await untilRecord(alice.submission, id, ({ state }) => state === "waiting");
    expect((await explain(id)).obstacles).toMatchObject([{ kind: "pause" }]);
    await JobRecords.cancel(alice.submission, id);
    await expect(explain(id)).rejects.toThrow(`no durable job ${id} that has not ended`);
  });

  it("can be had once for each key", async () => {
    await start();
    const alice = await network.client("alice");
    const ids = await Promise.all([1, 2, 3].map(() => alice.submitDurable("x", { key: "k" })));
    expect(new Set(ids).size).toBe(1);
    expect(await alice.submitDurable("y", { key: "k" })).toBe(ids[0]);
    const bob = await network.client("bob");
    expect(await bob.submitDurable("x", { key: "k" })).not.toBe(ids[0]);
    await expect(bob.record(ids[0]!)).rejects.toThrow(`You have no job ${ids[0]}`);
    await expect(bob.submitDurable("x", { after: [ids[0]!] })).rejects.toThrow(
      `You have no job ${ids[0]}`,
    );
  });
});

describe("a worker of ours", () => {
  it("comes back with its jobs after its connection was lost", async () => {
    await start();
    const alice = await network.client("alice");
    const id = await alice.submitDurable("one");
    const before = await network.worker("w1");
    const job = await before.popDurable();
    job.begun.resolve();
    job.print("first, ");
    await logged(alice, id, 7);
    await before.disconnect();
    await untilRecord(alice.submission, id, ({ attempts }) => attempts[0]!.outOfTouch);
    const log = alice.durableLog(id);
    job.print("second, ");
    const after = await network.worker("w1");
    expect(await after.resume(job)).toBe("goOn");
    job.print("third");
    job.end("succeeded");
    expect(await log).toBe("first, second, third");
    expect((await alice.ended(id)).attempts).toMatchObject([{ outcome: "succeeded" }]);
    await job.settled.promise;
    expect(network.durable.book.counters.resumed).toBe(1);
  });

  it("comes back to a scheduler that was restarted", async () => {
    await start();
    const alice = await network.client("alice");
    const [first, second] = [await alice.submitDurable("one"), await alice.submitDurable("two")];
    const job = await (await network.worker("w1")).popDurable();
    job.begun.resolve();
    job.print("before, ");
    await logged(alice, first, 8);
    const again = await restart();
    expect(await again.record(second)).toMatchObject({ state: "queued" });
    const worker = await network.worker("w1");
    expect(await worker.resume(job)).toBe("goOn");
    job.print("after");
    job.end("failed", { reason: "a test failed" });
    expect(await again.ended(first)).toMatchObject({ state: "failed", reason: "a test failed" });
    expect(await again.durableLog(first)).toBe("before, after");
    const next = await worker.popDurable();
    expect(next.assignment!.job).toBe(second);
    next.end("succeeded");
    await again.ended(second);
  });

  it("that is lost after a restart leaves what is on disk of its log", async () => {
    await start();
    const alice = await network.client("alice");
    const id = await alice.submitDurable("one");
    const job = await (await network.worker("w1")).popDurable();
    job.begun.resolve();
    job.print("begun");
    await logged(alice, id, 5);
    const { submission } = await restart({ settings: { lease: 0.01 } });
    const isLost = ({ attempts }: JobRecords.JobRecord) => attempts[0]!.outcome === "lost";
    await untilRecord(submission, id, isLost);
    const { attempts } = await JobRecords.get(submission, id);
    expect(attempts[0]).toMatchObject({ outcome: "lost", logSize: 5 });
    const range = { job: id, attempt: 1, follow: false };
    const { data, next } = await JobRecords.log(submission, { ...range, start: 0 });
    expect(Buffer.from(data).toString()).toBe("begun");
    expect((await JobRecords.log(submission, { ...range, start: next })).data).toHaveLength(0);
  });

  it("that has lost a job is not waited for", async () => {
    await start();
    const alice = await network.client("alice");
    const ids = [await alice.submitDurable("one"), await alice.submitDurable("two")];
    const before = await network.worker("w1");
    const [crashed] = [await before.popDurable(), await before.popDurable()];
    crashed!.begun.resolve();
    await untilRecord(alice.submission, ids[0]!, ({ started }) => started !== null);
    await before.disconnect();
    await untilRecord(alice.submission, ids[1]!, ({ attempts }) => attempts[0]!.outOfTouch);
    const after = await network.worker("w1");
    expect(await after.resume(crashed!, "crashed")).toBe("stop");
    const next = [await after.popDurable(), await after.popDurable()];
    expect(next.map(({ assignment }) => assignment!.attempt)).toEqual([2, 2]);
    for (const job of next) job.end("succeeded");
    expect((await alice.ended(ids[0]!)).attempts[0]).toMatchObject({ outcome: "crashed" });
    expect((await alice.ended(ids[1]!)).attempts[0]).toMatchObject({ outcome: "evicted" });
  });

  it("is told to stop what was given up meanwhile", async () => {
    await start({ settings: { lease: 0.01 } });
    const alice = await network.client("alice");
    const id = await alice.submitDurable("one");
    const before = await network.worker("w1");
    const job = await before.popDurable();
    job.begun.resolve();
    await untilRecord(alice.submission, id, ({ started }) => started !== null);
    await before.disconnect();
    const other = await (await network.worker("w2")).popDurable();
    expect(other.assignment).toMatchObject({ job: id, attempt: 2 });
    const after = await network.worker("w1");
    expect(await after.resume(job, "ended")).toBe("stop");
    other.end("succeeded");
    const { attempts } = await alice.ended(id);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(["lost", "succeeded"]);
  });

  it("gives jobs back, which is nobody's fault", async () => {
    await start();
    const alice = await network.client("alice");
    const id = await alice.submitDurable("one", { lostRetries: 0 });
    const worker = await network.worker("w1");
    (await worker.popDurable()).end("evicted", { reason: "shutting down" });
    const again = await worker.popDurable();
    again.end("succeeded");
    expect((await alice.ended(id)).attempts).toMatchObject([
      { outcome: "evicted", reason: "shutting down" },
      { outcome: "succeeded" },
    ]);
  });

  it("that cannot begin a job is believed at once", async () => {
    await start();
    const alice = await network.client("alice");
    const id = await alice.submitDurable("one");
    const job = await (await network.worker("w1")).popDurable();
    job.abandon(new RpcError("failed", "unknown kind of job"));
    expect(await alice.ended(id)).toMatchObject({
      state: "failed",
      reason: "unknown kind of job",
      attempts: [{ outcome: "failed" }],
    });
    await expect.poll(() => network.show()).toContain("w1 (0): [] (0 running)");
  });

  it("that asks for durable jobs and does not know them has them given to others", async () => {
    await start();
    const alice = await network.client("alice");
    const id = await alice.submitDurable("one");
    const odd = await network.worker("odd");
    const job = await odd.popDurable();
    job.abandon(new RpcError("unimplemented", "no such method"));
    expect(await job.cancelled.promise).toBe("cancel");
    const next = await (await network.worker("w2")).popDurable();
    expect(next.assignment).toMatchObject({ job: id, attempt: 2 });
    next.end("succeeded");
    const { attempts } = await alice.ended(id);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(["crashed", "succeeded"]);
    expect(attempts[0]!.reason).toContain("cannot say what becomes of it: no such method");
  });

  it("gets attached jobs as ever", async () => {
    await start();
    const alice = await network.client("alice");
    const submitted = alice.submit("one");
    const job = await (await network.worker("w1")).popDurable();
    expect(job.assignment).toBeNull();
    job.text = "log";
    job.output.resolve("image");
    expect(await submitted.result).toBe("image");
    expect(await submitted.log()).toBe("log");
    submitted.release();
  });
});

describe("records of jobs", () => {
  it("are listed page by page, newest first", async () => {
    await start();
    const alice = await network.client("alice");
    const bob = await network.client("bob");
    for (let n = 0; n < 5; n++) await alice.submitDurable("x", { hint: n % 2 ? "odd" : "even" });
    await bob.submitDurable("y");
    const first = await JobRecords.list(alice.submission, { filter: {}, limit: 3 });
    expect(first.jobs.map(({ job }) => job)).toEqual([5, 4, 3]);
    const { cursor } = first;
    const rest = await JobRecords.list(alice.submission, { filter: {}, cursor, limit: 3 });
    expect(rest).toMatchObject({ jobs: [{ job: 2 }, { job: 1 }], cursor: "" });
    const admin = await network.admin();
    const all = await JobRecords.list(admin, { filter: { states: ["queued"] }, limit: 100 });
    expect(all.jobs.map(({ client }) => client)).toContain("bob");
    const odd = await JobRecords.list(alice.submission, { filter: { hint: "odd" }, limit: 9 });
    expect(odd.jobs).toHaveLength(2);
    const foreign = await JobRecords.list(alice.submission, {
      filter: { client: "bob" },
      limit: 9,
    });
    expect(foreign.jobs).toEqual([]);
  });

  it("are retried by hand, once they have ended without success", async () => {
    await start();
    const alice = await network.client("alice");
    const worker = await network.worker("w1");
    const id = await alice.submitDurable("one");
    await expect(JobRecords.retry(alice.submission, id)).rejects.toThrow("has not ended");
    (await worker.popDurable()).end("failed");
    await alice.ended(id);
    await JobRecords.retry(alice.submission, id);
    (await worker.popDurable()).end("succeeded");
    expect((await alice.ended(id)).attempts).toHaveLength(2);
    await expect(JobRecords.retry(alice.submission, id)).rejects.toThrow("has succeeded");
    await expect(JobRecords.retry(alice.submission, 99)).rejects.toThrow("You have no job 99");
  });

  it("are unknown to a scheduler without them", async () => {
    network = await Network.start();
    const alice = await network.client("alice");
    await expect(alice.submitDurable("one")).rejects.toMatchObject({ kind: "unimplemented" });
    await expect(alice.record(1)).rejects.toMatchObject({ kind: "unimplemented" });
  });
});

describe("attached jobs", () => {
  it("are on record, too, with who ran them and how they ended", async () => {
    await start();
    const alice = await network.client("alice");
    const worker = await network.worker("w1");
    const ends = ["succeed", "fail", "cancel"].map((spec) => alice.submit(spec, { hint: spec }));
    for (const submitted of ends) {
      const job = await worker.pop();
      if (job.spec === "succeed") job.output.resolve("image");
      if (job.spec === "fail") job.output.reject(new RpcError("failed", "Build failed"));
      if (job.spec === "cancel") {
        await Ticket.cancel(submitted.ticket);
        job.output.reject(new RpcError("failed", "Build cancelled"));
      }
      await submitted.result.catch(() => {});
    }
    const { jobs } = await JobRecords.list(alice.submission, { filter: {}, limit: 9 });
    expect(jobs).toMatchObject([
      { hint: "cancel", state: "cancelled", attached: true },
      { hint: "fail", state: "failed", reason: "Build failed" },
      { hint: "succeed", state: "succeeded", output: "image", attempts: [{ worker: "w1" }] },
    ]);
    const { job } = jobs[1]!;
    await expect(JobRecords.retry(alice.submission, job)).rejects.toThrow("was attached");
    await expect(alice.durableLog(job)).rejects.toThrow("its log is not on record");
    const [usage] = await JobRecords.usage(await network.admin(), 0, Date.now());
    expect(usage).toMatchObject({ client: "alice", jobs: 3, succeeded: 1, failed: 1 });
    for (const submitted of ends) submitted.release();
  });

  it("are cancelled when their clients go away", async () => {
    await start();
    const alice = await network.client("alice");
    const worker = await network.worker("w1");
    const bob = await network.client("bob");
    for (const client of [alice, bob]) {
      const submitted = client.submit("one");
      const job = await worker.pop();
      await submitted.queued();
      if (client === bob) await bob.vat.close();
      submitted.release();
      expect(await job.cancelled.promise).toBe("release");
      job.output.reject(new RpcError("failed", "Build cancelled"));
    }
    await expect.poll(() => network.finished.length).toBe(2);
    const { jobs } = await JobRecords.list(await network.admin(), { filter: {}, limit: 9 });
    expect(jobs).toMatchObject([
      { client: "bob", state: "cancelled", cause: "cancelled" },
      { client: "alice", state: "cancelled", cause: "cancelled" },
    ]);
  });

  it("have failed as they did, also if their clients keep no ticket", async () => {
    await start();
    const alice = await network.client("alice");
    const submitted = alice.submit("one");
    const job = await (await network.worker("w1")).pop();
    await submitted.job.whenResolved();
    submitted.ticket.release();
    job.output.reject(new RpcError("failed", "Build failed"));
    await expect(submitted.result).rejects.toThrow("Build failed");
    submitted.job.release();
    const { jobs } = await JobRecords.list(alice.submission, { filter: {}, limit: 9 });
    expect(jobs).toMatchObject([{ state: "failed", reason: "Build failed" }]);
  });

  it("are not, if that is not wanted", async () => {
    await start({ settings: { history: false } });
    const alice = await network.client("alice");
    const submitted = alice.submit("one");
    (await (await network.worker("w1")).pop()).output.resolve("image");
    await submitted.result;
    const { jobs } = await JobRecords.list(alice.submission, { filter: {}, limit: 9 });
    expect(jobs).toEqual([]);
    submitted.release();
  });

  it("that ran when the scheduler was killed are lost as far as anybody knows", async () => {
    await start();
    const alice = await network.client("alice");
    const submitted = alice.submit("one");
    const job = await (await network.worker("w1")).pop();
    const { history, records } = network.durable;
    history!.writeRunning(0);
    await records.synced();
    const again = await killAndRestart();
    const { jobs } = await JobRecords.list(again.submission, { filter: {}, limit: 9 });
    expect(jobs).toMatchObject([
      { state: "failed", cause: "lost", attempts: [{ worker: "w1", outcome: "lost" }] },
    ]);
    job.output.resolve("");
    submitted.release();
  });
});

describe("a scheduler that is killed", () => {
  it("has lost nothing that it has answered for", async () => {
    await start();
    const alice = await network.client("alice");
    const hinted = ["a", "b", "a", "c"];
    const ids = [];
    for (const hint of hinted) ids.push(await alice.submitDurable("x", { hint }));
    const urgent = await alice.submitDurable("x", { urgent: true });
    const job = await (await network.worker("w1")).popDurable();
    expect(job.assignment!.job).toBe(urgent);
    job.begun.resolve();
    await untilRecord(alice.submission, urgent, ({ started }) => started !== null);
    const before = await network.show();
    const again = await killAndRestart();
    const worker = await network.worker("w1");
    expect(await worker.resume(job)).toBe("goOn");
    const order = (text: string) => text.match(/queue: .*/)![0].replaceAll(/@-?\d+s/g, "");
    expect(order(await network.show())).toBe(order(before));
    job.end("succeeded");
    expect((await again.ended(urgent)).attempts).toMatchObject([{ outcome: "succeeded" }]);
    for (const id of ids) {
      const next = await worker.popDurable();
      expect(next.assignment).toMatchObject({ job: id, attempt: 1 });
      next.end("succeeded");
      await again.ended(id);
    }
  });
});

describe("limits", () => {
  it("a client has so many jobs that have not ended", async () => {
    await start({ clientLimits: { queuedJobs: 2 } });
    const alice = await network.client("alice");
    await alice.submitDurable("one", { key: "k" });
    const second = await alice.submitDurable("two");
    await expect(alice.submitDurable("three")).rejects.toMatchObject({ kind: "overloaded" });
    expect(await alice.submitDurable("one", { key: "k" })).toBe(1);
    await JobRecords.cancel(alice.submission, second);
    await alice.submitDurable("three");
  });

  it("their descriptions have so many bytes together, also after a restart", async () => {
    const limits = { clientLimits: { queuedBytes: 5000 } };
    await start(limits);
    const alice = await network.client("alice");
    const spec = "x".repeat(2000);
    const [first] = [await alice.submitDurable(spec), await alice.submitDurable(spec)];
    const tooLarge = { kind: "overloaded", message: expect.stringContaining("limit is 5000") };
    await expect(alice.submitDurable(spec)).rejects.toMatchObject(tooLarge);
    const again = await restart(limits);
    await expect(again.submitDurable(spec)).rejects.toMatchObject(tooLarge);
    (await (await network.worker("w1")).popDurable()).end("failed");
    await again.ended(first!);
    await again.submitDurable(spec);
    await expect(JobRecords.retry(again.submission, first!)).rejects.toMatchObject(tooLarge);
    const bob = await network.client("bob");
    await bob.submitDurable(spec);
  });

  it("a description has so many bytes", async () => {
    await start({ clientLimits: { jobBytes: 1000 } });
    const alice = await network.client("alice");
    await expect(alice.submitDurable("x".repeat(2000))).rejects.toThrow("the limit is 1000");
  });
});

it("a job of a pool that is gone waits for a scheduler that has it", async () => {
  await start({ pools: ["pool", "old"] });
  const alice = await network.client("alice");
  const id = await alice.submitDurable("one", { pool: "old" });
  await expect(alice.submitDurable("one", { pool: "none" })).rejects.toThrow('Pool ID "none"');
  await restart();
  expect(network.log.join()).toContain('durable jobs for pool "old"');
  const again = await restart({ pools: ["pool", "old"] });
  const job = await (await network.worker("w1", { pool: "old" })).popDurable(new TestJob());
  job.end("succeeded");
  await again.ended(id);
});
