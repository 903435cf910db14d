/*
 * Stores on disks that are full, by a step's doing or by others'. Builds fail and say why; layers
 * can be removed even then; what the store serves is complete.
 */

import { execFileSync } from "node:child_process";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RsyncMode } from "../../src/obuilder/choices.js";
import type { Builder, BuilderOptions } from "../../src/obuilder/index.js";
import { ROOT } from "../../src/obuilder/spec/spec.js";
import { inspectStore, openStore, parseStoreSpec } from "../../src/obuilder/stores/open-store.js";
import { TextLog, Workshop } from "../support/builder.js";
import { type DiskKind, LoopDisk } from "../support/loop-disk.js";

const SMALL = '(run (shell "echo small > /small"))';
const READ_SMALL = `${SMALL} (run (shell "cat /small"))`;
const FILL = '(run (shell "cat /dev/zero > /fill"))';
const FULL = /No space left on device: the disk of the store \S+ is full.*; remove layers/;
const EVER = new Date("9999-01-01");

let workshop: Workshop;

beforeAll(() => {
  workshop = new Workshop();
});

afterAll(() => workshop.remove());

/** Writes until nothing more can be written; the function that is returned removes it. */
function fillUp(disk: LoopDisk): () => void {
  const path = join(disk.path, "ballast");
  const file = openSync(path, "w");
  for (let size = 1 << 20; size >= 1; ) {
    try {
      writeSync(file, Buffer.alloc(size));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      size >>= 1;
    }
  }
  closeSync(file);
  return () => rmSync(path);
}

async function layersIn(store: string): Promise<string[]> {
  const { store: inspected } = await inspectStore(parseStoreSpec(store));
  try {
    return (await inspected.list()).map(({ id }) => id).sort();
  } finally {
    await inspected.close();
  }
}

interface Place {
  readonly kind: "overlayfs" | "rsync" | "xfs" | "btrfs";
  readonly fileSystem: DiskKind;
  readonly size: string;
  /** What something else has taken of it from the start; some file systems cannot be small. */
  readonly taken?: string;
  readonly rsyncMode?: RsyncMode;
}

const PLACES: readonly Place[] = [
  { kind: "overlayfs", fileSystem: "ext4", size: "60M" },
  { kind: "overlayfs", fileSystem: "xfs", size: "320M", taken: "200M" },
  { kind: "overlayfs", fileSystem: "tmpfs", size: "40M" },
  { kind: "rsync", rsyncMode: "copy", fileSystem: "ext4", size: "60M" },
  { kind: "rsync", rsyncMode: "hardlink", fileSystem: "ext4", size: "60M" },
  { kind: "xfs", fileSystem: "xfs", size: "320M", taken: "200M" },
  { kind: "btrfs", fileSystem: "btrfs", size: "130M" },
];

const places = PLACES.map((place) => {
  const { kind, rsyncMode, fileSystem } = place;
  const title = [kind, rsyncMode, "on", fileSystem].filter(Boolean).join(" ");
  return { title, ...place };
});

