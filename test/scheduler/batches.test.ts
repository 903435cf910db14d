/** Stories of batches, with simulated workers that reach the scheduler over the network. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Batches, JobRecords } from "../../src/api/index.js";
import { RowChunk, RowWriter } from "../../src/batch/index.js";
import { Identity } from "../../src/rpc/index.js";
import { Store } from "../../src/scheduler/state/store.js";
import { ended, newBatch, numbers, run, submit, until } from "./batch-clients.js";
import { Network, type NetworkOptions, type TestClient } from "./network.js";

let directory: string;
let network: Network;
const identity = Identity.ephemeral();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-batches-"));
});

afterEach(async () => {
  await network.stop();
  rmSync(directory, { recursive: true });
});

async function start(options: NetworkOptions = {}): Promise<TestClient> {
  const store = Store.open(join(directory, "scheduler.db"));
  network = await Network.start({ durable: directory, store, identity, ...options });
  return network.client("alice");
}

/** What is on disk at this moment is all that the next scheduler has. */
async function killAndRestart(): Promise<TestClient> {
  const killed = mkdtempSync(join(tmpdir(), "ocluster-batches-"));
  cpSync(directory, killed, { recursive: true });
  const { secrets } = network;
  await network.stop();
  rmSync(directory, { recursive: true });
  directory = killed;
  const store = Store.open(join(directory, "scheduler.db"));
  network = await Network.start({ durable: directory, store, identity });
  for (const [id, secret] of secrets) network.secrets.set(id, secret);
  return network.known("alice");
}

/** Has such a change of the records refused from then on, as on a full disk. */
function refusals(): (change: string) => void {
  const { records } = network.durable;
  const all = records.batches;
  let refused = "";
  const change: typeof all.change = (method, ...args) =>
    method === refused
      ? Promise.reject(new Error("The disk is full"))
      : all.change(method, ...args);
  Object.defineProperty(records, "batches", { get: () => ({ ...all, change }) });
  return (method) => {
    refused = method;
  };
}

