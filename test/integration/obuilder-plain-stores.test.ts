/*
 * Stores whose layers are plain directories, which other programs copy: what these would change or
 * cannot copy.
 */

import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BuilderOptions } from "../../src/obuilder/index.js";
import { rsyncEngine } from "../../src/obuilder/stores/rsync-engine.js";
import { TextLog, Workshop } from "../support/builder.js";
import { LoopDisk } from "../support/loop-disk.js";

type Options = Partial<BuilderOptions> & { readonly store: string };

let workshop: Workshop;
let disk: LoopDisk;

beforeAll(() => {
  workshop = new Workshop();
  disk = new LoopDisk("xfs", workshop.path("xfs"), "320M");
});

afterAll(() => {
  disk.remove();
  workshop.remove();
});

/** Builds with a builder of its own; resolves with what the steps printed. */
async function printed(options: Options, ops: string): Promise<string> {
  const builder = await workshop.open(options);
  const log = new TextLog();
  try {
    await workshop.build(builder, ops, { log });
    return log.text;
  } finally {
    await builder.close();
  }
}

const rsync = (rsyncMode: "copy" | "hardlink" | "hardlink_unsafe"): Options => ({
  store: `rsync:${workshop.path(rsyncMode)}`,
  rsyncMode,
});
const xfs = (): Options => ({ store: `xfs:${disk.path}/store` });

describe.each<[name: string, options: () => Options]>([
  ["rsync, copies", () => rsync("copy")],
  ["rsync, hard links", () => rsync("hardlink")],
  ["rsync, hard links without checksums", () => rsync("hardlink_unsafe")],
  ["xfs", xfs],
])("%s", (_, options) => {
  it("keeps holes in files", async () => {
    const du = 'du -k /disk.img | cut -f 1; wc -c < /disk.img; tail -c 4 /disk.img"';
    const make = "truncate -s 64M /disk.img; echo end >> /disk.img";
    const text = await printed(
      options(),
      `(run (shell "${make}; ${du})) (run (shell "${du})) (run (shell "${du}))`,
    );
    const sizes = text.split("end\n").slice(0, 3);
    for (const size of sizes) {
      const [kilobytes, bytes] = size.split("\n").map(Number);
      expect(kilobytes).toBeLessThan(200);
      expect(bytes).toBe(64 * 1024 * 1024 + 4);
    }
  });
});

/** A command that makes directories in `dir`, each in the other and 17 bytes of the path. */
function nest(dir: string, depth: number): string {
  const half = `p=$(yes 0123456789abcdef/ | head -n ${depth / 2} | tr -d '\\n')`;
  return `${half}; mkdir -p ${dir}/a/$p ${dir}/b/$p; mv ${dir}/b/* ${dir}/a/$p`;
}

describe("within one second", () => {
  let dir: string;

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "obuilder-rsync-"));
  });

  afterAll(() => rmSync(dir, { recursive: true }));

  it.each(["copy", "hardlink", "hardlink_unsafe"] as const)(
    "a file that is written anew is new, with its time: %s",
    async (mode) => {
      const engine = rsyncEngine(mode);
      const [base, path, target] = ["base", "path", "target"].map((name) =>
        join(dir, `${mode}-${name}`),
      ) as [string, string, string];
      mkdirSync(base);
      const write = (at: string, name: string, content: string, time: number) => {
        writeFileSync(join(at, name), content);
        utimesSync(join(at, name), time, time);
      };
      for (const name of ["content", "time", "neither"]) write(base, name, "old", 1e9 + 0.25);
      await engine.clone(base, path);
      write(path, "content", "new", 1e9 + 0.5);
      write(path, "time", "old", 1e9 + 0.5);
      await engine.commit(path, target, base);
      const about = (name: string) => {
        const { ino, mtimeMs } = lstatSync(join(target, name));
        const content = readFileSync(join(target, name), "utf8");
        return { content, mtimeMs, linked: ino === lstatSync(join(base, name)).ino };
      };
      expect(about("content")).toEqual({ content: "new", mtimeMs: 1e12 + 500, linked: false });
      expect(about("time")).toEqual({ content: "old", mtimeMs: 1e12 + 500, linked: false });
      const linked = mode !== "copy";
      expect(about("neither")).toEqual({ content: "old", mtimeMs: 1e12 + 250, linked });
    },
  );
});

describe.each<[name: string, options: () => Options, tmp: () => string]>([
  ["rsync", () => rsync("hardlink"), () => workshop.path("hardlink/result-tmp")],
  ["xfs", xfs, () => join(disk.path, "store/result-tmp")],
])("paths beyond the system's limit: %s", (_, options, tmp) => {
  it("end the step that makes them, and leave nothing", async () => {
    const deep = printed(options(), `(run (shell "${nest("/x", 300)}"))`);
    await expect(deep).rejects.toThrow(
      /^The step has left a path of \d+ bytes, "\/.*", which this kind of store cannot copy/,
    );
    expect(readdirSync(tmp())).toEqual([]);
  });

  it("can be built on where they are just within it", async () => {
    const ops = `(run (shell "${nest("/x", 200)}")) (run (shell "find /x | wc -l"))`;
    expect(await printed(options(), ops)).toBe("203\n");
  });
});

describe.each<[name: string, options: () => Options]>([
  ["rsync", () => rsync("copy")],
  ["xfs", xfs],
  ["overlayfs", () => ({ store: `overlayfs:${workshop.path("overlayfs")}` })],
])("a cache with paths beyond the limit: %s", (_, options) => {
  it("stays as it was, and the step counts", async () => {
    const use = (command: string) => `(run (cache (c (target /c))) (shell "${command}"))`;
    const ops = `${use("echo kept > /c/kept")} ${use(`${nest("/c", 300)}; rm /c/kept; echo done`)} ${use("ls /c")}`;
    expect(await printed(options(), ops)).toBe("done\nkept\n");
  });
});
