/**
 * Which files of a job's context are not sent to the engine.
 */
import { constants } from "node:fs";
import { lstat, open } from "node:fs/promises";
import { join } from "node:path";
import { IgnoreFile } from "../../text/index.js";
import { JobFailed } from "../failure.js";

export class DockerIgnore {
  readonly #file: IgnoreFile;

  constructor(text: string) {
    this.#file = new IgnoreFile(text);
  }

  /** Whether something in an ignored directory may be needed after all. */
  get hasExceptions(): boolean {
    return this.#file.hasExceptions;
  }

  /**
   * Whether the file or directory at `path`, relative to the context and without `.` segments, is
   * left out. Throws `JobFailed`.
   */
  ignores(path: string): boolean {
    try {
      return this.#file.leavesOut(path) !== undefined;
    } catch (error) {
      throw new JobFailed((error as Error).message, { cause: error });
    }
  }
}

/** More than anybody writes by hand; what it takes to match a path grows with it. */
const MAX_IGNORE_FILE = 64 * 1024;

/**
 * The text of the first of these files of a context that exists, `""` if there is none. Throws
 * `JobFailed`.
 */
export async function readIgnoreFile(src: string, names: readonly string[]): Promise<string> {
  for (const name of names) {
    const text = await readPlainFile(src, name);
    if (text !== undefined) return text;
  }
  return "";
}

/** A file of the context, unless there is none; a link, which could lead out of it, is refused. */
async function readPlainFile(src: string, name: string): Promise<string | undefined> {
  const path = join(src, name);
  const stat = await lstat(path).catch(() => undefined);
  if (!stat) return undefined;
  if (!stat.isFile()) throw new JobFailed(`${name} is not a regular file`);
  if (stat.size > MAX_IGNORE_FILE) {
    throw new JobFailed(`${name} is longer than ${MAX_IGNORE_FILE} bytes`);
  }
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}
