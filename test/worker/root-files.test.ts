/**
 * Files of roots that nobody vouches for, taken by the worker and fetched by a client: nothing
 * leads out of the root, or of the place.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Admin, JobRecords, OutputStream } from "../../src/api/index.js";
import { OutputFetch } from "../../src/client/outputs/fetch-outputs.js";
import { type OutputSpec, readOutputSpec } from "../../src/client/outputs/output-spec.js";
import { type Capability, RpcError } from "../../src/rpc/index.js";
import { readPathPattern } from "../../src/text/index.js";
import { matchedPart } from "../../src/worker/outputs/image-files.js";
import { OutputWriter } from "../../src/worker/outputs/output-writer.js";
import { writeRootFiles } from "../../src/worker/outputs/root-files.js";

let dir: string;
let root: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-files-"));
  root = join(dir, "root");
  mkdirSync(root);
  writeFileSync(join(dir, "secret"), "of the machine");
});

afterEach(() => rmSync(dir, { recursive: true }));

function put(path: string, content = path): void {
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), content);
}

/** The stream of what is asked for. */
async function take(paths: string[], { limit = 1e9, optional = false } = {}): Promise<Buffer> {
  const file = await open(join(dir, "stream"), "w+");
  try {
    const writer = new OutputWriter(file, limit);
    const list = await writeRootFiles(root, { paths, optional, limit }, writer);
    const { sha256, size } = await writer.finish(list);
    const stream = readFileSync(join(dir, "stream"));
    expect(stream.length).toBe(size);
    expect(createHash("sha256").update(stream).digest().equals(sha256)).toBe(true);
    return stream;
  } finally {
    await file.close();
  }
}

function listOf(stream: Buffer): OutputStream.OutputList {
  const at = stream.length - OutputStream.TRAILER_SIZE;
  const trailer = OutputStream.readTrailer(stream.subarray(at), stream.length);
  return OutputStream.readList(stream.subarray(trailer.contents, at), trailer);
}

const pathsOf = (stream: Buffer) => listOf(stream).entries.map(({ path }) => path);

/** A scheduler that keeps that stream of job 1; `fails` may throw before a part is given. */
function keeping(stream: Buffer, fails: (start: number) => void = () => {}): Capability {
  const never = () => Promise.reject(new Error("not asked for"));
  const none = () => {
    throw new Error("not asked for");
  };
  const records: JobRecords.JobRecordsService = {
    ...{ list: never, get: never, log: never, cancelJob: never, retry: never, usage: never },
    outputs: async () => ({ attempt: 1, size: stream.length }),
    readOutputs: async ({ limit, start }) => {
      fails(start);
      return stream.subarray(start, start + limit);
    },
  };
  const admin = { pools: none, pool: none, addClient: none, removeClient: none, listClients: none };
  return Admin.local(admin, JobRecords.jobRecordsMethods(records));
}

function specs(...texts: string[]): OutputSpec[] {
  return texts.map((text) => {
    const spec = readOutputSpec(text.replace(/:(?!-$)/, `:${dir}/`));
    if (typeof spec === "string") throw new Error(spec);
    return spec;
  });
}

async function fetch(stream: Buffer, ...outputs: string[]): Promise<void> {
  using records = keeping(stream);
  await new OutputFetch({ job: 1, outputs: specs(...outputs) }).run(records);
}

/** A stream that is nothing but a list. */
function listed(asked: OutputStream.Asked, entries: OutputStream.OutputEntry[]): Buffer {
  const list = Buffer.concat([asked, ...entries].map((line) => OutputStream.listLine(line)));
  const sha256 = createHash("sha256").update(list).digest();
  const trailer = OutputStream.writeTrailer({ contents: 0, list: list.length, sha256 });
  return Buffer.concat([list, trailer]);
}

const leftAside = () => readdirSync(dir).filter((name) => name.includes("ocluster-1"));

