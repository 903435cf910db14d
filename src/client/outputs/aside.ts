/**
 * A directory beside the place where files are to be, in which they are made until they are whole.
 * Its name is always the same for the same files and place, so that what a killed client has left
 * in it is used by the next one; it belongs to its user alone, so that nobody else has put anything
 * there.
 */
import { lstatSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { inTheWay } from "./local-check.js";
import type { LocalTarget } from "./output-spec.js";

/** Characters of the place's name that are part of the directory's. */
const MAX_NAME = 100;

/**
 * Makes it, or takes what is there. Throws `CommandFailed` if that is somebody else's, and the
 * system's errors.
 */
export function makeAside(local: LocalTarget, id: string): string {
  const path = asidePath(local, id);
  mkdirSync(dirname(path), { recursive: true });
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const stats = lstatSync(path);
    const isOwn = stats.isDirectory() && stats.uid === process.getuid!();
    if (!isOwn || (stats.mode & 0o077) !== 0) throw inTheWay(path);
  }
  return path;
}

export function removeAside(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

function asidePath(local: LocalTarget, id: string): string {
  if (local.kind === "stdout") return join(tmpdir(), `ocluster-${process.getuid!()}-${id}`);
  const place = resolve(local.path);
  return join(dirname(place), `.${basename(place).slice(0, MAX_NAME)}.ocluster-${id}`);
}
