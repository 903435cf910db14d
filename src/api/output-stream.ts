/**
 * The stream of files of a job's result, as workers make it, schedulers keep it, and clients read
 * it:
 *
 *     contents   the data of all files, one after the other; holes are left out
 *     list       a line of JSON for each path that was asked for, then for each file, directory and link
 *     trailer    64 bytes: "OCLFILES", the version (u32), 0 (u32), the sizes of contents and list (u64 each), the SHA-256 of the
 *                list; numbers are little-endian
 *
 * The list comes last as hashes are known only when all was read; whoever wants a few files reads
 * trailer and list, and then what it needs of the contents. Names and targets of links are byte
 * strings (`text/bytes.ts`). A list comes from strangers: what `readList` gives is checked to make
 * sense, and is not yet safe to be written anywhere.
 */
import { createHash } from "node:crypto";

export const TRAILER_SIZE = 64;

const MAGIC = "OCLFILES";
const VERSION = 1;

/** The longest list, in bytes: that of more than a million files. */
const MAX_LIST = 512 * 1024 ** 2;

/** A path that was asked for, and what was found. */
export interface Asked {
  /** As it was asked for. */
  readonly asked: string;
  /** A pattern, of which any number may be found. */
  readonly isPattern: boolean;
  /**
   * Paths of entries, and what to call each: of a pattern, its path below the part that has no
   * wildcards.
   */
  readonly found: readonly (readonly [path: string, name: string])[];
}

interface Common {
  /** In the result's root, without a slash at its beginning; `""` is the root. */
  readonly path: string;
  /** Permissions; nothing but these. */
  readonly mode: number;
  /** Seconds since the Unix epoch, with fractions. */
  readonly mtime: number;
}

export interface FileEntry extends Common {
  readonly type: "file";
  /** Bytes, holes included. */
  readonly size: number;
  /** Of all of them, as hexadecimal digits. */
  readonly sha256: string;
  /** Where its data begins in the contents. */
  readonly at: number;
  /** Where there is data, as offset and length, in order, if that is not everywhere. */
  readonly data?: readonly (readonly [offset: number, length: number])[];
  /** It is the same file as that earlier one. */
  readonly same?: string;
}

export interface DirectoryEntry extends Common {
  readonly type: "dir";
}

export interface LinkEntry extends Common {
  readonly type: "link";
  readonly target: string;
}

export type OutputEntry = FileEntry | DirectoryEntry | LinkEntry;

export interface OutputList {
  readonly asked: readonly Asked[];
  /** In the order of paths' parts; each directory before what is in it, if it is there at all. */
  readonly entries: readonly OutputEntry[];
}

/** The stream, or what is in it, makes no sense. */
export class BadOutputs extends Error {
  override readonly name = "BadOutputs";
}

/** A line of the list, with its end. */
export function listLine(line: Asked | OutputEntry): Buffer {
  return Buffer.from(`${JSON.stringify(line)}\n`);
}

export interface Trailer {
  readonly contents: number;
  readonly list: number;
  readonly sha256: Uint8Array;
}

export function writeTrailer({ contents, list, sha256 }: Trailer): Buffer {
  const trailer = Buffer.alloc(TRAILER_SIZE);
  trailer.write(MAGIC, "latin1");
  trailer.writeUInt32LE(VERSION, 8);
  trailer.writeBigUInt64LE(BigInt(contents), 16);
  trailer.writeBigUInt64LE(BigInt(list), 24);
  trailer.set(sha256, 32);
  return trailer;
}

/** @param size bytes of the whole stream. Throws `BadOutputs`. */
export function readTrailer(bytes: Uint8Array, size: number): Trailer {
  const trailer = Buffer.from(bytes);
  if (trailer.length !== TRAILER_SIZE || trailer.toString("latin1", 0, 8) !== MAGIC) {
    throw new BadOutputs("There is no list of the files: this is no stream of files");
  }
  const version = trailer.readUInt32LE(8);
  if (version !== VERSION) {
    throw new BadOutputs(`The files are in form ${version}, which is newer than this program`);
  }
  const contents = Number(trailer.readBigUInt64LE(16));
  const list = Number(trailer.readBigUInt64LE(24));
  if (contents + list + TRAILER_SIZE !== size || list > MAX_LIST) {
    throw new BadOutputs("The list of the files does not fit the stream");
  }
  return { contents, list, sha256: trailer.subarray(32) };
}

/** Throws `BadOutputs` if the list is damaged, or refers to what there is not. */
export function readList(bytes: Uint8Array, { contents, sha256 }: Trailer): OutputList {
  if (!createHash("sha256").update(bytes).digest().equals(sha256)) {
    throw new BadOutputs("The list of the files is damaged");
  }
  const asked: Asked[] = [];
  const entries: OutputEntry[] = [];
  for (const text of Buffer.from(bytes).toString().split("\n")) {
    if (text === "") continue;
    let line: unknown;
    try {
      line = JSON.parse(text);
    } catch {
      throw new BadOutputs("The list of the files cannot be read");
    }
    if (isAsked(line)) asked.push(line);
    else if (isEntry(line, contents)) entries.push(line);
    else throw new BadOutputs(`The list of the files has a line that makes no sense: ${text}`);
  }
  return { asked, entries };
}

function isAsked(line: unknown): line is Asked {
  const { asked, found, isPattern } = line as Partial<Asked>;
  return (
    typeof asked === "string" &&
    typeof isPattern === "boolean" &&
    Array.isArray(found) &&
    found.every(([path, name]) => typeof path === "string" && typeof name === "string")
  );
}

function isEntry(line: unknown, contents: number): line is OutputEntry {
  const { mode, mtime, path, type } = line as Partial<OutputEntry>;
  if (typeof path !== "string" || !isSize(mode) || mode > 0o777 || !Number.isFinite(mtime)) {
    return false;
  }
  if (type === "dir") return true;
  if (type === "link") return typeof (line as LinkEntry).target === "string";
  if (type !== "file") return false;
  const { at, data, same, sha256, size } = line as Partial<FileEntry>;
  if (!isSize(size) || !isSize(at) || !/^[0-9a-f]{64}$/.test(String(sha256))) return false;
  if (same !== undefined && typeof same !== "string") return false;
  let end = 0;
  let length = 0;
  for (const [from, count] of data ?? [[0, size]]) {
    if (!isSize(from) || !isSize(count) || from < end || from + count > size) return false;
    end = from + count;
    length += count;
  }
  return at + length <= contents;
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Bytes that a file takes in the contents. */
export function dataLength({ data, size }: FileEntry): number {
  return data ? data.reduce((sum, [, length]) => sum + length, 0) : size;
}
