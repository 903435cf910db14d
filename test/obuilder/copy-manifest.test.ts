import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { copyManifests, type Manifest } from "../../src/obuilder/build/copy-manifest.js";
import { copyKey } from "../../src/obuilder/build/layer-ids.js";
import { BuildError } from "../../src/obuilder/errors.js";
import { ROOT } from "../../src/obuilder/spec/spec.js";
import { HashMemory, SourceDir } from "../../src/system/index.js";
import { fromBytes } from "../../src/text/bytes.js";

let top: string;
let root: string;

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "obuilder-manifest-"));
  root = join(top, "source");
  mkdirSync(join(root, "a/b"), { recursive: true });
  writeFileSync(join(top, "outside"), "not yours");
  writeFileSync(join(root, "file"), "x");
  writeFileSync(join(root, "a/b/f"), "y");
  symlinkSync("a", join(root, "link"));
  symlinkSync("..", join(root, "up"));
});

afterEach(() => {
  rmSync(top, { recursive: true, force: true });
});

async function manifest(src: string, exclude: string[] = []): Promise<Manifest> {
  return (await copyManifests({ root, src: [src], exclude, dst: "/dst" }))[0]!;
}

async function failure(...src: string[]): Promise<string> {
  const error = await copyManifests({ root, src, exclude: [], dst: "/d" }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(BuildError);
  return (error as BuildError).message;
}

function file(path: string, content: string): Manifest {
  return { type: "file", path, hash: createHash("sha256").update(content).digest("hex") };
}

describe("what is in a manifest", () => {
  test("files by content, links by target, directories by what they hold", async () => {
    expect(await manifest("")).toEqual({
      type: "dir",
      path: "",
      entries: [
        {
          type: "dir",
          path: "a",
          entries: [{ type: "dir", path: "a/b", entries: [file("a/b/f", "y")] }],
        },
        file("file", "x"),
        { type: "symlink", path: "link", target: "a" },
        { type: "symlink", path: "up", target: ".." },
      ],
    });
  });

  test.each(["a/b", "./a//b/", "/a/./b/."])("%j is a/b", async (src) => {
    expect(await manifest(src)).toEqual({
      type: "dir",
      path: "a/b",
      entries: [file("a/b/f", "y")],
    });
  });

  test("names in order of bytes, also those that are no text", async () => {
    const names = ["Z", "a", "é", "\u{10000}", "\uffee", "-"].map((name) => Buffer.from(name));
    names.push(Buffer.of(0xff, 0x20), Buffer.of(0x80));
    mkdirSync(join(root, "names"));
    for (const name of names) {
      writeFileSync(Buffer.concat([Buffer.from(`${root}/names/`), name]), "");
    }
    const made = await manifest("names");
    const expected = names.sort(Buffer.compare).map((name) => `names/${fromBytes(name)}`);
    expect(made.type === "dir" && made.entries.map(({ path }) => path)).toEqual(expected);
  });

  test("excluded base names are left out at any depth, but a source never is", async () => {
    mkdirSync(join(root, "a/file"));
    expect(await manifest("a", ["f", "file"])).toEqual({
      type: "dir",
      path: "a",
      entries: [{ type: "dir", path: "a/b", entries: [] }],
    });
    expect(await manifest("file", ["file"])).toEqual(file("file", "x"));
    expect(await manifest("a/b", ["b", "*", "a/b/f"])).toMatchObject({
      entries: [{ path: "a/b/f" }],
    });
  });

  test("a file of many chunks", async () => {
    const content = "0123456789".repeat(100_000);
    writeFileSync(join(root, "large"), content);
    expect(await manifest("large")).toEqual(file("large", content));
  });
});

describe("what is refused", () => {
  test.each([
    [["nofile"], 'Source path "nofile" not found'],
    [["nofile/.."], 'Source path "nofile/.." not found'],
    [["file", "é"], String.raw`Source path "\195\169" not found`],
    [["a\0"], String.raw`Source path "a\000" not found`],
    [["../outside"], `Can't use .. in source paths! (in "../outside")`],
    [["a/../file"], `Can't use .. in source paths! (in "a/../file")`],
    [["up/outside"], 'Not a regular file: up (in "up/outside")'],
    [["link/b"], 'Not a regular file: link (in "link/b")'],
    [["link/"], 'Not a regular file: link (in "link/")'],
    [["file/x"], 'Not a directory: file (in "file/x")'],
    [["file/."], 'Not a directory: file (in "file/.")'],
    [["a/b/f/x"], 'Not a directory: f/b/a (in "a/b/f/x")'],
    [[], "No source items for copy!"],
    [["file", "a"], "When copying multiple items, the destination must end with '/'"],
    [["file", "gone"], 'Source path "gone" not found'],
  ])("%j", async (src, message) => {
    expect(await failure(...src)).toBe(message);
  });

  test("pipes and devices, as a source and within one", async () => {
    execFileSync("mkfifo", [join(root, "a/pipe")]);
    expect(await failure("a/pipe")).toBe('Not a regular file: pipe/a (in "a/pipe")');
    expect(await failure("a")).toBe('Unsupported file type for "a/pipe"');
  });

  test("directories without end", async () => {
    // Made from the inside out, as a path to the innermost would be too long.
    let inner = join(top, "inner");
    mkdirSync(inner);
    for (let i = 0; i < 1100; i++) {
      const outer = join(top, `outer${i % 2}`);
      mkdirSync(outer);
      renameSync(inner, join(outer, "d"));
      inner = outer;
    }
    renameSync(inner, join(root, "deep"));
    expect(await failure("deep")).toMatch(/nested more than 1000 deep/);
  });

  test("a name that the system refuses", async () => {
    const name = "n".repeat(300);
    expect(await failure(name)).toBe(`Can't read source path "${name}": ENAMETOOLONG`);
  });

  test("a source directory that is not there", async () => {
    root = join(top, "nowhere");
    expect(await failure("file")).toMatch(/^Can't open the source directory: ENOENT/);
  });
});

test("a manifest as deep as is allowed has a key", async () => {
  let deep: Manifest = { type: "dir", path: "d", entries: [] };
  for (let i = 0; i < 1000; i++) deep = { type: "dir", path: "d", entries: [deep] };
  const { hashed } = copyKey({ base: "b", user: ROOT, manifests: [deep], dst: "/d" });
  expect(hashed.match(/Dir/g)).toHaveLength(1001);
});

describe("a source that changes while it is read", () => {
  test("never leads out: what was a directory or a file may by now be a link", () => {
    using dir = SourceDir.open(root);
    rmSync(join(root, "a"), { recursive: true });
    symlinkSync(top, join(root, "a"));
    rmSync(join(root, "file"));
    symlinkSync("../outside", join(root, "file"));
    expect(() => dir.openDir("a")).toThrow(/ENOTDIR|ELOOP/);
    expect(() => dir.openFile("file")).toThrow(/ELOOP/);
  });

  test("an open directory stays the same, wherever it is moved and whatever takes its name", () => {
    using dir = SourceDir.open(root);
    using a = dir.openDir("a");
    renameSync(join(root, "a"), join(root, "moved"));
    symlinkSync(top, join(root, "a"));
    expect(a.names()).toEqual(["b"]);
  });

  test("a pipe in a file's place is not waited for", () => {
    execFileSync("mkfifo", [join(root, "pipe")]);
    using dir = SourceDir.open(root);
    expect(() => dir.openFile("pipe")).toThrow(/not a regular file/);
  });
});

test("no descriptor stays open, whether it goes well or not", async () => {
  const open = () => readdirSync("/proc/self/fd").length;
  const before = open();
  for (let i = 0; i < 20; i++) {
    await manifest("a");
    await failure("a/b/f/x");
    execFileSync("mkfifo", [join(root, `a/b/pipe${i}`)]);
    await failure("a");
    rmSync(join(root, `a/b/pipe${i}`));
  }
  expect(open()).toBe(before);
});

test("an aborted signal ends the work on a large tree", async () => {
  mkdirSync(join(root, "many"));
  for (let i = 0; i < 3000; i++) writeFileSync(join(root, `many/${i}`), "x");
  const controller = new AbortController();
  const work = copyManifests({ root, src: ["many"], exclude: [], dst: "/d" }, controller.signal);
  controller.abort(new Error("told to stop"));
  await expect(work).rejects.toThrow("told to stop");
});

describe("hashes that are remembered", () => {
  /** Files of the past, whose times say what was changed. */
  const OLD = 1_600_000_000;

  beforeEach(() => {
    vi.stubEnv("XDG_CACHE_HOME", join(top, "cache"));
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now + 60_000);
  });

  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  /** The manifest as a command of its own makes it, and which files it reads. */
  async function made(...src: string[]): Promise<{ manifests: Manifest[]; read: string[] }> {
    const opened = vi.spyOn(SourceDir.prototype, "openFile");
    const memory = new HashMemory("builds", root);
    const manifests = await copyManifests({ root, src, exclude: [], dst: "/dst/", memory });
    memory.save();
    const read = opened.mock.calls.map(([name]) => name);
    opened.mockRestore();
    return { manifests, read };
  }

  test("are those of files that are as they were", async () => {
    const first = await made("");
    expect(first.read).toEqual(["f", "file"]);
    expect(await made("")).toEqual({ manifests: first.manifests, read: [] });
    utimesSync(join(root, "file"), OLD, OLD);
    expect(await made("")).toEqual({ manifests: first.manifests, read: ["file"] });
    writeFileSync(join(root, "a/b/f"), "z");
    const { manifests, read } = await made("", "a/b/f");
    expect(read).toEqual(["f"]);
    expect(manifests[1]).toEqual(file("a/b/f", "z"));
  });

  test("are not those of a file that took another's place with its times and size", async () => {
    await made("file");
    const { mtime } = statSync(join(root, "file"));
    writeFileSync(join(root, "other"), "w");
    utimesSync(join(root, "other"), mtime, mtime);
    renameSync(join(root, "other"), join(root, "file"));
    expect((await made("file")).manifests).toEqual([file("file", "w")]);
  });

  test("are none after one turned out not to be true", async () => {
    await made("");
    const memory = new HashMemory("builds", root);
    await copyManifests({ root, src: ["file"], exclude: [], dst: "/dst", memory });
    memory.forget();
    memory.save();
    expect((await made("")).read).toEqual(["f", "file"]);
  });
});
