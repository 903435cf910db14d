/**
 * Directories that a user names, made with their parents.
 *
 * Not by Node's own recursive mkdir: where a file system says of each name in a directory that
 * there is no such file, as /proc does, that one goes on trying for ever. Nor does it say which
 * part of the path is in the way.
 */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * A directory cannot be there. The message names the path, what it is for, what is in the way and
 * what to do.
 */
export class DirectoryError extends Error {
  override readonly name = "DirectoryError";
}

/**
 * Makes a directory and its parents, as far as they do not exist, all with `mode`. `purpose` stands
 * in the message after the path, such as `for the state (--state-dir)`. Returns those that it made,
 * and nobody else, parents first. Throws `DirectoryError`, and the system's error for what has
 * nothing to do with the path, such as a full disk.
 */
export function makeDirectory(path: string, purpose: string, mode = 0o777): string[] {
  try {
    return make(path, mode);
  } catch (error) {
    const reason = reasonOf(error as NodeJS.ErrnoException);
    if (reason === undefined) throw error;
    throw new DirectoryError(
      `Cannot make "${path}", ${purpose}: ${reason}. Choose another path, or put that right.`,
      { cause: error },
    );
  }
}

function make(path: string, mode: number): string[] {
  try {
    mkdirSync(path, { mode });
    return [path];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && isDirectory(path)) return [];
    const parent = dirname(path);
    if (code !== "ENOENT" || existsSync(parent)) throw error;
    return [...make(parent, mode), ...make(path, mode)];
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** What was in the way, by the error of mkdir(2); undefined if that was not the path. */
function reasonOf({ code, path = "" }: NodeJS.ErrnoException): string | undefined {
  switch (code) {
    case "EEXIST":
      return `"${path}" is not a directory`;
    case "ENOTDIR":
      return `"${nearest(path)}" is not a directory`;
    case "ENOENT":
      return `nothing can be made in "${dirname(path)}"`;
    case "EACCES":
    case "EPERM":
      return `there is no permission to make "${path}"`;
    case "EROFS":
      return `"${path}" would be on a file system that is read-only`;
    default:
      return undefined;
  }
}

/** The longest beginning of a path that exists. */
function nearest(path: string): string {
  return existsSync(path) ? path : nearest(dirname(path));
}
