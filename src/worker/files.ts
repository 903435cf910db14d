/**
 * Small help with files and directories of the state directory.
 */
import { randomBytes } from "node:crypto";
import { makeDirectory } from "../system/index.js";

/**
 * A file name that is not in use, `PREFIX-PID-RANDOM`, and by which `isLeftover` knows whose it is.
 */
export function temporaryName(prefix: string): string {
  return `${prefix}-${process.pid}-${randomBytes(8).toString("hex")}`;
}

/** Whether a file in a directory for temporary files belongs to no process that runs. */
export function isLeftover(name: string): boolean {
  return !isRunning(Number(/-(\d+)-[0-9a-f]{16}$/.exec(name)?.[1] ?? 0));
}

/**
 * Whether the worker with this process id still runs, asked by one that has not begun to work: the
 * same id was another's.
 */
export function isRunning(pid: number): boolean {
  if (pid === 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/**
 * Makes a directory in the state directory, for its owner only, with its parents. Throws
 * `DirectoryError`.
 */
export function makePrivateDirectory(path: string): void {
  makeDirectory(path, "for the worker's state (--state-dir)", 0o700);
}