describe("files of a root", () => {
  it("are found by links as these are meant in the root", async () => {
    put("real/a");
    symlinkSync("/real", join(root, "absolute"));
    symlinkSync("../../../../../real", join(root, "up"));
    symlinkSync("a", join(root, "real/latest"));
    symlinkSync("/loop", join(root, "loop"));
    symlinkSync(join(dir, "secret"), join(root, "away"));
    expect(pathsOf(await take(["/absolute/a"]))).toEqual(["real/a"]);
    expect(pathsOf(await take(["/up/latest"]))).toEqual(["real/a"]);
    for (const path of ["/loop", "/loop/x", "/away", "/real/a/b", "/nothing"]) {
      await expect(take([path]), path).rejects.toThrow(`The output "${path}" is not there`);
    }
    expect(listOf(await take(["/away"], { optional: true })).asked[0]!.found).toEqual([]);
  });

  it("have links as links, and neither devices nor rights to become somebody else", async () => {
    put("out/suid");
    chmodSync(join(root, "out/suid"), 0o6755);
    symlinkSync(join(dir, "secret"), join(root, "out/away"));
    execFileSync("mknod", [join(root, "out/null"), "c", "1", "3"]);
    execFileSync("mkfifo", [join(root, "out/pipe")]);
    await fetch(await take(["/out"]), "/out:got");
    expect(readdirSync(join(dir, "got")).sort()).toEqual(["away", "suid"]);
    expect(readlinkSync(join(dir, "got/away"))).toBe(join(dir, "secret"));
    expect(statSync(join(dir, "got/suid")).mode & 0o7777).toBe(0o755);
  });

  it("are each taken once, and by patterns", async () => {
    for (const path of ["s/a.xml", "s/x/b.xml", "s/x/y/c.xml", "s/.git/d.xml", "s/e.txt"])
      put(path);
    const stream = await take(["/s/**/*.xml", "/s/x", "/s/*"]);
    const [deep, exact, flat] = listOf(stream).asked;
    expect(deep!.found.map(([, name]) => name).sort()).toEqual(["a.xml", "x/b.xml", "x/y/c.xml"]);
    expect(exact!.found).toEqual([["s/x", "x"]]);
    expect(flat!.found.map(([, name]) => name)).toEqual(["a.xml", "e.txt", "x"]);
    expect(pathsOf(stream).sort()).toEqual(
      ["s/a.xml", "s/e.txt", "s/x", "s/x/b.xml", "s/x/y", "s/x/y/c.xml"].sort(),
    );
    await fetch(stream, "/s/**/*.xml:deep/", "/s/x:x", "/s/*:flat/", "/s/x:x.tar");
    expect(readFileSync(join(dir, "deep/x/y/c.xml"), "utf8")).toBe("s/x/y/c.xml");
    expect(readFileSync(join(dir, "flat/x/b.xml"), "utf8")).toBe("s/x/b.xml");
    const packed = execFileSync("tar", ["-tf", join(dir, "x.tar")]).toString();
    expect(packed.split("\n").sort()).toEqual(["", "x/", "x/b.xml", "x/y/", "x/y/c.xml"]);
  });

  it("keep holes, and are not counted by them", async () => {
    const fd = openSync(join(root, "sparse"), "w");
    ftruncateSync(fd, 3e8);
    writeSync(fd, "middle", 100_000_000);
    closeSync(fd);
    const stream = await take(["/sparse"], { limit: 1_000_000 });
    expect(stream.length).toBeLessThan(200_000);
  });

  it("that have next to nothing but holes without end are refused before they are read", async () => {
    const fd = openSync(join(root, "sparse"), "w");
    ftruncateSync(fd, 1024 ** 4 + 1);
    closeSync(fd);
    await expect(take(["/sparse"])).rejects.toThrow(/with their holes, and 1T are allowed/);
    expect(statSync(join(dir, "stream")).size).toBe(0);
  });

  it("of an image are matched in no more steps than path and pattern have parts", () => {
    const parts = (text: string) => {
      const pattern = readPathPattern(text);
      if (typeof pattern === "string") throw new Error(pattern);
      return pattern.parts;
    };
    const deep = new Array<string>(500).fill("b");
    let steps = 0;
    const counted = parts("/**/b/**/b/**/zz").map((part) => ({
      ...part,
      matches: (name: string) => ++steps > 0 && !part.deep && part.matches(name),
    }));
    expect(matchedPart(counted, deep)).toBe(undefined);
    expect(steps).toBeLessThanOrEqual(counted.length * deep.length);
    expect(matchedPart(parts("/**/b/**/zz"), [...deep, "zz", "x"])).toBe(501);
    expect(matchedPart(parts("/**/*.xml"), ["x", "y", "c.xml", "z"])).toBe(3);
    expect(matchedPart(parts("/**"), ["x", "y"])).toBe(1);
    expect(matchedPart(parts("/**"), [".git", "y"])).toBe(undefined);
    expect(matchedPart(parts("/*/y"), ["x"])).toBe(undefined);
  });

  it("that are too large are refused before a byte is written", async () => {
    put("big", "x".repeat(100_000));
    await expect(take(["/big"], { limit: 50_000 })).rejects.toThrow(/50000 B|48\.8|are allowed/);
    expect(statSync(join(dir, "stream")).size).toBe(0);
  });

  it("are read where they are, though a directory becomes a link meanwhile", async () => {
    for (let i = 0; i < 50; i++) put(`out/d${i}/file`, "inside");
    mkdirSync(join(dir, "outside"));
    writeFileSync(join(dir, "outside/file"), "of the machine");
    const file = await open(join(dir, "stream"), "w+");
    const writer = new OutputWriter(file, 1e9);
    const begin = writer.begin.bind(writer);
    let begun = 0;
    writer.begin = () => {
      if (++begun === 10) {
        for (let i = 0; i < 50; i++) {
          renameSync(join(root, `out/d${i}`), join(root, `moved${i}`));
          symlinkSync(join(dir, "outside"), join(root, `out/d${i}`));
        }
      }
      return begin();
    };
    const wanted = { paths: ["/out"], optional: false, limit: 1e9 };
    await expect(writeRootFiles(root, wanted, writer)).rejects.toThrow(/ELOOP|ENOTDIR/);
    await file.close();
    expect(readFileSync(join(dir, "stream"), "utf8")).not.toContain("of the machine");
  });
});

