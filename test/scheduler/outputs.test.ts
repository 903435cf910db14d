/** Stories of files that workers hand over, on their way through the scheduler. */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AbleQueue, JobRecords, PoolMonitor } from "../../src/api/index.js";
import { type Capability, Identity } from "../../src/rpc/index.js";
import type { DurableSettings } from "../../src/scheduler/services/durable-settings.js";
import { DirectoryOutputs } from "../../src/scheduler/state/directory-outputs.js";
import { OutputsDamaged } from "../../src/scheduler/state/output-store.js";
import { Store } from "../../src/scheduler/state/store.js";
import { Network, type TestClient, TestJob, type TestWorker, untilRecord } from "./network.js";

const ORDER = { paths: ["/out"], when: "success", optional: false } as const;
const LIMITS: DurableSettings["outputs"] = {
  place: undefined,
  limit: 8 * 1024 ** 2,
  keepAge: 3600,
  keepSize: 1024 ** 3,
};

let directory: string;
let network: Network;
let alice: TestClient;
const identity = Identity.ephemeral();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-outputs-"));
});

afterEach(async () => {
  await network?.stop();
  rmSync(directory, { recursive: true });
});

async function start(limits: Partial<DurableSettings["outputs"]> = {}): Promise<void> {
  const store = Store.open(join(directory, "scheduler.db"));
  const settings = { outputs: { ...LIMITS, ...limits } };
  network = await Network.start({ durable: directory, store, identity, settings });
  alice = await network.client("alice");
}

/** A worker that can hand over files. */
async function able(name: string): Promise<TestWorker> {
  const worker = await network.worker(name);
  const { docker, obuilder, outputs } = AbleQueue.ABILITY;
  const machine = { cpus: 1, memory: 0, architecture: "" };
  await AbleQueue.declare(worker.queue, { able: [docker, obuilder, outputs], ...machine });
  return worker;
}

/** Bytes that tell where they are. */
function bytes(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, at) => (at >> 8) ^ at);
}

async function fetched(records: Capability, job: number): Promise<Buffer> {
  const { attempt, size } = await JobRecords.outputs(records, job);
  const parts: Uint8Array[] = [];
  for (let start = 0; start < size; start += parts.at(-1)!.length) {
    parts.push(await JobRecords.readOutputs(records, { job, attempt, start, limit: 100_000 }));
  }
  return Buffer.concat(parts);
}

/** The files in which streams are kept. */
function onDisk(): string[] {
  const top = join(directory, "outputs");
  return readdirSync(top).flatMap((book) => readdirSync(join(top, book)));
}

function bookDirectory(): string {
  const top = join(directory, "outputs");
  return join(top, readdirSync(top)[0]!);
}

