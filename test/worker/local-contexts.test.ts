/** Local directories as a worker makes them, of what a scheduler gives it. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ContextManifest, ContextSource } from "../../src/api/index.js";
import { RpcError, serve } from "../../src/rpc/index.js";
import { LocalContexts } from "../../src/worker/context/local-contexts.js";
import { sha256 } from "../support/context-files.js";

let home: string;
let blobs: Map<string, Buffer>;
let asked: ContextSource.BlobRange[];
/** Called before each answer. */
let before: (range: ContextSource.BlobRange) => void | Promise<void>;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "ocluster-worker-context-"));
  blobs = new Map();
  asked = [];
  before = () => {};
});

afterEach(() => rmSync(home, { recursive: true }));

/** A scheduler's end. */
function queue() {
  return serve(
    "Queue",
    ContextSource.contextSourceMethods({
      readBlobs: async (range) => {
        asked.push(range);
        await before(range);
        const all = range.blobs.map((hash) => blobs.get(hash));
        if (all.includes(undefined)) throw new RpcError("failed", "It is not kept (any more)");
        const data = Buffer.concat(all as Buffer[]);
        return data.subarray(range.start, range.start + range.limit);
      },
    }),
  );
}

function add(data: string | Buffer): string {
  const bytes = Buffer.from(data);
  blobs.set(sha256(bytes), bytes);
  return sha256(bytes);
}

function file(path: string, data: string | Buffer, mode = 0o644): ContextManifest.ContextFile {
  const size = Buffer.byteLength(data);
  return { type: "file", path, mode, mtime: 1_600_000_000_123_456, size, sha256: add(data) };
}

const manifest = (entries: readonly ContextManifest.ContextEntry[]) =>
  add(ContextManifest.writeManifest(entries));

let made = 0;

async function fill(contexts: LocalContexts, hash: string, signal = new AbortController().signal) {
  const target = join(home, `job-${++made}`);
  mkdirSync(target);
  const lines: string[] = [];
  const io = { log: (line: string) => void lines.push(line), signal };
  await contexts.fill({ client: "alice", manifest: hash }, target, io);
  return { target, log: lines.join("\n") };
}

function contextsOf(maxSize = 1e9): LocalContexts {
  const contexts = new LocalContexts(join(home, "cache"), maxSize);
  contexts.link.attach(queue());
  return contexts;
}

