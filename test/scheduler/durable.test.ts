/**
 * Stories of durable jobs, with simulated workers, old and new, that reach the scheduler over the
 * network.
 */
import { describe, expect, it } from "vitest";
import { Admin, JobRecords, PoolMonitor } from "../../src/api/index.js";
import { RpcError } from "../../src/rpc/index.js";
import { logPage } from "../../src/scheduler/services/log-reader.js";
import { untilRecord } from "./network.js";
import { logged, StateHome } from "./state-home.js";

const home = StateHome.forEachTest();

describe("a durable job", () => {
  it("goes to a worker, and its log and outcome are on record", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const id = await alice.submitDurable("(from busybox)", { hint: "tutorial", name: "first" });
    expect(await alice.record(id)).toMatchObject({ state: "queued", attempts: [] });
    const worker = await home.network.worker("w1");
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
    expect(await home.network.show()).toContain("w1 (0): [] (1 running)");
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
    await expect.poll(() => home.network.show()).toContain("w1 (0): [] (0 running)");
    expect(home.network.finished).toEqual(["ok"]);
  });

  it("has its whole log, also for who asks in the moment when it ends", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const id = await alice.submitDurable("one");
    const job = await (await home.network.worker("w1")).popDurable();
    job.begun.resolve();
    job.print("Building...\n");
    await logged(alice, id, job.text.length);
    const { book, records, spool } = home.network.durable;
    // It was not followed yet when it was asked for: the record is read before the end, and the log
    // looked for after it.
    const growing = spool.growingLog.bind(spool);
    spool.growingLog = () => {
      spool.growingLog = growing;
      return undefined;
    };
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
    await home.start();
    const alice = await home.network.client("alice");
    const [good, bad] = [await alice.submitDurable("one"), await alice.submitDurable("two")];
    const worker = await home.network.worker("old");
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
    await home.start();
    const alice = await home.network.client("alice");
    const id = await alice.submitDurable("one");
    const old = await home.network.worker("old");
    const job = await old.pop();
    job.print("half of");
    await logged(alice, id, 7);
    await old.disconnect();
    const next = await (await home.network.worker("w2")).popDurable();
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
    await home.start();
    const alice = await home.network.client("alice");
    const id = await alice.submitDurable("one");
    const job = await (await home.network.worker("w1")).popDurable();
    job.begun.resolve();
    job.print("all");
    await logged(alice, id, 3);
    const { durable } = home.network;
    const before = (await durable.records.job(id))!;
    job.end("succeeded");
    await alice.ended(id);
    const range = { job: id, attempt: 1, start: 3, follow: true };
    const { signal } = new AbortController();
    expect(await logPage(durable, before, range, signal)).toMatchObject({ next: 3, attempt: 1 });
  });

  it("is stopped at its worker when it is cancelled", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const [queued, running] = [await alice.submitDurable("q"), await alice.submitDurable("r")];
    await JobRecords.cancel(alice.submission, queued);
    const job = await (await home.network.worker("w1")).popDurable();
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
    await home.start();
    const alice = await home.network.client("alice");
    const worker = await home.network.worker("w1");
    const running = await alice.submitDurable("r");
    const job = await worker.popDurable();
    const queued = await alice.submitDurable("q");
    const admin = await home.network.admin();
    await Admin.removeClient(admin, "alice");
    expect(await JobRecords.get(admin, queued)).toMatchObject({ state: "cancelled" });
    expect(await JobRecords.get(admin, running)).toMatchObject({ state: "running" });
    await expect(alice.record(queued)).rejects.toThrow("Access has been revoked");
    job.end("succeeded");
    await job.settled.promise;
  });

  it("is not tried again when its client was removed meanwhile", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const id = await alice.submitDurable("r");
    const old = await home.network.worker("old");
    await old.pop();
    const admin = await home.network.admin();
    await Admin.removeClient(admin, "alice");
    await old.disconnect();
    const { attempts, reason, state } = await untilRecord(admin, id, ({ ended }) => ended !== null);
    expect(state).toBe("cancelled");
    expect(reason).toContain("client was removed");
    expect(attempts).toMatchObject([{ outcome: "lost" }]);
  });

  it("is explained by its number, in whatever state", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const pool = await home.network.poolAdmin();
    const explain = (job: number) => PoolMonitor.explain(pool, { kind: "job", job });
    const id = await alice.submitDurable("one", { hint: "h", retries: 1, retryDelay: 60 });
    const next = await alice.submitDurable("two", { after: [id] });
    const noWorkers = { kind: "noWorkers", workers: 0 };
    expect(await explain(id)).toMatchObject({ job: { label: "h" }, obstacles: [noWorkers] });
    const after = { kind: "after", job: id, jobs: 1 };
    expect(await explain(next)).toEqual({ job: null, obstacles: [after] });
    const worker = await home.network.worker("w1");
    const job = await worker.popDurable();
    expect((await explain(id)).obstacles).toEqual([{ kind: "running", worker: "w1" }]);
    job.end("failed");
    await untilRecord(alice.submission, id, ({ state }) => state === "waiting");
    expect((await explain(id)).obstacles).toMatchObject([{ kind: "pause" }]);
    await JobRecords.cancel(alice.submission, id);
    await expect(explain(id)).rejects.toThrow(`no durable job ${id} that has not ended`);
  });

  it("can be had once for each key", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const ids = await Promise.all([1, 2, 3].map(() => alice.submitDurable("x", { key: "k" })));
    expect(new Set(ids).size).toBe(1);
    expect(await alice.submitDurable("y", { key: "k" })).toBe(ids[0]);
    const bob = await home.network.client("bob");
    expect(await bob.submitDurable("x", { key: "k" })).not.toBe(ids[0]);
    await expect(bob.record(ids[0]!)).rejects.toThrow(`You have no job ${ids[0]}`);
    await expect(bob.submitDurable("x", { after: [ids[0]!] })).rejects.toThrow(
      `You have no job ${ids[0]}`,
    );
  });
});
