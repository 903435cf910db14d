/** Schedulers with durable jobs: killed ones, with limits, and without a pool that they had. */
import { describe, expect, it } from "vitest";
import { JobRecords, PoolAdmin } from "../../src/api/index.js";
import { TestJob, untilRecord } from "./network.js";
import { StateHome } from "./state-home.js";

const home = StateHome.forEachTest();

describe("a scheduler that is killed", () => {
  it("has lost nothing that it has answered for", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const hinted = ["a", "b", "a", "c"];
    const ids = [];
    for (const hint of hinted) ids.push(await alice.submitDurable("x", { hint }));
    const urgent = await alice.submitDurable("x", { urgent: true });
    const job = await (await home.network.worker("w1")).popDurable();
    expect(job.assignment!.job).toBe(urgent);
    job.begun.resolve();
    await untilRecord(alice.submission, urgent, ({ started }) => started !== null);
    const before = await home.network.show();
    const again = await home.killAndRestart();
    const worker = await home.network.worker("w1");
    expect(await worker.resume(job)).toBe("goOn");
    const order = (text: string) => text.match(/queue: .*/)![0].replaceAll(/@-?\d+s/g, "");
    expect(order(await home.network.show())).toBe(order(before));
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

it("that is killed while a client is removed cancels its jobs when it is back", async () => {
  await home.start();
  const [alice, bob] = [await home.network.client("alice"), await home.network.client("bob")];
  const running = await alice.submitDurable("runs");
  const job = await (await home.network.worker("w1")).popDurable();
  job.begun.resolve();
  await untilRecord(alice.submission, running, ({ started }) => started !== null);
  const queued = await alice.submitDurable("queued");
  const waiting = await alice.submitDurable("waiting", { after: [running] });
  const others = await bob.submitDurable("of another client");
  await PoolAdmin.setRate(await home.network.poolAdmin(), "alice", 5);
  // Its access has ended, and nothing else has happened yet.
  home.network.removeAccess("alice");
  await home.killAndRestart();
  const admin = await home.network.admin();
  for (const id of [queued, waiting]) {
    const record = await untilRecord(admin, id, ({ ended }) => ended !== null);
    expect(record).toMatchObject({ state: "cancelled", reason: "The client was removed." });
  }
  const state = async (id: number) => (await JobRecords.get(admin, id)).state;
  expect([await state(others), await state(running)]).toEqual(["queued", "running"]);
  await expect.poll(() => home.network.show()).not.toContain("alice");
  const worker = await home.network.worker("w1");
  expect(await worker.resume(job)).toBe("goOn");
  job.end("succeeded");
  await untilRecord(admin, running, ({ ended }) => ended !== null);
});

describe("limits", () => {
  it("a client has so many jobs that have not ended", async () => {
    await home.start({ clientLimits: { queuedJobs: 2 } });
    const alice = await home.network.client("alice");
    await alice.submitDurable("one", { key: "k" });
    const second = await alice.submitDurable("two");
    await expect(alice.submitDurable("three")).rejects.toMatchObject({ kind: "overloaded" });
    expect(await alice.submitDurable("one", { key: "k" })).toBe(1);
    await JobRecords.cancel(alice.submission, second);
    await alice.submitDurable("three");
  });

  it("their descriptions have so many bytes together, also after a restart", async () => {
    const limits = { clientLimits: { queuedBytes: 5000 } };
    await home.start(limits);
    const alice = await home.network.client("alice");
    const spec = "x".repeat(2000);
    const [first] = [await alice.submitDurable(spec), await alice.submitDurable(spec)];
    const tooLarge = { kind: "overloaded", message: expect.stringContaining("limit is 5000") };
    await expect(alice.submitDurable(spec)).rejects.toMatchObject(tooLarge);
    const again = await home.restart(limits);
    await expect(again.submitDurable(spec)).rejects.toMatchObject(tooLarge);
    (await (await home.network.worker("w1")).popDurable()).end("failed");
    await again.ended(first!);
    await again.submitDurable(spec);
    await expect(JobRecords.retry(again.submission, first!)).rejects.toMatchObject(tooLarge);
    const bob = await home.network.client("bob");
    await bob.submitDurable(spec);
  });

  it("a description has so many bytes", async () => {
    await home.start({ clientLimits: { jobBytes: 1000 } });
    const alice = await home.network.client("alice");
    await expect(alice.submitDurable("x".repeat(2000))).rejects.toThrow("the limit is 1000");
  });
});

it("a job of a pool that is gone waits for a scheduler that has it", async () => {
  await home.start({ pools: ["pool", "old"] });
  const alice = await home.network.client("alice");
  const id = await alice.submitDurable("one", { pool: "old" });
  await expect(alice.submitDurable("one", { pool: "none" })).rejects.toThrow('Pool ID "none"');
  await home.restart();
  await home.network.scheduler.formerPools.report();
  expect(home.network.log.join()).toContain('There is no pool "old" any more');
  const again = await home.restart({ pools: ["pool", "old"] });
  const job = await (await home.network.worker("w1", { pool: "old" })).popDurable(new TestJob());
  job.end("succeeded");
  await again.ended(id);
});
