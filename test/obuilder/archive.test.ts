/*
 * The archive of a copy: what tar programs make of it, and sources that change under it.
 */

import { execFileSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeArchive } from "../../src/obuilder/build/archive.js";
import { copyManifests, type Manifest } from "../../src/obuilder/build/copy-manifest.js";
import { archiveName, placeCopy } from "../../src/obuilder/build/placement.js";
import { BuildError, SourceChanged } from "../../src/obuilder/errors.js";
import { ROOT, type User } from "../../src/obuilder/spec/spec.js";
import { padding, tarHeader } from "../../src/system/tar-header.js";
import { fromBytes } from "../../src/text/bytes.js";
import { EMPTY_ROOT } from "../conformance/parts.js";
import { goldenJson } from "../support/golden.js";
import type { JsonBytes } from "../support/obuilder-cases.js";

let dir: string;
let source: string;
let target: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "obuilder-archive-"));
  source = join(dir, "source");
  target = join(dir, "target");
  mkdirSync(source);
  mkdirSync(target);
});

afterEach(() => rmSync(dir, { recursive: true }));

class Gathered extends Writable {
  readonly chunks: Buffer[] = [];

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(Buffer.from(chunk)); // the writer uses its buffer again
    done();
  }
}

const manifestsOf = (src: string[], dst: string): Promise<Manifest[]> =>
  copyManifests({ root: source, src, exclude: [], dst });

async function archive(manifests: Manifest[], dst: string, user: User = ROOT): Promise<Buffer> {
  const out = new Gathered();
  const placement = await placeCopy({ manifests, dst }, EMPTY_ROOT);
  await writeArchive({ root: source, placement, user }, out);
  return Buffer.concat(out.chunks);
}

describe.each([["tar"], ["busybox", "tar"]])("unpacked by %s %s", (...tar) => {
  const unpack = (data: Buffer) => {
    const [program, ...args] = tar as [string, ...string[]];
    execFileSync(program, [...args, "-xf", "-"], { cwd: target, input: data });
  };

  it("is what was copied", async () => {
    mkdirSync(join(source, "sub/empty"), { recursive: true });
    writeFileSync(join(source, "sub/plain"), "plain", { mode: 0o640 });
    writeFileSync(join(source, "sub/script"), "run", { mode: 0o710 });
    symlinkSync("plain", join(source, "sub/link"));
    utimesSync(join(source, "sub/plain"), 1e9, 1e9 + 0.7);
    unpack(await archive(await manifestsOf(["sub"], "/a/b/"), "/a/b/", { uid: 12n, gid: 34n }));
    const stat = (path: string) => lstatSync(join(target, "a/b", path));
    expect(readFileSync(join(target, "a/b/sub/plain"), "utf8")).toBe("plain");
    expect(stat("sub/plain").mode & 0o7777).toBe(0o644);
    expect(stat("sub/plain").mtimeMs).toBe(1e12);
    expect(stat("sub/script").mode & 0o7777).toBe(0o755);
    expect(stat("sub/empty").isDirectory()).toBe(true);
    expect(readlinkSync(join(target, "a/b/sub/link"))).toBe("plain");
    expect([stat("sub").uid, stat("sub/plain").gid]).toEqual([12, 34]);
  });

  it("has names, link targets and owners of any length", async () => {
    const long = "n".repeat(200);
    mkdirSync(join(source, long));
    writeFileSync(join(source, long, long), "x");
    symlinkSync(`${long}/${long}`, join(source, "link"));
    const user = { uid: 3_000_000_000n, gid: 2_500_000n };
    unpack(await archive(await manifestsOf(["."], "/"), "/", user));
    expect(readFileSync(join(target, long, long), "utf8")).toBe("x");
    expect(readlinkSync(join(target, "link"))).toBe(`${long}/${long}`);
    const { uid, gid } = lstatSync(join(target, long));
    expect([uid, gid]).toEqual([3_000_000_000, 2_500_000]);
  });

  it("has names of any bytes", async () => {
    const name = Buffer.from([0x61, 0xff, 0xfe]);
    writeFileSync(Buffer.concat([Buffer.from(`${source}/`), name]), "bytes");
    unpack(await archive(await manifestsOf([fromBytes(name)], "/x/"), "/x/"));
    const path = Buffer.concat([Buffer.from(`${target}/x/`), name]);
    expect(readFileSync(path, "utf8")).toBe("bytes");
  });
});