describe("a batch", () => {
  it("runs each of its rows once, and has what became of them on record", async () => {
    const alice = await start();
    const ran = run(await network.worker("w1"), (spec) => spec !== "echo 3");
    const { batch } = await submit(alice, numbers(100), { name: "tiles" });
    expect(await ended(alice, batch)).toMatchObject({
      ...{ name: "tiles", pool: "pool", state: "failed", rows: 100, closed: true },
      ...{ queued: 0, running: 0, succeeded: 99, failed: 1, cancelled: 0, last: 100 },
      columns: ["v"],
    });
    expect([...ran].sort()).toEqual(
      numbers(100)
        .map((value) => `echo ${value}`)
        .sort(),
    );
    const rows: Batches.EndedRow[] = [];
    for (let next = 0; rows.length < 100; ) {
      const page = await Batches.rows(alice.submission, batch, next, 30);
      rows.push(...page.rows);
      next = page.next;
    }
    expect(await Batches.rows(alice.submission, batch, 100, 30)).toEqual({ rows: [], next: 100 });
    const third = rows.find(({ row }) => row === 3)!;
    expect(new RowChunk(third.values, 1).row(0)).toEqual({ key: "k-3", values: ["3"] });
    expect(third.job).toMatchObject({
      ...{ state: "failed", reason: "no such tile", hint: "hint-3", batch: String(batch) },
      options: { key: "k-3", name: "tiles" },
    });
    expect(await alice.durableLog(third.job.job)).toBe("echo 3\n");
    const filter = { batch: String(batch), states: ["failed"] as const };
    const { jobs } = await JobRecords.list(alice.submission, { filter, limit: 10 });
    expect(jobs.map(({ job }) => job)).toEqual([third.job.job]);
    expect(await Batches.get(alice.submission, "tiles")).toMatchObject({ batch, state: "failed" });
    expect(await Batches.list(alice.submission, "", 10)).toMatchObject({
      batches: [{ batch }],
      cursor: "",
    });
  });

  it("is nobody else's", async () => {
    const alice = await start();
    const { batch } = await submit(alice, ["1"], { name: "tiles" });
    const bob = await network.client("bob");
    await expect(Batches.get(bob.submission, batch)).rejects.toThrow(`You have no batch ${batch}`);
    await expect(Batches.get(bob.submission, "tiles")).rejects.toThrow('You have no batch "tiles"');
    await expect(Batches.cancel(bob.submission, batch, "")).rejects.toThrow(/no batch/);
    await expect(Batches.rows(bob.submission, batch, 0, 1)).rejects.toThrow(/no batch/);
    await expect(Batches.retry(bob.submission, batch, [])).rejects.toThrow(/no batch/);
    expect(await Batches.list(bob.submission, "", 10)).toEqual({ batches: [], cursor: "" });
  });

  it("has only as many jobs at a time as its pool can take soon", async () => {
    const alice = await start();
    const { batch } = await submit(alice, numbers(1000));
    const queued = async () =>
      (await JobRecords.list(alice.submission, { filter: {}, limit: 500 })).jobs;
    await expect.poll(async () => (await queued()).length).toBe(32);
    expect(await Batches.get(alice.submission, batch)).toMatchObject({ queued: 1000, running: 0 });
  });

  it("goes on after a restart, with nothing run twice and nothing left out", async () => {
    let alice = await start();
    const ran = run(await network.worker("w1"));
    const { batch } = await submit(alice, numbers(200), { name: "tiles" });
    await until(alice, batch, ({ succeeded }) => succeeded > 60);
    alice = await killAndRestart();
    const more = run(await network.worker("w1"));
    expect(await ended(alice, batch)).toMatchObject({
      state: "succeeded",
      succeeded: 200,
      rows: 200,
    });
    const { jobs } = await JobRecords.list(alice.submission, { filter: {}, limit: 500 });
    expect(jobs).toHaveLength(200);
    expect(new Set([...ran, ...more]).size).toBe(200);
  });

  it("can be sent in parts, over several connections", async () => {
    let alice = await start();
    const values = numbers(10);
    const { batch } = await Batches.open(alice.submission, newBatch(values, { name: "tiles" }));
    const writer = new RowWriter();
    const rows = (some: string[]) => {
      for (const value of some) writer.add(`k-${value}`, [value]);
      return writer.take();
    };
    await Batches.add(alice.submission, batch, 0, rows(values.slice(0, 5)));
    alice = await killAndRestart();
    expect(await Batches.open(alice.submission, newBatch(values, { name: "tiles" }))).toMatchObject(
      { batch, rows: 5, isNew: false },
    );
    await expect(Batches.add(alice.submission, batch, 7, rows(["7"]))).rejects.toThrow(
      "The next row is number 5, and not 7",
    );
    await expect(Batches.close(alice.submission, batch, 10)).rejects.toThrow(/has 5 rows/);
    expect(await Batches.add(alice.submission, batch, 0, rows(values.slice(0, 5)))).toMatchObject({
      rows: 5,
    });
    await Batches.add(alice.submission, batch, 5, rows(values.slice(5)));
    await Batches.close(alice.submission, batch, 10);
    run(await network.worker("w1"));
    expect(await ended(alice, batch)).toMatchObject({ succeeded: 10, state: "succeeded" });
  });

  it("refuses what is no batch, and no rows", async () => {
    const alice = await start();
    const open = (change: Partial<Batches.NewBatch>) =>
      Batches.open(alice.submission, { ...newBatch(["1"]), ...change });
    await expect(open({ pool: "gpu" })).rejects.toThrow('Pool ID "gpu" not one of {pool}');
    await expect(open({ digest: new Uint8Array(3) })).rejects.toThrow(/digest/);
    const { template } = newBatch(["1"]);
    const spec = [{ column: 1, escape: "plain" }] as const;
    await expect(open({ template: { ...template, spec } })).rejects.toThrow(/does not know such/);
    const { batch } = await open({});
    const add = (bytes: Uint8Array) => Batches.add(alice.submission, batch, 0, bytes);
    await expect(add(Uint8Array.of(1, 0x6b, 5))).rejects.toThrow(/not rows of so many columns/);
    await expect(add(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff))).rejects.toThrow(/not rows/);
    await expect(add(new Uint8Array(0))).rejects.toThrow(/1 to 10000 rows/);
    await expect(add(Uint8Array.of(0, 0))).rejects.toThrow(/key has 1 to 200/);
  });

  it("has a template that is not long, and counts among the bytes of its client", async () => {
    let alice = await start({ clientLimits: { queuedBytes: 1024 * 1024 } });
    const long = (kib: number) =>
      submit(alice, ["1"], { spec: `echo ${"x".repeat(kib * 1024)}`, name: String(kib) });
    await expect(long(1025)).rejects.toThrow(/template has \d+ bytes; the limit is 1048576/);
    const { batch } = await long(700);
    await expect(long(400)).rejects.toThrow(/would have \d+ bytes; the limit is 1048576/);
    const before = network.durable.batches.get(batch)!.bytes;
    expect(before).toBeGreaterThan(700 * 1024);
    alice = await killAndRestart();
    await Batches.get(alice.submission, batch);
    const after = network.durable.batches.get(batch)!.bytes;
    expect(after).toBeGreaterThanOrEqual(before);
    expect(after).toBeLessThan(before + 100);
  });

  it("is one of a hundred that have not ended", async () => {
    const alice = await start();
    const open = () => Batches.open(alice.submission, newBatch(["1"]));
    const { batch } = await open();
    for (let more = 1; more < 100; more++) await open();
    await expect(open()).rejects.toThrow(/many batches that have not ended; the limit is 100/);
    await Batches.cancel(alice.submission, batch, "");
    await open();
    await expect(Batches.retry(alice.submission, batch, [])).rejects.toThrow(/limit is 100/);
  });

  it("has hints that are not long", async () => {
    const alice = await start();
    const { batch } = await Batches.open(alice.submission, newBatch(["1"]));
    const writer = new RowWriter();
    writer.add("short", ["x".repeat(4091)]);
    writer.add("long", ["x".repeat(4092)]);
    await expect(Batches.add(alice.submission, batch, 0, writer.take())).rejects.toThrow(
      'The cache hint of row 2 ("long") is too long; the limit is 4096',
    );
  });

  it("stops with the reason if a row cannot be read back, and never says that it was run", async () => {
    const alice = await start();
    const { rows } = network.durable.batches;
    const row = rows.row.bind(rows);
    rows.row = async (batch, number, columns) =>
      number === 1 ? null : await row(batch, number, columns);
    rows.cached = () => null;
    run(await network.worker("w1"));
    const { batch } = await submit(alice, numbers(3));
    expect(await ended(alice, batch)).toMatchObject({
      ...{ state: "stopped", succeeded: 1, cancelled: 2 },
      reason: "Row 2 cannot begin: it is not on record any more.",
    });
  });

  it("is closed, halted and given its rows by who asks again when the disk was full", async () => {
    let alice = await start();
    let refuse = refusals();
    const values = numbers(5);
    const rows = () => {
      const writer = new RowWriter();
      for (const value of values) writer.add(`k-${value}`, [value]);
      return writer.take();
    };
    const first = await Batches.open(alice.submission, newBatch(values, { name: "tiles" }));
    await Batches.add(alice.submission, first.batch, 0, rows());
    refuse("saveBatch");
    await expect(Batches.close(alice.submission, first.batch, 5)).rejects.toThrow(/full/);
    refuse("");
    await Batches.close(alice.submission, first.batch, 5);
    alice = await killAndRestart();
    refuse = refusals();
    const ran = run(await network.worker("w1"));
    expect(await ended(alice, first.batch)).toMatchObject({ closed: true, succeeded: 5 });
    const next = newBatch(values, { name: "tiles", canary: 1 });
    const second = await Batches.open(alice.submission, { ...next, digest: new Uint8Array(32) });
    refuse("moveJobs");
    await expect(Batches.add(alice.submission, second.batch, 0, rows())).rejects.toThrow(/full/);
    refuse("");
    expect(await Batches.add(alice.submission, second.batch, 0, rows())).toMatchObject({ rows: 5 });
    await until(alice, second.batch, ({ succeeded }) => succeeded === 5);
    expect(ran).toHaveLength(10);
    refuse("saveBatch");
    await expect(Batches.cancel(alice.submission, second.batch, "Enough.")).rejects.toThrow(/full/);
    refuse("");
    expect(await ended(alice, second.batch)).toMatchObject({ state: "cancelled" });
    alice = await killAndRestart();
    expect(await Batches.get(alice.submission, second.batch)).toMatchObject({ reason: "Enough." });
  });

  it("has so many rows as a client may have", async () => {
    const alice = await start({ clientLimits: { queuedJobs: 99 } });
    await expect(submit(alice, numbers(100))).rejects.toThrow(/would have 100 rows.*limit is 99/);
  });
});

