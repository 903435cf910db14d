/** What of a local directory becomes a build context, and what is remembered of it. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ContextManifest } from "../../src/api/index.js";
import { type ScanRules, scan } from "../../src/client/local-context/scan.js";
import { HashMemory } from "../../src/system/index.js";
import { IgnoreFile } from "../../src/text/index.js";

let home: string;
let tree: string;
const signal = new AbortController().signal;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "ocluster-context-"));
  tree = join(home, "tree");
  mkdirSync(tree);
  vi.stubEnv("XDG_CACHE_HOME", join(home, "cache"));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

function write(path: string, text = path): string {
  const at = join(tree, path);
  mkdirSync(dirname(at), { recursive: true });
  writeFileSync(at, text);
  return at;
}

function scanned({
  ignored = "",
  needed = [],
  leftOut = [],
}: {
  ignored?: string;
  needed?: string[];
  leftOut?: string[];
} = {}) {
  const rules: ScanRules = { ignored: new IgnoreFile(ignored), needed, leftOut };
  return scan(tree, rules, new HashMemory("contexts", tree), signal);
}

const paths = async (rules: Parameters<typeof scanned>[0] = {}) =>
  (await scanned(rules)).entries.map(({ path }) => path);

describe("a local directory", () => {
  it("is told with types, modes, times and links, in the order of a manifest", async () => {
    chmodSync(write("b/run.sh", "#!"), 0o750);
    utimesSync(join(tree, "b/run.sh"), 1_600_000_000.25, 1_600_000_000.25);
    write("a");
    write("b-c");
    symlinkSync("../../etc/passwd", join(tree, "b/link"));
    symlinkSync("link-loop", join(tree, "link-loop"));
    execFileSync("mkfifo", [join(tree, "pipe")]);
    mkdirSync(join(tree, "empty"), { mode: 0o700 });
    const { entries, others } = await scanned();
    expect(others).toBe(1);
    expect([...ContextManifest.manifestEntries(ContextManifest.writeManifest(entries))]).toEqual(
      entries,
    );
    expect(entries.map(({ path }) => path)).toEqual([
      ...["a", "b", "b/link", "b/run.sh", "b-c", "empty", "link-loop"],
    ]);
    expect(entries[2]).toEqual({ type: "link", path: "b/link", target: "../../etc/passwd" });
    expect(entries[3]).toEqual({
      ...{ type: "file", path: "b/run.sh", mode: 0o750, mtime: 1_600_000_000_250_000, size: 2 },
      sha256: createHash("sha256").update("#!").digest("hex"),
    });
    expect(entries[5]).toEqual({ type: "dir", path: "empty", mode: 0o700 });
  });

  it("is without what its patterns leave out, as Docker's", async () => {
    for (const path of [
      "src/a.c",
      "src/a.o",
      "node_modules/x/y",
      "doc/b.md",
      "doc/keep/c.md",
      "Dockerfile",
      "top.o",
    ]) {
      write(path);
    }
    const ignored = "**/*.o\nnode_modules\ndoc\n!doc/keep\nDockerfile\n";
    expect(await paths({ ignored })).toEqual([
      "doc",
      "doc/keep",
      "doc/keep/c.md",
      "src",
      "src/a.c",
    ]);
    expect(await paths({ ignored, needed: ["Dockerfile"] })).toContain("Dockerfile");
    expect(await paths({ ignored: "*", needed: ["doc/b.md"] })).toEqual(["doc", "doc/b.md"]);
    expect(await paths({ leftOut: ["src", "doc/b.md"] })).not.toContain("src");
  });
});

describe("what is remembered of files", () => {
  const OLD = 1_600_000_000;
  const cacheFile = () => {
    const directory = join(home, "cache/ocluster/contexts");
    return join(directory, readdirSync(directory)[0]!);
  };
  const remembered = () =>
    (JSON.parse(readFileSync(cacheFile(), "utf8")).files as [string][]).map(([path]) => path);

  /** Time goes on, and what was changed before is not racy any more. */
  function later(): void {
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now + 60_000);
  }

  afterEach(() => void vi.restoreAllMocks());

  it("is nothing of those that were changed shortly before", async () => {
    utimesSync(write("fresh"), OLD, OLD);
    await scanned();
    expect(remembered()).toEqual([]);
    later();
    await scanned();
    expect(remembered()).toEqual(["fresh"]);
  });

  it("is used while a file is as it was, and not when anything of it has changed", async () => {
    write("a", "one");
    write("b", "two");
    later();
    const before = (await scanned()).entries;
    const mtime = statSync(cacheFile()).mtimeMs;
    expect((await scanned()).entries).toEqual(before);
    expect(statSync(cacheFile()).mtimeMs).toBe(mtime);
    // The same size and time of data: only the time of status tells.
    const { atime, mtime: written } = statSync(join(tree, "a"));
    writeFileSync(join(tree, "a"), "eno");
    utimesSync(join(tree, "a"), atime, written);
    const [a, b] = (await scanned()).entries as ContextManifest.ContextFile[];
    expect(b).toEqual(before[1]);
    expect(a!.sha256).not.toBe((before[0] as ContextManifest.ContextFile).sha256);
    // Another file in its place.
    renameSync(write("c", "six"), join(tree, "b"));
    const [, other] = (await scanned()).entries as ContextManifest.ContextFile[];
    expect(other!.sha256).not.toBe(b!.sha256);
    rmSync(join(tree, "a"));
    await scanned();
    expect(remembered()).toEqual(["b"]);
  });

  it("is no harm when it is damaged, or somebody else's", async () => {
    write("a", "one");
    later();
    const before = (await scanned()).entries;
    for (const text of ["", "{", "[]", '{"version":1,"files":3}', '{"version":2}']) {
      writeFileSync(cacheFile(), text);
      expect((await scanned()).entries).toEqual(before);
    }
    rmSync(join(home, "cache"), { recursive: true });
    writeFileSync(join(home, "cache"), "");
    expect((await scanned()).entries).toEqual(before);
  });
});
