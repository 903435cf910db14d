/*
 * Paths that are too long to be named. A step can make directories in directories without end, by
 * going into each; but a program that copies a tree by the paths of its files, as rsync and cp do,
 * gets no further than the system's limit. A layer or cache with more than that could not be built
 * on: it must not become one.
 */

import type { Readable } from "node:stream";
import { endingText, ProgramError, start } from "../../system/index.js";

/** Bytes of a path that the system takes (PATH_MAX, which counts the NUL at the end). */
export const LONGEST_PATH = 4095;

/** Bytes of a name and its slash. */
const LONGEST_NAME = 256;

/** What the directory may be called while it is copied is longer than its path by at most that. */
const RESERVE = 64;

/**
 * The first path below a directory that is too long to be copied, relative to it; undefined if
 * there is none. What is in the tree may be anything, and of any depth.
 */
export async function pathTooLong(dir: string): Promise<string | undefined> {
  const room = LONGEST_PATH - Buffer.byteLength(dir) - RESERVE;
  // Paths that are less deep are shorter, and there may be very many of them.
  const depth = Math.max(1, Math.floor(room / LONGEST_NAME));
  const argv = ["find", dir, "-mindepth", `${depth}`, "-printf", "%P\\0"];
  const find = start(argv, { stdio: ["ignore", "pipe", "ignore"] });
  let found: string | undefined;
  try {
    found = await longerThan(room, find.process.stdout!);
  } catch (error) {
    find.process.kill("SIGKILL");
    throw error;
  }
  if (found !== undefined) find.process.kill("SIGKILL"); // what it would still print may be without end
  const ending = await find.ended;
  if (found === undefined && ending.status !== 0) {
    throw new ProgramError(endingText(argv, ending), ending.status, "");
  }
  return found;
}

/**
 * The first of the paths, each with a NUL behind it, that has more bytes. Not all is held: together
 * they can be very long.
 */
async function longerThan(room: number, paths: Readable): Promise<string | undefined> {
  let rest = Buffer.alloc(0);
  for await (const chunk of paths) {
    const data = Buffer.concat([rest, chunk as Buffer]);
    let begin = 0;
    for (let end = data.indexOf(0); end >= 0; end = data.indexOf(0, begin)) {
      if (end - begin > room) return data.toString("utf8", begin, end);
      begin = end + 1;
    }
    rest = data.subarray(begin);
    if (rest.length > room) return rest.toString("utf8");
  }
  return undefined;
}
