/** Stories of files that workers put into an object store, and of what comes in their way. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AbleQueue, JobRecords, OutputLinks, type OutputUpload } from "../../src/api/index.js";
import { readRange, send } from "../../src/artefacts/transfer.js";
import type { TransferError } from "../../src/artefacts/transfer-error.js";
import { Identity } from "../../src/rpc/index.js";
import { DEFAULT_DURABLE_SETTINGS } from "../../src/scheduler/services/durable-settings.js";
import { Store } from "../../src/scheduler/state/store.js";
import { KEYS, ObjectStore, REGION, Refusal } from "../support/object-store.js";
import { Network, type TestClient, TestJob, type TestWorker, untilRecord } from "./network.js";

const ORDER = { paths: ["/out"], when: "success", optional: false } as const;
/** Bytes of a part here. */
const PART = 512 * 1024;

let directory: string;
let store: ObjectStore;
let network: Network;
let alice: TestClient;
const identity = Identity.ephemeral();

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-bucket-"));
  store = await ObjectStore.start();
  store.leastPart = PART;
  vi.stubEnv("AWS_ACCESS_KEY_ID", KEYS.accessKeyId);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", KEYS.secretAccessKey);
  vi.stubEnv("AWS_SESSION_TOKEN", "");
});

afterEach(async () => {
  await network?.stop();
  await store.stop();
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true });
});

async function open(keep: { keepAge?: number; keepSize?: number }): Promise<void> {
  const { bucket, endpoint } = store;
  const place = { bucket, endpoint, prefix: "jobs", region: REGION };
  network = await Network.start({
    durable: directory,
    store: Store.open(join(directory, "scheduler.db")),
    identity,
    settings: {
      outputs: {
        ...DEFAULT_DURABLE_SETTINGS.outputs,
        ...keep,
        place: { kind: "s3", part: PART, place },
      },
    },
  });
}

async function start(keep: { keepAge?: number; keepSize?: number } = {}): Promise<void> {
  await open(keep);
  alice = await network.client("alice");
}

/** The same scheduler once more. */
async function restart(): Promise<void> {
  const { secrets } = network;
  await network.stop();
  await open({});
  network.secrets.set("alice", secrets.get("alice")!);
  alice = await network.known("alice");
}

async function able(name: string): Promise<TestWorker> {
  const worker = await network.worker(name);
  const { docker, obuilder, outputs } = AbleQueue.ABILITY;
  const machine = { cpus: 1, memory: 0, architecture: "" };
  await AbleQueue.declare(worker.queue, { able: [docker, obuilder, outputs], ...machine });
  return worker;
}

function bytes(size: number): Buffer<ArrayBuffer> {
  const data = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4096) data.writeUInt32LE(at, at);
  return data;
}

/** As a worker of ours puts parts. */
function putter(job: TestJob): OutputUpload.OutputUploadService["put"] {
  return async ({ length, start, url }) => {
    const body = { length, read: () => [job.stream.subarray(start, start + length)] };
    try {
      const { headers, status } = await send({ method: "PUT", url, body });
      return { status, code: "", tag: headers.etag ?? "", message: "" };
    } catch (error) {
      const { code, message, status } = error as TransferError;
      return { status, code, tag: "", message };
    }
  };
}

/** A job whose worker has that stream for it, and is yet to say how it ended. */
async function jobWith(size: number, put = putter): Promise<{ id: number; job: TestJob }> {
  const id = await alice.submitDurable("one", { outputs: ORDER });
  const job = new TestJob();
  job.stream = bytes(size);
  job.put = put(job);
  await (await able(`w${id}`)).popDurable(job);
  return { id, job };
}

const keyOf = () => [...store.objects.keys()];