describe("a job whose files are wanted", () => {
  it("goes only to a worker that can hand them over, and says so while it waits", async () => {
    await start();
    const old = await network.worker("old");
    const id = await alice.submitDurable("one", { outputs: ORDER });
    const plain = await alice.submitDurable("two");
    expect((await old.popDurable()).assignment!.job).toBe(plain);
    expect(await alice.record(id)).toMatchObject({
      state: "queued",
      reason: "It waits for a worker that can hand over files: none that is connected can.",
      options: { outputs: ORDER },
    });
    const explanation = await PoolMonitor.explain(await network.poolAdmin(), {
      kind: "job",
      job: id,
    });
    expect(explanation.obstacles).toContainEqual({
      kind: "unable",
      workers: 1,
      needs: ["obuilder", "outputs"],
    });
    const job = await (await able("new")).popDurable();
    expect(job.assignment).toMatchObject({ job: id, outputs: ORDER, outputLimit: LIMITS.limit });
    expect((await alice.record(id)).reason).toBe("");
  });

  it("has its end on record when they are on disk, and not before", async () => {
    await start();
    const id = await alice.submitDurable("one", { outputs: ORDER });
    const job = await (await able("w1")).popDurable();
    job.stream = bytes(3_000_000);
    let reads = 0;
    job.beforePart = async () => {
      reads++;
      expect((await alice.record(id)).state).toBe("running");
    };
    job.end("succeeded");
    await job.settled.promise;
    expect(reads).toBeGreaterThan(2);
    expect(await alice.record(id)).toMatchObject({
      state: "succeeded",
      attempts: [{ outputSize: 3_000_000 }],
    });
    expect(onDisk()).toEqual([`${id}-1`]);
    expect((await fetched(alice.submission, id)).equals(job.stream)).toBe(true);
    // Others' files do not exist, and those of no attempt either.
    const bob = await network.client("bob");
    await expect(JobRecords.outputs(bob.submission, id)).rejects.toThrow(/You have no job/);
    const range = { job: id, attempt: 1, start: 0, limit: 10 };
    await expect(JobRecords.readOutputs(bob.submission, range)).rejects.toThrow(/You have no job/);
    await expect(
      JobRecords.readOutputs(alice.submission, { ...range, attempt: 2 }),
    ).rejects.toThrow(/are not kept/);
  });

  it("goes on at its byte when the worker is back on another connection", async () => {
    await start();
    const id = await alice.submitDurable("one", { outputs: ORDER });
    const first = await able("w1");
    const job = await first.popDurable();
    job.stream = bytes(6_000_000);
    job.beforePart = (start) => (start >= 3_000_000 ? new Promise(() => {}) : undefined);
    job.end("succeeded");
    const part = join(bookDirectory(), `${id}-1.part`);
    const sizeOnDisk = () => readdirSync(bookDirectory()).length && readFileSync(part).length;
    await expect.poll(sizeOnDisk).toBeGreaterThanOrEqual(2_500_000);
    await first.disconnect();
    await untilRecord(alice.submission, id, ({ attempts }) => attempts[0]!.outOfTouch);
    const there = sizeOnDisk();
    const again = await network.worker("w1");
    const held = new TestJob();
    held.stream = job.stream;
    const asked: number[] = [];
    held.beforePart = (start) => void asked.push(start);
    held.assignment = job.assignment;
    held.end("succeeded");
    expect(await again.resume(held, "ended")).toBe("goOn");
    await held.settled.promise;
    expect(asked[0]).toBe(there);
    expect((await fetched(alice.submission, id)).equals(job.stream)).toBe(true);
  });

  it("has what has come of them on disk when the scheduler ends", async () => {
    await start();
    const id = await alice.submitDurable("one", { outputs: ORDER });
    const job = await (await able("w1")).popDurable();
    job.stream = bytes(6_000_000);
    job.beforePart = (start) => (start >= 3_000_000 ? new Promise(() => {}) : undefined);
    job.end("succeeded");
    const part = join(bookDirectory(), `${id}-1.part`);
    const sizeOnDisk = () => readdirSync(bookDirectory()).length && readFileSync(part).length;
    await expect.poll(sizeOnDisk).toBeGreaterThanOrEqual(2_500_000);
    await network.stopScheduler();
    expect(sizeOnDisk()).toBeGreaterThanOrEqual(2_500_000);
  });

  it("is tried again elsewhere if what comes is not what its worker had", async () => {
    await start();
    const id = await alice.submitDurable("one", { outputs: ORDER });
    const job = await (await able("w1")).popDurable();
    job.stream = bytes(10_000);
    job.end("succeeded");
    job.stream = bytes(10_000).fill(7, 4000, 5000);
    const second = await (await able("w2")).popDurable();
    expect((await alice.record(id)).attempts[0]).toMatchObject({
      outcome: "crashed",
      reason: expect.stringMatching(
        /files cannot be had from its worker "w1": what came of its files/,
      ),
    });
    expect(onDisk()).toEqual([]);
    second.stream = bytes(10_000);
    second.end("succeeded");
    await second.settled.promise;
    expect(onDisk()).toEqual([`${id}-2`]);
    expect(await JobRecords.outputs(alice.submission, id)).toEqual({ attempt: 2, size: 10_000 });
  });

  it("fails if they are larger than they may be, before a byte of them is read", async () => {
    await start({ limit: 1000 });
    const id = await alice.submitDurable("one", { outputs: ORDER });
    const job = await (await able("w1")).popDurable();
    job.stream = bytes(1001);
    job.beforePart = () => expect.unreachable();
    job.end("succeeded");
    await job.settled.promise;
    expect(await alice.record(id)).toMatchObject({
      state: "failed",
      reason: "Its files have 1001 bytes, and 1000 are allowed.",
    });
  });

  it("leaves nothing behind when it is cancelled while they come", async () => {
    await start();
    const id = await alice.submitDurable("one", { outputs: ORDER });
    const job = await (await able("w1")).popDurable();
    job.stream = bytes(6_000_000);
    let reached = () => {};
    const isOnItsWay = new Promise<void>((resolve) => (reached = resolve));
    job.beforePart = async (start) => {
      if (start < 2_000_000) return;
      reached();
      await job.cancelled.promise;
    };
    job.end("succeeded");
    await isOnItsWay;
    await JobRecords.cancel(alice.submission, id);
    await job.settled.promise;
    expect((await alice.record(id)).state).toBe("cancelled");
    await expect.poll(onDisk).toEqual([]);
  });
});