describe("a source that is not what it was", () => {
  const changedBy = async (change: () => void) => {
    writeFileSync(join(source, "f"), "before");
    symlinkSync("f", join(source, "l"));
    mkdirSync(join(source, "d"));
    const manifests = await manifestsOf(["f", "l", "d"], "/x/");
    change();
    await expect(archive(manifests, "/x/")).rejects.toThrow(SourceChanged);
  };

  it("has other content", () => changedBy(() => writeFileSync(join(source, "f"), "behind")));
  it("is shorter", () => changedBy(() => writeFileSync(join(source, "f"), "be")));
  it("is gone", () => changedBy(() => unlinkSync(join(source, "f"))));

  it("is a link now", () =>
    changedBy(() => {
      unlinkSync(join(source, "f"));
      symlinkSync("/etc/passwd", join(source, "f"));
    }));

  it("is a link to somewhere else", () =>
    changedBy(() => {
      unlinkSync(join(source, "l"));
      symlinkSync("/etc/passwd", join(source, "l"));
    }));
});

it("cannot belong to a Windows user", async () => {
  writeFileSync(join(source, "f"), "");
  const manifests = await manifestsOf(["f"], "/x");
  await expect(archive(manifests, "/x", { name: "somebody" })).rejects.toThrow(BuildError);
});

describe("names in the archive", () => {
  const { tar_paths: paths } = goldenJson("obuilder/sexp.json") as {
    tar_paths: { path: string; normal: JsonBytes }[];
  };

  it.each(paths)("of $path", ({ path, normal }) => {
    // Where the outcome is no UTF-8, the path stands there as Latin-1.
    const [given, expected] =
      typeof normal === "string"
        ? [path, normal]
        : [fromBytes(Buffer.from(path, "latin1")), fromBytes(Buffer.from(normal.base64, "base64"))];
    expect(archiveName(given)).toBe(expected);
  });
});

describe("headers", () => {
  it.each([
    [["tar", "--full-time"], "1969-12-31 23:59:55"],
    [["busybox", "tar"], "1969-12-31 23:59:55"],
  ])(
    "of 8 GiB and more, and of times before 1970, are read by %s",
    ([program, ...options], time) => {
      for (const size of [2 ** 33 - 1, 2 ** 33, 2 ** 40]) {
        const header = tarHeader({
          ...{ type: "file", name: Buffer.from("big"), target: Buffer.alloc(0), mode: 0o644 },
          ...{ uid: 1n, gid: 2n, size, mtime: -5 },
        });
        const path = join(dir, "big.tar");
        writeFileSync(path, header);
        truncateSync(path, header.length + size + padding(size).length + 1024);
        const env = { ...process.env, TZ: "UTC" };
        const listing = execFileSync(program!, [...options, "-tvf", path], {
          env,
          encoding: "utf8",
        });
        expect(listing.trim().split(/ +/).slice(1)).toEqual([
          "1/2",
          `${size}`,
          ...time.split(" "),
          "big",
        ]);
      }
    },
  );

  it("are read back by GNU tar, whatever is in them", () => {
    const name = fc
      .stringMatching(/^[a-z][a-z ./-]{0,300}[a-z]$/)
      .filter((text) => !/\.\.|\/\/|\/\.\/|^-/.test(text));
    const id = fc.bigInt({ min: 0n, max: 0xffff_fffen });
    fc.assert(
      fc.property(
        name,
        id,
        id,
        fc.integer({ min: 0, max: 0o777 }),
        fc.integer({ min: 0, max: 2 ** 33 }),
        (text, uid, gid, mode, mtime) => {
          const entry = { type: "dir", target: Buffer.alloc(0), size: 0 } as const;
          const header = tarHeader({
            ...entry,
            name: Buffer.from(`${text}/`),
            uid,
            gid,
            mode,
            mtime,
          });
          const listing = execFileSync("tar", ["--numeric-owner", "--full-time", "-tvf", "-"], {
            input: Buffer.concat([header, Buffer.alloc(1024)]),
            env: { ...process.env, TZ: "UTC" },
            encoding: "utf8",
          });
          const time = new Date(mtime * 1000).toISOString().slice(0, 19).replace("T", " ");
          expect(listing).toMatch(/^d/);
          expect(listing).toContain(` ${uid}/${gid} `);
          expect(listing).toContain(` ${time} ${text}/\n`);
        },
      ),
      { numRuns: 50 },
    );
  });
});
