/*
 * Small operations on directories that stores share.
 */

import { chmod, lstat, mkdir, readdir, rename, statfs } from "node:fs/promises";
import { join } from "node:path";
import { removeTree, run } from "../../system/index.js";
import { StoreError } from "../errors.js";
import { idNumber } from "../sandboxes/oci-config.js";
import type { UnixUser } from "../spec/spec.js";

/** Whether there is a directory. Throws `StoreError` if there is something else. */
export async function isDirectory(path: string): Promise<boolean> {
  try {
    if ((await lstat(path)).isDirectory()) return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
  throw new StoreError(`"${path}" is in the way: it must be a directory; remove it`);
}

/**
 * Makes the directories that are missing, and keeps others than root out of all of them: what steps
 * have made may be programs that run as root whoever starts them, and device nodes.
 */
export async function ensurePrivateDirs(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(path, { recursive: true });
    await chmod(path, 0o700);
  }
}

/** Makes the empty root of a base image; whatever the umask, all users may look into it. */
export async function makeRootfs(layer: string): Promise<void> {
  const rootfs = join(layer, "rootfs");
  await mkdir(rootfs);
  await chmod(rootfs, 0o755);
}

/** Removes all that is in a directory. */
export async function emptyDir(path: string): Promise<void> {
  const names = await readdir(path);
  await removeTree(...names.map((name) => join(path, name)));
}

/**
 * Removes a tree that may be looked at meanwhile, or at any later time after a crash: it disappears
 * from its place at once, into a directory that is emptied when the store is opened.
 */
export async function discard(path: string, trash: string): Promise<void> {
  const moved = join(trash, `discarded-${process.pid}-${discarded++}`);
  try {
    await rename(path, moved);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  await removeTree(moved);
}

let discarded = 0;

/** The numbers for chown(2). Throws `BuildError` if they are out of range. */
export function owner({ uid, gid }: UnixUser): [uid: number, gid: number] {
  return [idNumber(uid), idNumber(gid)];
}

/** Free space of the file system in per cent of what users can have. */
export async function freePercent(path: string): Promise<number> {
  const { blocks, bfree, bavail } = await statfs(path);
  const used = blocks - bfree;
  return 100 - (100 * used) / (used + bavail);
}

/** Bytes on the disk of each tree; files with several links count once. */
export async function diskUsage(paths: readonly string[]): Promise<number[]> {
  if (paths.length === 0) return [];
  const argv = ["du", "-s", "--block-size=1", "--files0-from=-"];
  const lines = (await run(argv, { input: paths.join("\0") })).trimEnd().split("\n");
  return lines.map((line) => Number.parseInt(line, 10));
}

/** The names in `result` that are layers' ids. */
export async function layerIds(path: string): Promise<string[]> {
  return (await readdir(path)).filter((name) => /^[0-9a-f]{64}$/.test(name));
}
