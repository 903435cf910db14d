/** Stories of local directories that jobs are built from, as the scheduler keeps them. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  AbleQueue,
  Admin,
  Batches,
  ContextSource,
  ContextStore,
  DurableSubmission,
  JobRecords,
  LocalContext,
  PoolMonitor,
} from "../../src/api/index.js";
import { Identity } from "../../src/rpc/index.js";
import type { DurableSettings } from "../../src/scheduler/services/durable-settings.js";
import { Store } from "../../src/scheduler/state/store.js";
import { type Files, manifestOf, sendFiles, sha256 } from "../support/context-files.js";
import { descr, Network, type TestClient, type TestWorker } from "./network.js";

const FILES: Files = { a: "one", b: "two", empty: "" };
const LIMITS: DurableSettings["contexts"] = {
  size: 1_000_000,
  clientSize: 10_000_000,
  keepAge: 3600,
  keepSize: 100_000_000,
};

let directory: string;
let network: Network;
let alice: TestClient;
const identity = Identity.ephemeral();
let secret: Uint8Array | undefined;

beforeEach(() => {
  secret = undefined;
  directory = mkdtempSync(join(tmpdir(), "ocluster-contexts-"));
});

afterEach(async () => {
  await network?.stop();
  rmSync(directory, { recursive: true });
});

async function start(settings: Partial<DurableSettings> = {}): Promise<void> {
  const store = Store.open(join(directory, "scheduler.db"));
  network = await Network.start({
    durable: directory,
    store,
    identity,
    settings: { contexts: LIMITS, ...settings },
  });
  if (secret) network.secrets.set("alice", secret);
  alice = await (secret ? network.known("alice") : network.client("alice"));
  secret = network.secrets.get("alice");
}

async function restart(settings: Partial<DurableSettings> = {}): Promise<void> {
  await network.stop();
  await start(settings);
}

/** A worker that can build from local directories. */
async function able(name: string): Promise<TestWorker> {
  const worker = await network.worker(name);
  const { contexts, docker, obuilder } = AbleQueue.ABILITY;
  const machine = { cpus: 1, memory: 0, architecture: "" };
  await AbleQueue.declare(worker.queue, { able: [docker, obuilder, contexts], ...machine });
  return worker;
}

const sourceOf = (manifest: string) => LocalContext.sourceOf(manifest);

const readAs = (worker: TestWorker, blobs: readonly string[], start = 0, limit = 1000) =>
  ContextSource.read(worker.queue, { client: "alice", blobs, start, limit }).then((data) =>
    Buffer.from(data).toString(),
  );