describe("the store of files", () => {
  const open = (limits: { keepAge?: number; keepSize?: number } = {}) =>
    DirectoryOutputs.open({
      directory: join(directory, "elsewhere"),
      book: new Uint8Array(16).fill(1),
      keepAge: 3600,
      keepSize: 10_000,
      onWarning: (message) => expect.unreachable(message),
      ...limits,
    });
  const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest();

  async function put(store: DirectoryOutputs, job: number, size: number): Promise<void> {
    const incoming = await store.receive(job, 1);
    const data = bytes(size);
    await incoming.append(data.subarray(incoming.length));
    await incoming.keep(sha256(data));
    await incoming.close();
  }

  it("removes the oldest when all together are too large, and what is too old", async () => {
    const store = await open();
    for (const job of [1, 2, 3]) await put(store, job, 4000);
    await store.close();
    expect([1, 2, 3].map((job) => store.size(job, 1))).toEqual([0, 4000, 4000]);
    const path = join(directory, "elsewhere", "01".repeat(16));
    expect(readdirSync(path).sort()).toEqual(["2-1", "3-1"]);
    const hours = Date.now() / 1000 - 7200;
    utimesSync(join(path, "2-1"), hours, hours);
    const later = await open();
    await later.close();
    expect([2, 3].map((job) => later.newest(job))).toEqual([undefined, 1]);
    expect(readdirSync(path)).toEqual(["3-1"]);
  });

  it("gives a stream to whom it was asked for last, and to nobody else", async () => {
    const store = await open();
    const data = bytes(5000);
    const first = await store.receive(5, 1);
    await first.append(data.subarray(0, 3000));
    const second = await store.receive(5, 1);
    expect(second.length).toBe(3000);
    await expect(first.append(data)).rejects.toThrow(/Somebody else/);
    await first.close();
    await second.append(data.subarray(3000));
    await second.keep(sha256(data));
    // As when the directory could not be synced.
    await second.keep(sha256(data));
    await second.close();
    expect(store.size(5, 1)).toBe(5000);
    await store.close();
  });

  it("has lost a stream that somebody has removed, and does not wait for it", async () => {
    const store = await open();
    const incoming = await store.receive(5, 1);
    await incoming.append(bytes(5000));
    rmSync(join(directory, "elsewhere", "01".repeat(16), "5-1.part"));
    await expect(incoming.keep(sha256(bytes(5000)))).rejects.toThrow(OutputsDamaged);
    await incoming.close();
    await store.close();
  });

  it("removes in time what has come of a stream that nobody expects any more", async () => {
    const store = await open();
    for (const job of [5, 6, 7]) {
      const begun = await store.receive(job, 1);
      await begun.append(bytes(3000));
      if (job !== 7) await begun.close();
    }
    store.expect((job) => job === 6);
    const path = join(directory, "elsewhere", "01".repeat(16));
    // The last is still coming.
    await expect.poll(() => readdirSync(path).sort()).toEqual(["6-1.part", "7-1.part"]);
    await store.drop(7, 1);
    expect(readdirSync(path)).toEqual(["6-1.part"]);
    await store.close();
  });

  it("goes on with what a killed scheduler had of a stream, and with nothing that is damaged", async () => {
    const store = await open();
    const begun = await store.receive(5, 1);
    await begun.append(bytes(5000).subarray(0, 3000));
    await begun.close();
    await store.close();
    const path = join(directory, "elsewhere", "01".repeat(16), "5-1.part");
    expect(readFileSync(path).length).toBe(3000);
    const later = await open();
    await put(later, 5, 5000);
    expect(later.size(5, 1)).toBe(5000);
    writeFileSync(path, Buffer.alloc(3000));
    const incoming = await later.receive(5, 1);
    await incoming.append(bytes(5000).subarray(3000));
    await expect(incoming.keep(sha256(bytes(5000)))).rejects.toThrow(/not what its worker had/);
    await incoming.close();
    expect(later.size(5, 1)).toBe(5000);
    await later.close();
  });
});
