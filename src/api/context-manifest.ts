/**
 * The manifest of a build context that was a local directory: what is in it, by name, and files by
 * the SHA-256 of what is in them. It is text, a line of JSON for the form and then for each entry:
 *
 *     ["ocluster-context",1]
 *     ["d",PATH,MODE]
 *     ["f",PATH,MODE,MTIME,SIZE,SHA256]
 *     ["l",PATH,TARGET]
 *
 * PATH is relative to the directory. Each directory comes before what is in it, which follows at
 * once, names in the order of their UTF-16 units. So the same tree always has the same manifest,
 * whose own SHA-256 stands for all of it; and no name can be there twice, nor be in what is no
 * directory. Names and targets are byte strings (`text/bytes.ts`), MODE has permissions alone,
 * MTIME is in microseconds since the Unix epoch.
 *
 * A manifest comes from strangers. What `readingManifest` lets pass leads nowhere out of a
 * directory in which it is made, as long as links are made last.
 */
import { byteLength, quoted } from "../text/index.js";
import { isHash } from "./local-context.js";

interface Common {
  /** Relative, without empty, `.` and `..` components. */
  readonly path: string;
}

export interface ContextDirectory extends Common {
  readonly type: "dir";
  /** Permissions; nothing but these. */
  readonly mode: number;
}

export interface ContextFile extends Common {
  readonly type: "file";
  readonly mode: number;
  /** Microseconds since the Unix epoch. */
  readonly mtime: number;
  /** Bytes. */
  readonly size: number;
  /** As hexadecimal digits. */
  readonly sha256: string;
}

export interface ContextLink extends Common {
  readonly type: "link";
  readonly target: string;
}

export type ContextEntry = ContextDirectory | ContextFile | ContextLink;

/** The longest manifest, in bytes; and how many files, directories and links it may have. */
export const MAX_MANIFEST = 64 * 1024 ** 2;
export const MAX_ENTRIES = 500_000;

/** As of the system; and how many directories may be within each other. */
const MAX_PATH = 4095;

/** Bytes of a line: a path and a target of which each byte is escaped, with room to spare. */
const MAX_LINE = 64 * 1024;
const MAX_NAME = 255;
const MAX_DEPTH = 200;

const FORM = '["ocluster-context",1]';

/** It is no manifest, or would lead out of its directory. */
export class BadManifest extends Error {
  override readonly name = "BadManifest";
}

/** @param entries in the order of a manifest */
export function writeManifest(entries: readonly ContextEntry[]): Buffer {
  const lines = [FORM];
  for (const entry of entries) lines.push(lineOf(entry));
  return Buffer.from(`${lines.join("\n")}\n`);
}

function lineOf(entry: ContextEntry): string {
  switch (entry.type) {
    case "dir":
      return JSON.stringify(["d", entry.path, entry.mode]);
    case "link":
      return JSON.stringify(["l", entry.path, entry.target]);
    case "file": {
      const { mode, mtime, path, sha256, size } = entry;
      return JSON.stringify(["f", path, mode, mtime, size, sha256]);
    }
  }
}

/**
 * Reads a manifest entry by entry; others can run between two of them. Throws `BadManifest` that
 * says what is wrong.
 */
export function* manifestEntries(bytes: Uint8Array): Generator<ContextEntry, void> {
  if (bytes.length > MAX_MANIFEST) {
    throw new BadManifest(`It is longer than ${MAX_MANIFEST} bytes`);
  }
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const places = new Places();
  let number = 0;
  for (let at = 0; at < buffer.length; number++) {
    const end = buffer.indexOf(LINE_END, at);
    if (end < 0) throw new BadManifest("Its last line has no end");
    if (end - at > MAX_LINE) {
      throw new BadManifest(`It has a line of more than ${MAX_LINE} bytes`);
    }
    const line = buffer.toString("utf8", at, end);
    at = end + 1;
    if (number === 0) {
      if (line !== FORM) throw new BadManifest("It is of no form that is known here");
      continue;
    }
    if (number > MAX_ENTRIES) throw new BadManifest(`It has more than ${MAX_ENTRIES} entries`);
    const entry = entryOf(line);
    if (!entry) throw new BadManifest(`It has a line that makes no sense: ${quoted(line)}`);
    places.enter(entry);
    yield entry;
  }
  if (number === 0) throw new BadManifest("It is empty");
}

const LINE_END = "\n".charCodeAt(0);

function entryOf(line: string): ContextEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const [kind, path, third, mtime, size, sha256] = value as unknown[];
  if (typeof path !== "string") return undefined;
  if (kind === "l" && value.length === 3 && isTarget(third)) {
    return { type: "link", path, target: third };
  }
  if (!isCount(third) || third > 0o777) return undefined;
  if (kind === "d" && value.length === 3) return { type: "dir", path, mode: third };
  const isFile = kind === "f" && value.length === 6 && isCount(size);
  if (!isFile || !Number.isSafeInteger(mtime) || typeof sha256 !== "string" || !isHash(sha256)) {
    return undefined;
  }
  return { type: "file", path, mode: third, mtime: mtime as number, size, sha256 };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTarget(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value !== "" &&
    !value.includes("\0") &&
    byteLength(value) <= MAX_PATH
  );
}

/** Where in the tree the last entry was, so that the next one can be told to be in its place. */
class Places {
  /** The directories that are open, the top first, each with the last name that was in it. */
  private readonly open = [{ path: "", last: "" }];

  /** Throws `BadManifest`. */
  enter({ path, type }: ContextEntry): void {
    const slash = path.lastIndexOf("/");
    const parent = slash < 0 ? "" : path.slice(0, slash);
    const name = path.slice(slash + 1);
    if (!isName(name) || (slash >= 0 && parent === "") || byteLength(path) > MAX_PATH) {
      throw new BadManifest(`It has a bad name: ${quoted(path)}`);
    }
    while (this.open.length > 1 && this.open.at(-1)!.path !== parent) this.open.pop();
    const directory = this.open.at(-1)!;
    if (directory.path !== parent) {
      throw new BadManifest(`${quoted(path)} is in no directory of it`);
    }
    if (directory.last !== "" && !(directory.last < name)) {
      throw new BadManifest(`${quoted(path)} is there twice, or not in its place`);
    }
    directory.last = name;
    if (type !== "dir") return;
    if (this.open.length > MAX_DEPTH) {
      throw new BadManifest(`It has more than ${MAX_DEPTH} directories within each other`);
    }
    this.open.push({ path, last: "" });
  }
}

/** Whether there can be a file of that name. */
export function isName(name: string): boolean {
  return (
    name !== "" &&
    name !== "." &&
    name !== ".." &&
    !name.includes("\0") &&
    !name.includes("/") &&
    byteLength(name) <= MAX_NAME
  );
}

/** What is told of a context before it is sent: bytes of its files together, and how many. */
export function totalSize(entries: Iterable<ContextEntry>): { files: number; bytes: number } {
  let files = 0;
  let bytes = 0;
  for (const entry of entries) {
    if (entry.type !== "file") continue;
    files++;
    bytes += entry.size;
  }
  return { files, bytes };
}