describe("files in an object store", () => {
  it("are put there by their worker part by part, and read there by their client", async () => {
    await start();
    const { id, job } = await jobWith(3 * PART + 5);
    job.beforePart = () => expect.unreachable();
    job.end("succeeded");
    await job.settled.promise;
    const book = Buffer.from(network.durable.records.book).toString("hex");
    expect(keyOf()).toEqual([`jobs/${book}/${id}-1`]);
    expect(store.uploads.size).toBe(0);
    const { attempt, size } = await JobRecords.outputs(alice.submission, id);
    expect([attempt, size]).toEqual([1, job.stream.length]);
    const link = await OutputLinks.link(alice.submission, id, 1);
    expect(link).toMatchObject({ seconds: 300 });
    const part = await readRange(link!.url, PART - 10, 20);
    expect(part.equals(job.stream.subarray(PART - 10, PART + 10))).toBe(true);
    // Who cannot go there has them from the scheduler.
    const range = { job: id, attempt: 1, start: 4096, limit: 10 };
    const relayed = await JobRecords.readOutputs(alice.submission, range);
    expect(Buffer.from(relayed).equals(job.stream.subarray(4096, 4106))).toBe(true);
    expect(network.durable.outputs.received).toEqual({ direct: size, relayed: 0 });
    expect([network.durable.outputs.count, network.durable.outputs.bytes]).toEqual([1, size]);
    const bob = await network.client("bob");
    await expect(OutputLinks.link(bob.submission, id, 1)).rejects.toThrow(/You have no job/);
  });

  it("go there in one piece if they are small", async () => {
    await start();
    const { job } = await jobWith(1000);
    job.end("succeeded");
    await job.settled.promise;
    expect(store.requests.map(({ method }) => method).slice(-2)).toEqual(["PUT", "HEAD"]);
    expect(store.objects.get(keyOf()[0]!)!.equals(job.stream)).toBe(true);
  });

  it("go through the scheduler if their worker does not know how, or cannot reach the store", async () => {
    await start();
    const old = await jobWith(2 * PART, () => null as never);
    old.job.end("succeeded");
    await old.job.settled.promise;
    const away = await jobWith(PART + 1, () => async () => ({
      ...{ status: 0, code: "", tag: "", message: "connect ENETUNREACH" },
    }));
    away.job.end("succeeded");
    await away.job.settled.promise;
    expect(keyOf()).toHaveLength(2);
    for (const { id, job } of [old, away]) {
      const key = keyOf().find((one) => one.endsWith(`/${id}-1`))!;
      expect(store.objects.get(key)!.equals(job.stream)).toBe(true);
    }
    expect(network.durable.outputs.received).toEqual({ direct: 0, relayed: 3 * PART + 1 });
    expect(network.log.join("\n")).toMatch(/cannot reach the object store \(connect ENETUNREACH\)/);
  });

  it("wait at their worker while the store is away or full", async () => {
    await start();
    let puts = 0;
    const { id, job } = await jobWith(2 * PART, (one) => (part) => {
      puts++;
      return putter(one)(part);
    });
    store.full = 507;
    job.end("succeeded");
    await expect.poll(() => network.log.join("\n"), { timeout: 30_000 }).toMatch(/it waits: .*507/);
    expect((await alice.record(id)).state).toBe("running");
    store.before = ({ query }) => {
      if (query.has("partNumber")) store.isAway = true;
    };
    store.full = 0;
    await expect.poll(() => puts, { timeout: 30_000 }).toBeGreaterThan(2);
    store.before = () => {};
    store.isAway = false;
    await job.settled.promise;
    expect((await alice.record(id)).state).toBe("succeeded");
    expect(store.objects.get(keyOf()[0]!)!.equals(job.stream)).toBe(true);
    expect(network.durable.outputs.received.relayed).toBe(0);
  });

  it("go on with the parts that are there when worker and scheduler are back", async () => {
    await start();
    let parts = 0;
    const { id, job } = await jobWith(3 * PART, (one) => async (part) => {
      const answer = await putter(one)(part);
      if (++parts === 3) await new Promise(() => {});
      return answer;
    });
    job.end("succeeded");
    await expect.poll(() => parts, { timeout: 30_000 }).toBe(3);
    await restart();
    const again = await network.worker(`w${id}`);
    const held = new TestJob();
    held.stream = job.stream;
    const asked: number[] = [];
    held.put = async (part) => {
      asked.push(part.start);
      return putter(held)(part);
    };
    held.assignment = job.assignment;
    held.end("succeeded");
    expect(await again.resume(held, "ended")).toBe("goOn");
    await held.settled.promise;
    // All had arrived, the last without being told of.
    expect(asked).toEqual([]);
    expect((await alice.record(id)).state).toBe("succeeded");
    expect(store.objects.get(keyOf()[0]!)!.equals(job.stream)).toBe(true);
    expect(store.uploads.size).toBe(0);
  });

  it("are put there anew when somebody has aborted their upload", async () => {
    await start();
    let parts = 0;
    const { job } = await jobWith(3 * PART, (one) => async (part) => {
      if (++parts === 2) store.uploads.clear();
      return putter(one)(part);
    });
    job.end("succeeded");
    await job.settled.promise;
    expect(parts).toBeGreaterThan(4);
    expect(store.objects.get(keyOf()[0]!)!.equals(job.stream)).toBe(true);
  });

  it("are tried again elsewhere if their worker has told a lie about them", async () => {
    await start();
    const { id, job } = await jobWith(2 * PART, () => async () => ({
      ...{ status: 200, code: "", tag: '"0"', message: "" },
    }));
    job.end("succeeded");
    const record = await untilRecord(
      alice.submission,
      id,
      ({ attempts }) => attempts.length > 0 && attempts[0]!.outcome !== null,
    );
    expect(record.attempts[0]).toMatchObject({
      outcome: "crashed",
      reason: expect.stringMatching(/files cannot be had from its worker "w\d+": what came/),
    });
    await expect.poll(() => store.uploads.size).toBe(0);
  });

  it("leave nothing behind when their job is cancelled", async () => {
    await start();
    let parts = 0;
    const { id, job } = await jobWith(4 * PART, (one) => async (part) => {
      const answer = await putter(one)(part);
      if (++parts >= 2) await job.cancelled.promise;
      return answer;
    });
    job.end("succeeded");
    await expect.poll(() => parts, { timeout: 30_000 }).toBeGreaterThanOrEqual(2);
    expect(store.uploads.size).toBe(1);
    await JobRecords.cancel(alice.submission, id);
    await expect.poll(() => store.uploads.size).toBe(0);
    await expect.poll(keyOf).toEqual([]);
  });

  it("are removed when all together are too large, and so is what a killed scheduler has begun", async () => {
    await start({ keepSize: 2500 });
    const ids: number[] = [];
    for (let n = 0; n < 3; n++) {
      const { id, job } = await jobWith(1000);
      ids.push(id);
      job.end("succeeded");
      await job.settled.promise;
    }
    await expect.poll(() => keyOf().length).toBe(2);
    expect(await JobRecords.outputs(alice.submission, ids[0]!)).toEqual({ attempt: 0, size: 0 });
    const book = Buffer.from(network.durable.records.book).toString("hex");
    store.uploads.set("unknown", { key: `jobs/${book}/99-1`, parts: new Map() });
    store.uploads.set("theirs", { key: `jobs/${"0".repeat(32)}/99-1`, parts: new Map() });
    await restart();
    await expect.poll(() => [...store.uploads.keys()]).toEqual(["theirs"]);
    expect(await JobRecords.outputs(alice.submission, ids[2]!)).toEqual({ attempt: 1, size: 1000 });
  });
});

it("one that the store does not let go keeps no others there, and is tried again", async () => {
  await start({ keepSize: 1500 });
  const refused: string[] = [];
  let isLocked = true;
  store.before = ({ key, method }) => {
    if (method !== "DELETE" || !isLocked || (refused.length > 0 && key !== refused[0])) return;
    refused.push(key);
    throw new Refusal(403, "AccessDenied", "Locked");
  };
  const another = async () => {
    const { job } = await jobWith(1000);
    job.end("succeeded");
    await job.settled.promise;
  };
  for (let n = 0; n < 3; n++) await another();
  await expect.poll(() => keyOf().length).toBe(2);
  expect(keyOf()[0]).toBe(refused[0]);
  isLocked = false;
  await another();
  await expect.poll(() => keyOf().length).toBe(1);
});

describe("a scheduler", () => {
  it("does not start with a store that cannot be used, and does with one that is away", async () => {
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "wrong");
    await expect(start()).rejects.toThrow(/check AWS_SECRET_ACCESS_KEY/);
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", KEYS.secretAccessKey);
    store.isAway = true;
    await start();
    expect(network.log.join("\n")).toMatch(/Check that it is up.*stay at their workers/);
  });
});
