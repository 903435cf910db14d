/*
 * What steps can do on btrfs, and on no other file system: make subvolumes of their own.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStore, parseStoreSpec } from "../../src/obuilder/stores/open-store.js";
import { Workshop } from "../support/builder.js";
import { LoopDisk } from "../support/loop-disk.js";

const A = "a".repeat(64);
const B = "b".repeat(64);

describe("subvolumes within each other, and read-only,", () => {
  let workshop: Workshop;
  let disk: LoopDisk;
  const spec = () => parseStoreSpec(`btrfs:${join(disk.path, "store")}`);

  beforeAll(() => {
    workshop = new Workshop();
    disk = new LoopDisk("btrfs", workshop.path("btrfs"), "200M");
  });

  afterAll(() => {
    disk.remove();
    workshop.remove();
  });

  /** What a step does that has brought its own program for it. */
  const makeSubvolumes = async (rootfs: string) => {
    const btrfs = (...args: string[]) => execFileSync("btrfs", args, { stdio: "ignore" });
    const outer = join(rootfs, "outer");
    btrfs("subvolume", "create", outer);
    mkdirSync(join(outer, "dir"));
    btrfs("subvolume", "create", join(outer, "dir/inner"));
    btrfs("property", "set", "-t", "subvol", join(outer, "dir/inner"), "ro", "true");
    btrfs("property", "set", "-t", "subvol", outer, "ro", "true");
  };

  it("go when the step fails, and when it succeeds", async () => {
    const { store, close } = await openStore(spec());
    try {
      await expect(
        store.build(A, undefined, async ({ path }) => {
          await makeSubvolumes(join(path, "rootfs"));
          throw new Error("failed");
        }),
      ).rejects.toThrow("failed");
      await store.build(B, undefined, ({ path }) => makeSubvolumes(join(path, "rootfs")));
      expect(existsSync(join(disk.path, "store/result-tmp", A))).toBe(false);
      expect(existsSync(join(disk.path, "store/result-tmp", B))).toBe(false);
      await store.delete(B);
      expect(await store.list()).toEqual([]);
    } finally {
      await close();
    }
  });

  it("do not keep a store from being opened", async () => {
    const left = join(disk.path, "store/result-tmp/left");
    execFileSync("btrfs", ["subvolume", "create", left], { stdio: "ignore" });
    await makeSubvolumes(left);
    const { close } = await openStore(spec());
    await close();
    expect(existsSync(left)).toBe(false);
    expect(statSync(join(disk.path, "store/result")).mode & 0o077).toBe(0);
  });
});
