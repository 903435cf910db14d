/*
 * Clones by btrfs snapshots: a layer takes next to no time, and the space of what it changed.
 */

import type { Stats } from "node:fs";
import { lstat } from "node:fs/promises";
import { release } from "node:os";
import { kernelAtLeast, ProgramError, removeTree, run } from "../../system/index.js";
import { StoreError } from "../errors.js";
import { prefixedCacheName } from "./cache-name.js";
import { type CloneEngine, CloningStore } from "./cloning-store.js";
import { needBtrfs } from "./file-system.js";
import type { StoreDriver } from "./kind.js";

/**
 * How long to wait for space that is given back in the background, in ms. A subvolume in which
 * somebody still reads a file, such as a log, is not given back before that is closed.
 */
const FREEING = 10_000;

const btrfsEngine: CloneEngine = {
  durable: true, // a snapshot waits for the disk
  cacheName: prefixedCacheName,
  check: needBtrfs,
  create: (path) => subvolume("create", "--", path),
  clone: (source, target) => subvolume("snapshot", "--", source, target),
  commit: async (path, target) => {
    await subvolume("snapshot", "-r", "--", path, target);
    await remove(path);
  },
  discard: remove,
  completeDeletes: async (root) => {
    const signal = AbortSignal.timeout(FREEING);
    try {
      // Else it does not even begin before the next transaction, which may be half a minute off.
      await run(["btrfs", "filesystem", "sync", root], { signal });
      await run(["btrfs", "subvolume", "sync", "--", root], { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  },
  freePercent: async (root) => {
    const usage = await run(["btrfs", "filesystem", "usage", "-b", "--", root]);
    const size = bytesOf(usage, "Device size");
    return size === 0 ? 0 : 100 - (100 * bytesOf(usage, "Used")) / size;
  },
};

export const driver: StoreDriver = {
  open: async (path) => {
    checkKernelForBtrfs();
    return { store: await CloningStore.open(path, btrfsEngine) };
  },
  inspect: async (path) => ({ store: CloningStore.inspect(path, btrfsEngine) }),
};

/** Throws `StoreError` if the kernel is too old. */
function checkKernelForBtrfs(): void {
  if (kernelAtLeast(5, 8)) return;
  throw new StoreError(
    `You need at least Linux 5.8 to use the btrfs backend, but this is ${release()}`,
  );
}

async function subvolume(...args: readonly string[]): Promise<void> {
  await run(["btrfs", "subvolume", ...args]);
}

/** Undefined if there is nothing by that name. */
async function statsOf(path: string): Promise<Stats | undefined> {
  return await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

async function remove(path: string): Promise<void> {
  const stats = await statsOf(path);
  if (!stats) return;
  if (stats.ino !== SUBVOLUME_INODE) return await removeTree(path);
  try {
    await subvolume("delete", "--", path);
  } catch (error) {
    // A step may have made subvolumes of its own inside, and made them read-only.
    if (!(error instanceof ProgramError)) throw error;
    const subvolumes = ["-type", "d", "-inum", String(SUBVOLUME_INODE)];
    const writable = ["btrfs", "property", "set", "-t", "subvol", "{}", "ro", "false"];
    await run(["find", path, ...subvolumes, "-exec", ...writable, ";"]);
    const remove = ["btrfs", "subvolume", "delete", "--", "{}"];
    await run(["find", path, "-depth", ...subvolumes, "-exec", ...remove, ";"]);
    if (await statsOf(path)) throw error;
  }
}

/** The top directory of every subvolume has this inode number, and nothing else does. */
const SUBVOLUME_INODE = 256;

/** The number behind `NAME:`, the first one of that name. */
function bytesOf(usage: string, name: string): number {
  const match = new RegExp(`^\\s*${name}:\\s*(\\d+)\\s*$`, "m").exec(usage);
  return match ? Number(match[1]) : 0;
}