/** Blobs on disk, of all clients. */
function onDisk(): string[] {
  const top = join(directory, "contexts");
  return readdirSync(top, { recursive: true, encoding: "utf8" })
    .filter((path) => /blobs\/..\//.test(path))
    .map((path) => path.replace(/.*\//, ""));
}

async function isKnown(client: TestClient, manifest: string): Promise<boolean> {
  return (await ContextStore.known(client.submission, manifest)).known;
}

describe("a local directory", () => {
  it("is sent once, and is its client's alone", async () => {
    await start();
    const hash = sha256(manifestOf(FILES));
    const blobs = Object.values(FILES).map((text) => sha256(text));
    expect(await ContextStore.known(alice.submission, hash)).toEqual({
      ...{ known: false, limits: { bytes: LIMITS.size, entries: 500_000 } },
    });
    expect(await ContextStore.missing(alice.submission, blobs)).toEqual(blobs);
    expect(await ContextStore.keep(alice.submission, hash)).toEqual([hash]);
    await ContextStore.put(alice.submission, [manifestOf(FILES), Buffer.from("one")]);
    const lacking = await ContextStore.keep(alice.submission, hash);
    expect(lacking.sort()).toEqual([sha256("two"), sha256("")].sort());
    expect(await sendFiles(alice.submission, FILES)).toBe(hash);
    expect(await isKnown(alice, hash)).toBe(true);
    expect(await ContextStore.missing(alice.submission, blobs)).toEqual([]);
    expect(await sendFiles(alice.submission, FILES)).toBe(hash);
    const bob = await network.client("bob");
    expect(await isKnown(bob, hash)).toBe(false);
    expect(await ContextStore.missing(bob.submission, blobs)).toEqual(blobs);
    const job = bob.submit("spec", { source: sourceOf(hash) });
    await expect(job.result).rejects.toThrow(/is not kept \(any more\): submit it again/);
    job.release();
  });

  it("is for workers that can fetch it, and waits for one", async () => {
    await start();
    const source = sourceOf(await sendFiles(alice.submission, FILES));
    const old = await network.worker("old");
    const id = await alice.submitDurable("one", { source });
    const plain = await alice.submitDurable("two");
    expect((await old.popDurable()).assignment!.job).toBe(plain);
    expect((await alice.record(id)).reason).toBe(
      "It waits for a worker that can build from local directories: none that is connected can.",
    );
    const subject = { kind: "job", job: id } as const;
    const { obstacles } = await PoolMonitor.explain(await network.poolAdmin(), subject);
    expect(obstacles).toContainEqual({
      ...{ kind: "unable", workers: 1, needs: ["obuilder", "contexts"] },
    });
    const job = await (await able("new")).popDurable();
    expect(job.assignment!.job).toBe(id);
    expect(LocalContext.manifestOf(job.descr.source)).toBe(source.commits[0]);
  });

  it("is read by workers while a job needs it, in parts of any of its files", async () => {
    await start();
    const hash = await sendFiles(alice.submission, FILES);
    const worker = await able("w1");
    const [one, two] = [sha256("one"), sha256("two")];
    await expect(readAs(worker, [one])).rejects.toThrow(/is not kept/);
    const submitted = alice.submit("spec", { source: sourceOf(hash) });
    const job = await worker.pop();
    expect(await readAs(worker, [hash])).toBe(manifestOf(FILES).toString());
    expect(await readAs(worker, [one, sha256(""), two, one])).toBe("onetwoone");
    expect(await readAs(worker, [one, two], 2, 3)).toBe("etw");
    expect(await readAs(worker, [one, two], 6)).toBe("");
    expect(await readAs(worker, [], 0)).toBe("");
    await expect(readAs(worker, [one, "ff".repeat(32)])).rejects.toThrow(/is not kept/);
    job.output.resolve("");
    await submitted.result;
    await expect.poll(() => readAs(worker, [one]).catch(String)).toMatch(/is not kept/);
    submitted.release();
  });

  it("goes on at its byte when it is large, and is refused when it is not what it said", async () => {
    await start();
    const data = Buffer.alloc(300_000, "x");
    const part = { blob: sha256(data), size: data.length };
    const send = (start: number, end: number) =>
      ContextStore.append(alice.submission, { ...part, start, data: data.subarray(start, end) });
    expect(await send(0, 100_000)).toBe(100_000);
    expect(await send(0, 50_000)).toBe(100_000);
    expect(await send(200_000, 300_000)).toBe(100_000);
    await restart();
    expect(await send(0, 0)).toBe(100_000);
    expect(await send(100_000, 300_000)).toBe(300_000);
    expect(await ContextStore.missing(alice.submission, [part.blob])).toEqual([]);
    expect(await send(0, 1)).toBe(300_000);
    const lie = { blob: sha256("lie"), size: 3, start: 0, data: Buffer.from("eil") };
    await expect(ContextStore.append(alice.submission, lie)).rejects.toThrow(/did it change/);
    expect(await ContextStore.missing(alice.submission, [lie.blob])).toEqual([lie.blob]);
    await expect(
      ContextStore.append(alice.submission, { ...lie, size: 1, data: Buffer.from("lie") }),
    ).rejects.toThrow(/More was sent/);
  });

  it("outlives the scheduler when it is complete; the rest of what was sent does not", async () => {
    await start();
    const hash = await sendFiles(alice.submission, FILES);
    await ContextStore.put(alice.submission, [Buffer.from("loose")]);
    await restart();
    expect(await isKnown(alice, hash)).toBe(true);
    expect(await ContextStore.missing(alice.submission, [sha256("loose")])).toHaveLength(1);
    expect(onDisk()).toHaveLength(4);
    // One whose files are not all there is none.
    await network.stop();
    const top = join(directory, "contexts");
    const [blob] = readdirSync(top, { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith(sha256("one")),
    );
    rmSync(join(top, blob!));
    await start();
    expect(await isKnown(alice, hash)).toBe(false);
    expect(await sendFiles(alice.submission, FILES)).toBe(hash);
  });

  it("that makes no sense is refused", async () => {
    await start();
    const keep = async (manifest: Buffer) => {
      await ContextStore.put(alice.submission, [manifest]);
      return ContextStore.keep(alice.submission, sha256(manifest));
    };
    await expect(keep(Buffer.from("no manifest\n"))).rejects.toThrow(/refused/);
    const form = '["ocluster-context",1]\n';
    await expect(keep(Buffer.from(`${form}["l","../up","x"]\n`))).rejects.toThrow(
      /in no directory/,
    );
    await ContextStore.put(alice.submission, [Buffer.from("one")]);
    const lie = `${form}["f","a",420,1,4,"${sha256("one")}"]\n`;
    await expect(keep(Buffer.from(lie))).rejects.toThrow(/wrong sizes/);
    const both = `${form}["f","a",420,1,3,"${sha256("one")}"]\n["f","b",420,1,4,"${sha256("one")}"]\n`;
    await expect(keep(Buffer.from(both))).rejects.toThrow(/wrong sizes/);
    for (const source of [
      { repository: "ocluster-context:", commits: [] },
      { repository: "ocluster-context:", commits: ["../../etc"] },
      { repository: "ocluster-context:", commits: [sha256("a"), sha256("b")] },
    ]) {
      await expect(alice.submitDurable("spec", { source })).rejects.toThrow(/no local directory/);
    }
    const { DEFAULT_DURABLE_OPTIONS: options } = DurableSubmission;
    const template = { columns: [], spec: [], buildArgs: [], hint: [] };
    const batch = {
      ...{ name: "b", fresh: false, pool: "pool", urgent: false, digest: Buffer.alloc(32) },
      ...{ options, rules: Batches.NO_RULES },
      template: { ...template, descr: descr("", "", sourceOf(sha256("a"))) },
    };
    await expect(Batches.open(alice.submission, batch)).rejects.toThrow(/submit a job with --con/);
  });
});

describe("what is kept of local directories", () => {
  const big = (letter: string): Files => ({ file: letter.repeat(900_000) });
  async function sendBig(client: TestClient, letter: string): Promise<string> {
    const data = Buffer.from(letter.repeat(900_000));
    await ContextStore.put(client.submission, [data]);
    const manifest = manifestOf(big(letter));
    await ContextStore.put(client.submission, [manifest]);
    expect(await ContextStore.keep(client.submission, sha256(manifest))).toEqual([]);
    return sha256(manifest);
  }
  /** As if what clients were told was long ago. */
  async function later(settings: Partial<DurableSettings> = {}): Promise<void> {
    await restart(settings);
    await expect.poll(() => network.durable!.contexts.isReady).toBe(true);
  }

  it("has bounds for one, for a client and for all", async () => {
    const contexts = { ...LIMITS, clientSize: 2_000_000, keepSize: 3_000_000 };
    await start({ contexts });
    const huge = { blob: sha256("x"), size: 1_000_001, start: 0, data: Buffer.alloc(1) };
    await expect(ContextStore.append(alice.submission, huge)).rejects.toThrow(/has 1000001 bytes/);
    const many = Object.fromEntries(
      ["x", "y"].map((letter) => [letter, letter.repeat(600_000)] as const),
    );
    for (const text of Object.values(many)) {
      await ContextStore.put(alice.submission, [Buffer.from(text)]);
    }
    const manifest = manifestOf(many);
    await ContextStore.put(alice.submission, [manifest]);
    await expect(ContextStore.keep(alice.submission, sha256(manifest))).rejects.toThrow(
      /It has 2 files and 1200000 bytes; the limits are 500000 and 1000000/,
    );
    // What was told to be there stays for some minutes.
    await expect(sendBig(alice, "z")).rejects.toThrow(/no room.*--max-client-contexts/);
    const bob = await network.client("bob");
    await sendBig(bob, "b");
    const carol = await network.client("carol");
    await expect(sendBig(carol, "c")).rejects.toThrow(/no room.*--keep-contexts/);
  });

  it("goes for others, the longest unused first, unless a job needs it", async () => {
    const contexts = { ...LIMITS, clientSize: 3_000_000 };
    await start({ contexts });
    const first = await sendBig(alice, "a");
    const second = await sendBig(alice, "b");
    const third = await sendBig(alice, "c");
    const id = await alice.submitDurable("spec", { source: sourceOf(first) });
    await later({ contexts });
    await sendBig(alice, "d");
    expect(await Promise.all([first, second, third].map((hash) => isKnown(alice, hash)))).toEqual([
      ...[true, false, true],
    ]);
    expect((await alice.record(id)).state).toBe("queued");
  });

  it("stays as long as a job that has failed can be tried again, and not longer", async () => {
    const settings = { contexts: { ...LIMITS, keepAge: 0 }, keepFailed: 3600 };
    await start(settings);
    const hash = await sendFiles(alice.submission, FILES);
    const id = await alice.submitDurable("spec", { source: sourceOf(hash) });
    const worker = await able("w1");
    (await worker.popDurable()).end("failed");
    await alice.ended(id);
    await later(settings);
    await network.durable!.contexts.swept();
    await JobRecords.retry(alice.submission, id);
    const again = await (await able("w2")).popDurable();
    again.end("succeeded");
    await alice.ended(id);
    await later(settings);
    await network.durable!.contexts.swept();
    expect(onDisk()).toEqual([]);
    // Its number is answered for without what it was built from.
    await expect(JobRecords.retry(alice.submission, id)).rejects.toThrow();
  });

  it("goes with its client", async () => {
    await start();
    const hash = await sendFiles(alice.submission, FILES);
    const bob = await network.client("bob");
    await sendFiles(bob.submission, { mine: "two" });
    await Admin.removeClient(await network.admin(), "alice");
    expect(onDisk().sort()).toEqual([sha256("two"), sha256(manifestOf({ mine: "two" }))].sort());
    await expect(isKnown(alice, hash)).rejects.toThrow(/revoked/);
  });

  it("is found out in the background, and what cannot be used is no harm to the rest", async () => {
    writeFileSync(join(directory, "contexts"), "no directory");
    await start();
    await expect(isKnown(alice, sha256("a"))).rejects.toThrow(/cannot keep the context/);
    const job = await alice.submitDurable("spec");
    expect((await alice.record(job)).state).toBe("queued");
    await expect(alice.submitDurable("spec", { source: sourceOf(sha256("a")) })).rejects.toThrow();
    await network.stop();
    rmSync(join(directory, "contexts"));
    await start();
    expect(existsSync(join(directory, "contexts"))).toBe(true);
  });
});
