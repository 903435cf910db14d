/*
 * Whether a file system can do what a store needs. Some kinds of stores work on few only, which is
 * better said when one is opened than in the middle of its first build.
 */

import { constants } from "node:fs";
import { copyFile, realpath, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { listMounts, type MountInfo } from "../../system/index.js";
import { isOutOfSpace } from "../build/no-space.js";
import { StoreError } from "../errors.js";

/** BTRFS_SUPER_MAGIC, as statfs(2) has it. */
const BTRFS = 0x9123683e;

/** Throws `StoreError` if the directory is on anything but btrfs. */
export async function needBtrfs(dir: string): Promise<void> {
  if ((await statfs(dir)).type === BTRFS) return;
  throw new StoreError(
    `A btrfs store must be on btrfs, but "${dir}" is on ${await fileSystemType(dir)}; mount a btrfs there, or use overlayfs:${dir}`,
  );
}

/**
 * Throws `StoreError` if files in the directory cannot share their blocks: many file systems can,
 * others have to be made for it, so it is tried in `scratch`, which is below it. A full disk is no
 * reason to refuse.
 */
export async function needReflinks(dir: string, scratch: string): Promise<void> {
  const [file, clone] = [join(scratch, "reflink-test"), join(scratch, "reflink-test-clone")];
  try {
    await writeFile(file, "reflink");
    await copyFile(file, clone, constants.COPYFILE_FICLONE_FORCE);
  } catch (error) {
    if (isOutOfSpace(error)) return;
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall !== "copyfile") throw error;
    throw new StoreError(
      `An xfs store needs reflinks, but "${dir}" is on ${await fileSystemType(dir)} and has none (${code}); mount a file system with reflinks there (mkfs.xfs -m reflink=1, or btrfs), or use overlayfs:${dir}`,
    );
  } finally {
    await rm(file, { force: true });
    await rm(clone, { force: true });
  }
}

async function fileSystemType(path: string): Promise<string> {
  return typeAt(await realpath(path), await listMounts());
}

/**
 * The type of the file system that has a path without links, as mount(8) names it, such as `ext4`.
 * Exported for tests.
 */
export function typeAt(path: string, mounts: readonly MountInfo[]): string {
  const above = mounts.filter(
    ({ target }) => target === "/" || target === path || path.startsWith(`${target}/`),
  );
  // The nearest one; of several on the same directory, the last.
  const nearest = above.sort((a, b) => a.target.length - b.target.length).at(-1);
  // The root of a chroot need not be a mount.
  return nearest?.type ?? "another file system";
}