describe("a fetch", () => {
  it("goes on at its byte when the connection is lost, and with what a killed client has left", async () => {
    const content = "0123456789".repeat(400_000);
    put("out/big", content);
    put("out/small");
    linkSync(join(root, "out/big"), join(root, "out/same"));
    const stream = await take(["/out"]);
    const outputs = specs("/out:got");
    const lost = () => new RpcError("disconnected", "lost");
    let isCut = true;
    const starts: number[] = [];
    const listAt = stream.length - 4000;
    using records = keeping(stream, (start) => {
      if (start < listAt) starts.push(start);
      if (isCut && start >= 2_000_000 && start < listAt) throw lost();
    });
    const first = new OutputFetch({ job: 1, outputs });
    await expect(first.run(records)).rejects.toMatchObject({ kind: "disconnected" });
    expect(existsSync(join(dir, "got"))).toBe(false);
    isCut = false;
    const before = starts.length;
    // Another process: it knows nothing of the first.
    await new OutputFetch({ job: 1, outputs }).run(records);
    expect(starts[before]).toBeGreaterThanOrEqual(1_500_000);
    expect(readFileSync(join(dir, "got/big"), "utf8")).toBe(content);
    expect(lstatSync(join(dir, "got/same")).ino).toBe(lstatSync(join(dir, "got/big")).ino);
    expect(leftAside()).toEqual([]);
  });

  it("puts nothing anywhere that is damaged, or whose list is not what it should be", async () => {
    put("out/a", "aaaa");
    const stream = await take(["/out"]);
    const damaged = Buffer.from(stream);
    damaged[1]! ^= 1;
    await expect(fetch(damaged, "/out:got")).rejects.toThrow(/"out\/a" has arrived damaged/);
    const list = Buffer.from(stream);
    list[10]! ^= 1;
    await expect(fetch(list, "/out:got")).rejects.toThrow(/list of the files is damaged/);
    await expect(fetch(stream.subarray(5), "/out:got")).rejects.toThrow(/does not fit/);
    expect(existsSync(join(dir, "got"))).toBe(false);
    expect(leftAside()).toEqual([]);
  });

  it.each([
    ["climbs out", ["out/../../evil"]],
    ["is below a link", ["out/l", "out/l/evil"]],
    ["comes twice", ["out/a", "out/a"]],
    ["has an empty part", ["out//evil"]],
    ["has a NUL", ["out/e\0vil"]],
  ])("writes nothing of a list in which a name %s", async (_, paths) => {
    const common = { mode: 0o644, mtime: 1 };
    const entries = ["out", ...paths].map((path): OutputStream.OutputEntry => {
      if (path === "out") return { type: "dir", path, ...common, mode: 0o755 };
      if (path === "out/l") return { type: "link", path, target: dir, ...common };
      const sha256 = createHash("sha256").digest("hex");
      return { type: "file", path, size: 0, sha256, at: 0, ...common };
    });
    const asked = { asked: "/out", isPattern: false, found: [["out", "out"]] as const };
    await expect(fetch(listed(asked, entries), "/out:got")).rejects.toThrow(/name|twice/);
    expect(existsSync(join(dir, "evil"))).toBe(false);
    expect(existsSync(join(dir, "got"))).toBe(false);
    expect(leftAside()).toEqual([]);
  });

  it("needs nothing but the directory that files are to go into, if that is there", async () => {
    put("out/a");
    put("out/b");
    const stream = await take(["/out/*", "/out"]);
    const place = join(dir, "outer/got");
    mkdirSync(place, { recursive: true });
    const inside: string[] = [];
    using records = keeping(stream, () => void inside.push(...readdirSync(place)));
    const outputs = specs("/out/*:outer/got/");
    await new OutputFetch({ job: 1, outputs }).run(records);
    expect(inside).toContain(".got.ocluster-1-1");
    expect(readdirSync(join(dir, "outer"))).toEqual(["got"]);
    expect(readdirSync(place).sort()).toEqual(["a", "b"]);
  });

  it("refuses an archive that holes would make larger than the disk", async () => {
    const sha256 = createHash("sha256").digest("hex");
    const size = 2 ** 52;
    const file = { type: "file", path: "out", size, sha256, at: 0, data: [] } as const;
    const stream = listed({ asked: "/out", isPattern: false, found: [["out", "out"]] }, [
      { ...file, mode: 0o644, mtime: 1 },
    ]);
    await expect(fetch(stream, "/out:got.tar")).rejects.toThrow(/There is no room/);
    expect(leftAside()).toEqual([]);
  });

  it("puts nothing through a link that another item of the same list is", async () => {
    const common = { mode: 0o644, mtime: 1 };
    const sha256 = createHash("sha256").digest("hex");
    mkdirSync(join(dir, "home"));
    const found = [
      ["link", "a"],
      ["file", "a/keys"],
    ] as const;
    const stream = listed({ asked: "/*", isPattern: true, found }, [
      { type: "link", path: "link", target: join(dir, "home"), ...common },
      { type: "file", path: "file", size: 0, sha256, at: 0, ...common },
    ]);
    for (const place of ["/*:got/", "/*:got.tar"]) {
      await expect(fetch(stream, place)).rejects.toThrow(/below what is no directory/);
    }
    expect(readdirSync(dir).filter((name) => name.includes("got"))).toEqual([]);
    expect(readdirSync(join(dir, "home"))).toEqual([]);
  });

  it("puts nothing through a link that another fetch has put there", async () => {
    mkdirSync(join(dir, "home"));
    mkdirSync(join(root, "s"));
    symlinkSync(join(dir, "home"), join(root, "s/a"));
    put("t/a/keys");
    const stream = await take(["/s/*", "/t/*/keys"]);
    await expect(fetch(stream, "/s/*:got/", "/t/*/keys:got/")).rejects.toThrow(
      /got\/a" is in the way/,
    );
    expect(readdirSync(join(dir, "home"))).toEqual([]);
    expect(leftAside()).toEqual([]);
  });

  it("takes no directory aside that somebody else has prepared", async () => {
    put("out/a");
    const stream = await take(["/out"]);
    mkdirSync(join(dir, "trap"));
    symlinkSync(join(dir, "trap"), join(dir, ".got.ocluster-1-1"));
    await expect(fetch(stream, "/out:got")).rejects.toThrow(/is in the way/);
    expect(readdirSync(join(dir, "trap"))).toEqual([]);
  });
});

describe("REMOTE:LOCAL", () => {
  it.each([
    ["/a:b", { remote: "/a", local: { kind: "as", path: "b" } }],
    ["/a:b:c", { remote: "/a", local: { kind: "as", path: "b:c" } }],
    ["/a\\:b:c", { remote: "/a:b", local: { kind: "as", path: "c" } }],
    ["/a:b/", { remote: "/a", local: { kind: "into", path: "b/" } }],
    ["/*:b.tar", { remote: "/*", local: { kind: "archive", path: "b.tar", gzip: false } }],
    ["/a:b.tgz", { remote: "/a", local: { kind: "archive", path: "b.tgz", gzip: true } }],
    ["/a:-", { remote: "/a", local: { kind: "stdout" } }],
    ["/a", { remote: "/a", local: null }],
  ])("%s", (text, expected) => {
    expect(readOutputSpec(text)).toEqual(expected);
  });

  it.each([
    ["/a:", /nothing follows/],
    ["a:b", /no absolute path/],
    ["/*:b", /may be several files/],
    ["/*:-", /may be several files/],
    ["/a/..:b", /must not have '\.\.'/],
  ])("%s is refused", (text, problem) => {
    expect(readOutputSpec(text)).toMatch(problem);
  });
});
