/*
 * Power cuts: what has been sent to a disk by some moment is all that is left. No layer is served
 * that has lost its content.
 */

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RsyncMode } from "../../src/obuilder/choices.js";
import type { Builder, BuilderOptions } from "../../src/obuilder/index.js";
import { TextLog, Workshop } from "../support/builder.js";
import { type DiskKind, LoopDisk } from "../support/loop-disk.js";

let workshop: Workshop;

beforeAll(() => {
  workshop = new Workshop();
});

afterAll(() => workshop.remove());

type Options = Partial<BuilderOptions> & { readonly store: string };

const WRITE = '(run (shell "echo early > /early")) (run (shell "seq 10000 > /late"))';
const READ = `${WRITE} (run (shell "cat /early; tail -n 1 /late"))`;

/** Reads what the layers have in them, and how many there were. */
async function read(builder: Builder): Promise<{ text: string; found: number }> {
  const log = new TextLog();
  await workshop.build(builder, READ, { log });
  return { text: log.text, found: builder.stats.hits };
}

async function using<T>(options: Options, use: (builder: Builder) => Promise<T>): Promise<T> {
  const builder = await workshop.open(options);
  try {
    return await use(builder);
  } finally {
    await builder.close();
  }
}

/** Has the file system write its journal, which has names, but need not have what is in files. */
function writeJournal(disk: LoopDisk): void {
  const file = openSync(join(disk.path, "journal"), "w");
  fsyncSync(file);
  closeSync(file);
}

function listDir({ store }: Options): string {
  return join(store.slice(store.indexOf(":") + 1), "state/unsynced");
}

/** What may not be on the disk yet. */
function listed(options: Options): string[] {
  const dir = listDir(options);
  return readdirSync(dir).flatMap((batch) => readdirSync(join(dir, batch)));
}

/** As if it had been another kernel that made the list. */
function reboot(options: Options): void {
  const dir = listDir(options);
  for (const batch of readdirSync(dir)) renameSync(join(dir, batch), join(dir, `x${batch}`));
}

interface Place {
  readonly kind: string;
  readonly fileSystem: DiskKind;
  readonly size: string;
  readonly rsyncMode?: RsyncMode;
}

const PLACES: readonly Place[] = [
  { kind: "overlayfs", fileSystem: "ext4", size: "100M" },
  { kind: "rsync", fileSystem: "ext4", size: "100M", rsyncMode: "hardlink" },
  { kind: "xfs", fileSystem: "xfs", size: "320M" },
];

describe.each(PLACES)("$kind on $fileSystem", ({ kind, fileSystem, size, rsyncMode }) => {
  const withDisk = async (use: (disk: LoopDisk, options: Options) => Promise<void>) => {
    const disk = new LoopDisk(fileSystem, workshop.path(`${kind}-${fileSystem}`), size);
    try {
      await use(disk, { store: `${kind}:${disk.path}/store`, rsyncMode });
    } finally {
      disk.remove();
    }
  };

  it("makes again what may have been lost while it was in use", async () => {
    await withDisk(async (disk, options) => {
      const id = await using(options, async (builder) => {
        const id = await workshop.build(builder, WRITE);
        writeJournal(disk);
        disk.freeze();
        return id;
      });
      disk.cutPower();
      // The layer is there, but what it had is not.
      expect(readFileSync(join(disk.path, "store/result", id, "rootfs/late"), "utf8")).toBe("");
      reboot(options);
      expect(await using(options, read)).toEqual({ text: "early\n10000\n", found: 0 });
    });
  });

  it("forgets a cache that may have lost something", async () => {
    const use = (command: string) =>
      `(run (cache (shared (target /c))) (shell "${command}; cat /c/*"))`;
    await withDisk(async (disk, options) => {
      await using(options, async (builder) => {
        await workshop.build(builder, use("echo kept > /c/kept"));
        writeJournal(disk);
        disk.freeze();
      });
      disk.cutPower();
      reboot(options);
      const log = new TextLog();
      await using(options, (builder) => workshop.build(builder, use("echo new > /c/new"), { log }));
      expect(log.text).toBe("new\n");
    });
  });

  it("has everything that was there when it was closed", async () => {
    await withDisk(async (disk, options) => {
      await using(options, (builder) => workshop.build(builder, WRITE));
      disk.freeze();
      disk.cutPower();
      expect(await using(options, read)).toEqual({ text: "early\n10000\n", found: 3 });
    });
  });

  it("has everything when only its process was killed", async () => {
    await withDisk(async (_disk, options) => {
      const ids = await using(options, async (builder) => {
        await workshop.build(builder, WRITE);
        return listed(options);
      });
      expect(ids).toHaveLength(3);
      expect(listed(options)).toEqual([]);
      const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      const batch = join(listDir(options), `${boot}-killed`);
      mkdirSync(batch);
      for (const id of ids) writeFileSync(join(batch, id), "");
      expect(await using(options, read)).toEqual({ text: "early\n10000\n", found: 3 });
      expect(listed(options)).toEqual([]);
    });
  });
});

describe("btrfs", () => {
  it("has every layer that was there, with what is in it", async () => {
    const disk = new LoopDisk("btrfs", workshop.path("btrfs"), "200M");
    const options = { store: `btrfs:${disk.path}/store` };
    try {
      await using(options, async (builder) => {
        await workshop.build(builder, WRITE);
        disk.freeze();
      });
      disk.cutPower();
      expect(await using(options, read)).toEqual({ text: "early\n10000\n", found: 3 });
    } finally {
      disk.remove();
    }
  });
});