describe("the rules of a batch", () => {
  it("have no more run at a time than they say", async () => {
    const alice = await start();
    const worker = await network.worker("w1", { capacity: 10 });
    const { batch } = await submit(alice, numbers(20), { maxRunning: 3 });
    const jobs = await Promise.all([1, 2, 3].map(() => worker.popDurable()));
    for (const job of jobs) job.begun.resolve();
    expect(await until(alice, batch, ({ running }) => running === 3)).toMatchObject({ queued: 17 });
    const { jobs: all } = await JobRecords.list(alice.submission, { filter: {}, limit: 100 });
    expect(all).toHaveLength(3);
    jobs[0]!.end("succeeded");
    const next = await worker.popDurable();
    next.begun.resolve();
    for (const job of [...jobs, next]) job.end("succeeded");
    run(worker);
    expect(await ended(alice, batch)).toMatchObject({ succeeded: 20 });
  });

  it("have the first rows go before all others", async () => {
    const alice = await start();
    const worker = await network.worker("w1");
    const { batch } = await submit(alice, numbers(50), { canary: 2 });
    const first = await worker.popDurable();
    const { jobs } = await JobRecords.list(alice.submission, { filter: {}, limit: 100 });
    expect(jobs).toHaveLength(2);
    first.begun.resolve();
    first.end("succeeded");
    run(worker);
    expect(await ended(alice, batch)).toMatchObject({ state: "succeeded", succeeded: 50 });
  });

  it("stop it when one of the first rows fails", async () => {
    const alice = await start();
    const ran = run(await network.worker("w1"), (spec) => spec !== "echo 1");
    const { batch } = await submit(alice, numbers(50), { canary: 2 });
    expect(await ended(alice, batch)).toMatchObject({
      ...{ state: "stopped", succeeded: 1, failed: 1, cancelled: 48 },
      reason: "Row 2, one of the first 2 (--canary), has failed.",
    });
    expect(ran).toHaveLength(2);
  });

  it("stop it when one of the first rows is cancelled singly, and keep that", async () => {
    let alice = await start();
    const { batch } = await submit(alice, numbers(5), { canary: 1 });
    const queued = async () =>
      (await JobRecords.list(alice.submission, { filter: {}, limit: 5 })).jobs;
    await expect.poll(async () => (await queued()).length).toBe(1);
    await JobRecords.cancel(alice.submission, (await queued())[0]!.job, "");
    const stopped = {
      ...{ state: "stopped", cancelled: 5, queued: 0 },
      reason: "The first 1 rows (--canary) have not all succeeded.",
    };
    expect(await ended(alice, batch)).toMatchObject(stopped);
    alice = await killAndRestart();
    expect(await Batches.get(alice.submission, batch)).toMatchObject(stopped);
  });

  it.each([
    [{ maxFailures: 2 }, "3 rows have failed, more than 2."],
    [{ maxFailuresPercent: 1 }, "3 of 200 rows have failed, more than 1%."],
  ])("stop it when too many rows fail: %o", async (rules, reason) => {
    const alice = await start();
    const ran = run(await network.worker("w1"), (spec) => !spec.endsWith("0"));
    const { batch } = await submit(alice, numbers(200), rules);
    const record = await ended(alice, batch);
    expect(record).toMatchObject({ state: "stopped", failed: 3, reason });
    expect(record.succeeded + record.cancelled).toBe(197);
    expect(ran.length).toBeLessThan(60);
  });

  it("hold after a restart", async () => {
    let alice = await start();
    run(await network.worker("w1"), () => false);
    const { batch } = await submit(alice, numbers(20), { maxFailures: 3, name: "tiles" });
    await ended(alice, batch);
    alice = await killAndRestart();
    run(await network.worker("w1"), () => false);
    const { failed, state } = await Batches.get(alice.submission, batch);
    expect(state).toBe("stopped");
    // More than the one too many may have been with their workers already.
    expect(failed).toBeGreaterThanOrEqual(4);
    expect(failed).toBeLessThan(15);
    expect(await Batches.retry(alice.submission, batch, [])).toBeGreaterThanOrEqual(4);
    expect(await ended(alice, batch)).toMatchObject({ state: "stopped" });
  });
});

