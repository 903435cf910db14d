/*
 * Full disks: how one is recognised, and what the user is told.
 *
 * What fails in this process, or in a program whose words are known, says itself that there was no
 * space. Steps seldom do, and their output is theirs; so when one fails, the file system is asked,
 * before the store removes what it has written.
 */

import { statfsSync } from "node:fs";
import { writeSize } from "../../text/index.js";
import { BuildError, isMachineFailure } from "../errors.js";

/** Both with and without a quota, in the words of the C library, rsync, btrfs and Docker. */
const WORDS = /no space left on device|disk quota exceeded/i;

const CODES: readonly unknown[] = ["ENOSPC", "EDQUOT", "SQLITE_FULL"];

/** SQLite's errors where it needs a new file, or a larger one; they may have other causes. */
const PERHAPS = /^SQLITE_(CANTOPEN|IOERR)/;

/**
 * The least that counts as room: file systems keep some blocks for their own records, in proportion
 * to their size.
 */
const LEAST = 1024 * 1024;
const LEAST_SHARE = 1 / 50;
const LEAST_AT_MOST = 16 * 1024 * 1024;
const LEAST_INODES = 1 / 1000;

/** Whether a failure, not of a step's own program, says that there was no space. */
export function isOutOfSpace(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (CODES.includes((error as NodeJS.ErrnoException).code)) return true;
  return isMachineFailure(error) && WORDS.test(error.message);
}

/** The same, also where the error does not say but the file system of `path` does. */
export function isNoSpace(error: unknown, path: string): boolean {
  if (isOutOfSpace(error)) return true;
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && PERHAPS.test(code) && fullDisk(path) !== undefined;
}

/**
 * What is left of a full file system, for people: `0 B of 60.0 MiB free`; undefined if it is not
 * full. Steps are in no position to use what is reserved for others than users.
 */
export function fullDisk(path: string): string | undefined {
  const { bsize, blocks, bavail, files, ffree } = statfsSync(path);
  const [size, free] = [blocks * bsize, bavail * bsize];
  if (free < Math.max(LEAST, Math.min(size * LEAST_SHARE, LEAST_AT_MOST))) {
    return `${writeSize(free)} of ${writeSize(size)} free`;
  }
  // Some file systems have no fixed number of inodes, and say 0.
  if (files > 0 && ffree <= files * LEAST_INODES) return `${ffree} of ${files} inodes free`;
  return undefined;
}

/** A build failed for want of space. */
export class NoSpaceError extends BuildError {
  constructor(failure: string, root: string, left: string | undefined) {
    super(noSpaceText(failure, root, left));
  }
}

/** A failure with what to do about it. `left` is what `fullDisk` said when it happened. */
export function noSpaceText(failure: string, root: string, left: string | undefined): string {
  const state = left === undefined ? "" : ` (${left})`;
  return `${failure}\nNo space left on device: the disk of the store ${root} is full${state}; remove layers ("obuilder prune") or other files there`;
}
