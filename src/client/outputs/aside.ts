/**
 * A directory beside the place where files are to be, or in it if they are to be in a directory
 * that is there: what is beside that may be another's, or another disk. In it they are made until
 * they are whole.
 * Its name is always the same for the same files and place, so that what a killed client has left
 * in it is used by the next one; it belongs to its user alone, so that nobody else has put anything
 * there.
 */
import { lstatSync, mkdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { inTheWay } from "./local-check.js";
import type { LocalTarget } from "./output-spec.js";

/** Characters of the place's name that are part of the directory's. */
const MAX_NAME = 100;

/**
 * Makes it, or takes what is there. Throws `CommandFailed` if that is somebody else's, and the
 * system's errors.
 *
 * @param isInside files are to be in the place, and not instead of it
 */
export function makeAside(local: LocalTarget, id: string, isInside: boolean): string {
  const path = asidePath(local, id, isInside);
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

function asidePath(local: LocalTarget, id: string, isInside: boolean): string {
  if (local.kind === "stdout") return join(tmpdir(), `ocluster-${process.getuid!()}-${id}`);
  const place = resolve(local.path);
  const name = `.${basename(place).slice(0, MAX_NAME)}.ocluster-${id}`;
  const beside = join(dirname(place), name);
  const isThere = isInside && statSync(place, { throwIfNoEntry: false })?.isDirectory() === true;
  // A killed client may have begun before the directory was there.
  if (!isThere || lstatSync(beside, { throwIfNoEntry: false })) return beside;
  return join(place, name);
}