describe.each(places)("$title", ({ title, kind, fileSystem, size, taken, rsyncMode }) => {
  let disk: LoopDisk;
  let options: Partial<BuilderOptions> & { readonly store: string };
  let complete: string[];

  beforeAll(async () => {
    disk = new LoopDisk(fileSystem, workshop.path(title.replaceAll(" ", "-")), size);
    if (taken) execFileSync("fallocate", ["-l", taken, join(disk.path, "taken")]);
    options = { store: `${kind}:${disk.path}/store`, rsyncMode };
    await using(options, (builder) => workshop.build(builder, READ_SMALL));
    complete = await layersIn(options.store);
  });

  afterAll(() => disk.remove());

  async function using(
    options: Partial<BuilderOptions>,
    use: (builder: Builder) => Promise<unknown>,
  ): Promise<void> {
    const builder = await workshop.open(options);
    try {
      await use(builder);
    } finally {
      await builder.close();
    }
  }

  const expectSmall = async (builder: Builder) => {
    const log = new TextLog();
    await workshop.build(builder, READ_SMALL, { log });
    expect(log.text).toBe("small\n");
  };

  it("fails the step that fills it, and no other store's", async () => {
    await using(options, async (builder) => {
      const other = { store: `overlayfs:${workshop.path("other")}` };
      const elsewhere = using(other, (builder) => workshop.build(builder, READ_SMALL));
      await expect(workshop.build(builder, FILL)).rejects.toThrow(FULL);
      await elsewhere;
      await expectSmall(builder);
      expect(await layersIn(options.store)).toEqual(complete);
      // What the step had filled is free again.
      await workshop.build(builder, '(run (shell "echo again > /again"))');
    });
  });

  it("fails the step whose output fills it", async () => {
    await using(options, async (builder) => {
      const print = '(run (shell "yes | head -c 500000000"))';
      await expect(workshop.build(builder, print)).rejects.toThrow(FULL);
      await expectSmall(builder);
    });
  });

  it("does not take a copy for complete that had no room", async () => {
    const large = join(workshop.path("source"), "large");
    execFileSync("truncate", ["-s", size, large]);
    try {
      await using(options, async (builder) => {
        const copy = "(copy (src large) (dst /large))";
        await expect(workshop.build(builder, copy)).rejects.toThrow(FULL);
        await expectSmall(builder);
      });
    } finally {
      rmSync(large);
    }
  });

  it("filled by others, is opened, serves what it has, and can be pruned", async () => {
    const before = await layersIn(options.store);
    const makeRoom = fillUp(disk);
    try {
      await using(options, async (builder) => {
        await expectSmall(builder);
        const step = '(run (shell "head -c 30000000 /dev/urandom > /more"))';
        await expect(workshop.build(builder, step)).rejects.toThrow(FULL);
        await expectSmall(builder);
      });
      expect(await layersIn(options.store)).toEqual(before);
      await using(options, async (builder) => {
        const removed: string[] = [];
        const onDelete = (id: string) => removed.push(id);
        await builder.prune({ before: EVER, limit: 2, onDelete });
        expect(removed).toHaveLength(2);
        expect(await layersIn(options.store)).toEqual(before.filter((id) => !removed.includes(id)));
        expect(builder.count()).toBe(before.length - 2);
      });
    } finally {
      makeRoom();
    }
    await using(options, expectSmall);
  });

  it("filled by others while it is open, goes on when there is room", async () => {
    await using(options, async (builder) => {
      await expectSmall(builder);
      const makeRoom = fillUp(disk);
      try {
        await expect(workshop.build(builder, FILL)).rejects.toThrow(FULL);
        await expectSmall(builder);
      } finally {
        makeRoom();
      }
      await workshop.build(builder, '(run (shell "echo room > /room"))');
      const there = await layersIn(options.store);
      expect(builder.count()).toBe(there.length);
    });
  });
});

describe("a disk without inodes", () => {
  it("fails the step that takes the last one, and can be pruned", async () => {
    const disk = new LoopDisk("ext4", workshop.path("inodes"), "60M");
    try {
      const builder = await workshop.open({ store: `overlayfs:${disk.path}/store` });
      try {
        await workshop.build(builder, SMALL);
        const step =
          '(run (shell "mkdir /d; for i in $(seq 20000); do : > /d/$i || exit 1; done"))';
        await expect(workshop.build(builder, step)).rejects.toThrow(
          /is full \(\d+ of \d+ inodes free\)/,
        );
        await workshop.build(builder, READ_SMALL);
        expect(await builder.prune({ before: EVER, limit: 1 })).toBe(1);
      } finally {
        await builder.close();
      }
    } finally {
      disk.remove();
    }
  });
});

describe.each(["overlayfs", "rsync"] as const)(
  "a cache on %s that has no room on the list",
  (kind) => {
    it("stays as it was, and nothing is left of the copy", async () => {
      const path = workshop.path(`${kind}-cache`);
      const rsyncMode = kind === "rsync" ? "copy" : undefined;
      const { store, close } = await openStore(parseStoreSpec(`${kind}:${path}`), { rsyncMode });
      const write = async (text: string) => {
        const lease = await store.cache("shared", ROOT);
        writeFileSync(join(lease.path, "file"), text);
        await lease.release();
      };
      try {
        await write("old");
        // The name of the cache cannot be written, as if there were no room.
        const list = join(path, "state/unsynced");
        const [batch] = readdirSync(list);
        renameSync(join(list, batch!), join(list, "away"));
        await expect(write("new")).rejects.toThrow("ENOENT");
        renameSync(join(list, "away"), join(list, batch!));
        const lease = await store.cache("shared", ROOT);
        expect(readFileSync(join(lease.path, "file"), "utf8")).toBe("old");
        await lease.release();
        const places = kind === "rsync" ? ["cache-tmp"] : ["cache-result", "cache-merged"];
        for (const place of places) expect(readdirSync(join(path, place))).toEqual([]);
        expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(path);
      } finally {
        await close();
      }
    });
  },
);