const cached = () =>
  readdirSync(join(home, "cache"), { recursive: true, encoding: "utf8" })
    .filter((path) => /^..\//.test(path))
    .map((path) => path.slice(3))
    .sort();

describe("a local directory", () => {
  it("is made as its client has it, and fetched once", async () => {
    const large = Buffer.alloc(3_000_000, "large");
    const hash = manifest([
      file("a.txt", "one"),
      { type: "dir", path: "d", mode: 0o555 },
      file("d/empty", ""),
      file("d/run", "#!/bin/sh", 0o751),
      { type: "link", path: "d/up", target: "/etc/passwd" },
      file("large", large),
      file("same", "one", 0o600),
    ]);
    const contexts = contextsOf();
    const first = await fill(contexts, hash);
    expect(first.log).toMatch(/5 files .*, of which 4 .* were not here already/);
    const at = (path: string) => join(first.target, path);
    expect(readFileSync(at("a.txt"), "utf8")).toBe("one");
    expect(readFileSync(at("large")).equals(large)).toBe(true);
    expect(readlinkSync(at("d/up"))).toBe("/etc/passwd");
    expect(lstatSync(at("d/run")).mode & 0o7777).toBe(0o751);
    expect(lstatSync(at("same")).mode & 0o7777).toBe(0o600);
    expect(lstatSync(at("d")).mode & 0o7777).toBe(0o755);
    expect(lstatSync(at("a.txt")).mtimeMs).toBeCloseTo(1_600_000_000_123.456, 1);
    // A job may write to its files, which are nobody else's.
    writeFileSync(at("a.txt"), "ONE");
    asked = [];
    const second = await fill(contexts, hash);
    expect(second.log).toMatch(/of which 0 /);
    expect(asked).toEqual([]);
    expect(readFileSync(join(second.target, "a.txt"), "utf8")).toBe("one");
    const changed = manifest([file("a.txt", "two"), file("large", large)]);
    await fill(contexts, changed);
    const fetched = new Set(asked.flatMap(({ blobs }) => blobs));
    expect([...fetched].sort()).toEqual([changed, sha256("two")].sort());
  });

  it("comes in few questions, however many files it has", async () => {
    const entries = Array.from({ length: 3000 }, (_, i) =>
      file(`f${String(i).padStart(5, "0")}`, `content ${i}`),
    );
    const { target } = await fill(contextsOf(), manifest(entries));
    expect(readdirSync(target)).toHaveLength(3000);
    expect(readFileSync(join(target, "f02999"), "utf8")).toBe("content 2999");
    expect(asked.length).toBeLessThan(15);
  });

  it("that leads out of its directory, or lies about what is in it, is refused", async () => {
    const contexts = contextsOf();
    const text = (lines: string) => add(`["ocluster-context",1]\n${lines}\n`);
    await expect(fill(contexts, text('["l","a/../../x","y"]'))).rejects.toThrow(/makes no sense/);
    await expect(fill(contexts, text('["l","a","/tmp"]\n["d","a/b",493]'))).rejects.toThrow(
      /makes no sense/,
    );
    await expect(fill(contexts, "")).rejects.toThrow(/no manifest/);
    const lie = { ...file("a", "one"), size: 2 };
    await expect(fill(contexts, manifest([lie]))).rejects.toThrow(/come damaged/);
    const other = file("b", "two");
    blobs.set(other.sha256, Buffer.from("owt"));
    await expect(fill(contexts, manifest([other]))).rejects.toThrow(/come damaged/);
    const huge = file("c", Buffer.alloc(500_000, "c"));
    blobs.set(huge.sha256, Buffer.alloc(500_000, "d"));
    await expect(fill(contexts, manifest([huge]))).rejects.toThrow(/come damaged/);
    blobs.set(huge.sha256, Buffer.alloc(499_999, "c"));
    await expect(fill(contexts, manifest([huge]))).rejects.toThrow(/come damaged/);
    const gone = { ...file("d", "gone"), sha256: "ab".repeat(32) };
    await expect(fill(contexts, manifest([gone]))).rejects.toThrow(/not kept \(any more\)/);
    // Two names that are the same bytes: one of them is in the way.
    const twice = manifest(
      [file("\udcc3\udca9", "1"), file("é", "2")].sort((a, b) => (a.path < b.path ? -1 : 1)),
    );
    await expect(fill(contexts, twice)).rejects.toThrow(/Cannot make the local directory/);
    expect(readdirSync(join(home, "cache/new"))).toEqual([]);
  });
});

describe("the way to the scheduler", () => {
  it("is waited for when it is lost, and what was there is not fetched again", async () => {
    const contexts = new LocalContexts(join(home, "cache"), 1e9);
    const parts = Array.from({ length: 5 }, (_, i) => file(`f${i}`, Buffer.alloc(300_000, `${i}`)));
    const hash = manifest(parts);
    const lost = queue();
    contexts.link.attach(lost);
    let isLost = false;
    before = ({ blobs: [blob] }) => {
      if (isLost || blob !== parts[3]!.sha256) return;
      isLost = true;
      contexts.link.detach(lost);
      throw new RpcError("disconnected", "Lost");
    };
    const filled = fill(contexts, hash);
    await expect.poll(() => isLost).toBe(true);
    contexts.link.attach(queue());
    const { target } = await filled;
    expect(readdirSync(target)).toHaveLength(5);
    const firsts = asked.filter(
      ({ blobs: [blob], start }) => blob === parts[0]!.sha256 && start === 0,
    );
    expect(firsts).toHaveLength(1);
  });

  it("is given up when the job is not wanted any more", async () => {
    const contexts = new LocalContexts(join(home, "cache"), 1e9);
    const stop = new AbortController();
    const filled = fill(contexts, manifest([file("a", "one")]), stop.signal);
    stop.abort(new Error("Job cancelled"));
    await expect(filled).rejects.toThrow("Job cancelled");
  });

  it("is gone once for two jobs that want the same, also if the first gives up", async () => {
    const contexts = contextsOf();
    const one = file("a", Buffer.alloc(200_000, "a"));
    const [first, second] = [manifest([one]), manifest([one, file("b", "b")])];
    const stop = new AbortController();
    let reads = 0;
    let go = () => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    before = async ({ blobs: [blob] }) => {
      if (blob === one.sha256 && ++reads === 1) await held;
    };
    const given = fill(contexts, first, stop.signal);
    await expect.poll(() => reads).toBe(1);
    const done = fill(contexts, second);
    await expect.poll(() => existsSync(join(home, "cache", sha256("b").slice(0, 2)))).toBe(true);
    expect(reads).toBe(1);
    stop.abort(new Error("Job cancelled"));
    await expect(given).rejects.toThrow("Job cancelled");
    go();
    expect(readdirSync((await done).target)).toEqual(["a", "b"]);
    expect(reads).toBe(2);
  });
});

describe("what is kept for the next job", () => {
  it("is bounded: what was not used for longest goes, but not what a job is using", async () => {
    const contexts = contextsOf(1_000_000);
    const [a, b, c] = ["a", "b", "c"].map((name) => file(name, Buffer.alloc(400_000, name)));
    await fill(contexts, manifest([a!]));
    await fill(contexts, manifest([b!]));
    await fill(contexts, manifest([a!]));
    await fill(contexts, manifest([c!]));
    expect(cached()).toContain(a!.sha256);
    expect(cached()).not.toContain(b!.sha256);
    // One that is larger than all that may be kept is made all the same.
    const { target } = await fill(contexts, manifest([a!, b!, c!]));
    expect(readdirSync(target)).toEqual(["a", "b", "c"]);
    const sizes = cached().map((hash) => blobs.get(hash)!.length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(1_000_000);
  });

  it("is looked at before it is used, as the machine may have failed", async () => {
    const entries = [file("a", "one"), file("b", Buffer.alloc(600_000, "b"))];
    const hash = manifest(entries);
    await fill(contextsOf(), hash);
    const pathOf = (sha: string) => join(home, "cache", sha.slice(0, 2), sha);
    writeFileSync(pathOf(entries[0]!.sha256), "two");
    writeFileSync(pathOf(entries[1]!.sha256), "");
    writeFileSync(pathOf(hash), "");
    const { target } = await fill(contextsOf(), hash);
    expect(readFileSync(join(target, "a"), "utf8")).toBe("one");
    expect(readFileSync(join(target, "b"))).toHaveLength(600_000);
    asked = [];
    await fill(contextsOf(), hash);
    expect(asked).toEqual([]);
  });
});