describe("who has a batch", () => {
  it("cancels it, with what runs", async () => {
    const alice = await start();
    const worker = await network.worker("w1");
    const { batch } = await submit(alice, numbers(100));
    const job = await worker.popDurable();
    job.begun.resolve();
    await until(alice, batch, ({ running }) => running === 1);
    await Batches.cancel(alice.submission, batch, "Enough.");
    expect(await job.cancelled.promise).toBe("cancel");
    expect(await ended(alice, batch)).toMatchObject({
      ...{ state: "cancelled", reason: "Enough.", cancelled: 100, queued: 0, running: 0 },
    });
    job.end("cancelled");
    // Those that had begun: the one that ran, and of the 32 that may wait behind it some or all.
    const again = await Batches.retry(alice.submission, batch, []);
    expect(again).toBeGreaterThanOrEqual(1);
    expect(again).toBeLessThanOrEqual(33);
    run(worker);
    expect(await ended(alice, batch)).toMatchObject({ state: "succeeded", succeeded: 100 });
  });

  it("has single rows tried again, by their keys", async () => {
    const alice = await start();
    let isWell = false;
    const ran = run(await network.worker("w1"), () => isWell);
    const { batch } = await submit(alice, numbers(5));
    await ended(alice, batch);
    isWell = true;
    expect(await Batches.retry(alice.submission, batch, ["k-3", "k-4", "k-9"])).toBe(2);
    expect(await ended(alice, batch)).toMatchObject({ state: "failed", succeeded: 2, failed: 3 });
    expect(ran).toHaveLength(7);
    const { jobs } = await JobRecords.list(alice.submission, { filter: { key: "k-1" }, limit: 1 });
    await expect(JobRecords.retry(alice.submission, jobs[0]!.job)).rejects.toThrow(
      `ocluster-client batch retry ${batch} --key="k-1"`,
    );
  });

  it("may be removed, and its batches with it", async () => {
    const alice = await start();
    const { batch } = await submit(alice, numbers(100));
    await network.durable.batches.removeClient("alice", false);
    expect(await ended(alice, batch)).toMatchObject({ state: "stopped", cancelled: 100 });
  });
});
