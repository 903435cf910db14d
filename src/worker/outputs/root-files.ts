/**
 * The files of a root that are asked for: found by path and pattern, and read, without ever being
 * led out of the root.
 *
 * Links in what is asked for lead where they would in the root: `/var/run/x` is `/run/x` if that is
 * what it says there. What is found in directories and by patterns is taken as it is: a link as a
 * link. Neither devices nor sockets are taken, nor what cannot be told apart from a file that grows
 * for ever.
 */
import { closeSync, readSync, type Stats } from "node:fs";
import type { OutputStream } from "../../api/index.js";
import { Slices } from "../../async/index.js";
import { SourceDir } from "../../system/index.js";
import { type PathPattern, type PatternPart, quoted, readPathPattern } from "../../text/index.js";
import { InvalidJob, JobFailed } from "../failure.js";
import {
  apparentLimit,
  type FileData,
  type OutputWriter,
  tooLarge,
  tooSparse,
} from "./output-writer.js";

/** What a root may have that is asked for. */
export const MAX_ENTRIES = 1_000_000;

/** Directories within directories; each holds a descriptor open while it is walked. */
export const MAX_DEPTH = 500;

/** Links that are followed on one way. */
const MAX_LINKS = 40;

/** Bytes read from a file at a time. */
const CHUNK = 256 * 1024;

/** What is there, before it is read. */
interface Found {
  readonly parts: readonly string[];
  readonly stats: Stats;
}

export interface Wanted {
  readonly paths: readonly string[];
  /** What is not there is no failure. */
  readonly optional: boolean;
  /** Bytes that the stream may have. */
  readonly limit: number;
}

/**
 * Reads the patterns, for what is wrong with them to be told before a job is built. Throws
 * `InvalidJob`.
 */
export function readPatterns(paths: readonly string[]): PathPattern[] {
  return paths.map((path) => {
    const pattern = readPathPattern(path);
    if (typeof pattern === "string") throw new InvalidJob(`The output ${quoted(path)} ${pattern}`);
    return pattern;
  });
}

/**
 * Writes the contents of all that is asked for, and returns the list. Throws a `JobFailed` if
 * something is not there, or there is too much, which is found before anything is written; and the
 * system's errors.
 */
export async function writeRootFiles(
  rootPath: string,
  { limit, optional, paths }: Wanted,
  writer: OutputWriter,
  signal?: AbortSignal,
): Promise<OutputStream.OutputList> {
  using root = SourceDir.open(rootPath);
  const finder = new Finder(root, limit, new Slices(signal));
  const asked: OutputStream.Asked[] = [];
  for (const [index, pattern] of readPatterns(paths).entries()) {
    const found = await finder.find(pattern);
    if (found.length === 0 && !optional) throw missing(paths[index]!);
    asked.push({ asked: paths[index]!, isPattern: pattern.parts.length > 0, found });
  }
  const entries = await new Reader(root, writer, new Slices(signal)).read(finder.entries());
  return { asked, entries };
}

export function missing(path: string): JobFailed {
  return new JobFailed(`The output ${quoted(path)} is not there (--output-optional allows that)`);
}

class Finder {
  readonly #found = new Map<string, Found>();
  #bytes = 0;
  #apparent = 0;

  constructor(
    private readonly root: SourceDir,
    private readonly limit: number,
    private readonly slices: Slices,
  ) {}

  /** All that was found, each once; directories before what is in them. */
  entries(): Found[] {
    return [...this.#found.values()];
  }

  /** Finds what a path or pattern stands for, with all that is in it. */
  async find({ fixed, parts }: PathPattern): Promise<(readonly [path: string, name: string])[]> {
    const begin = resolve(this.root, fixed);
    if (!begin) return [];
    if (parts.length === 0) {
      await this.#take(begin);
      const path = begin.join("/");
      return this.#found.has(path) ? [[path, fixed.at(-1) ?? ""]] : [];
    }
    const matches = new Map<string, readonly string[]>();
    await this.#match(begin, [], parts, matches);
    const found: (readonly [string, string])[] = [];
    for (const [name, match] of matches) {
      const path = [...begin, ...match];
      await this.#take(path);
      if (this.#found.has(path.join("/"))) found.push([path.join("/"), name]);
    }
    return found;
  }

  /**
   * Adds the paths below `begin` that the parts of a pattern stand for; those in others are left to
   * these.
   */
  async #match(
    begin: readonly string[],
    at: readonly string[],
    [part, ...rest]: readonly PatternPart[],
    matches: Map<string, readonly string[]>,
  ): Promise<void> {
    if (!part) {
      if (matches.size >= MAX_ENTRIES) throw tooMany();
      matches.set(at.join("/"), at);
      return;
    }
    await this.slices.turn();
    if (part.deep) await this.#match(begin, at, rest.length > 0 ? rest : ANYTHING, matches);
    const parts = [...begin, ...at];
    if (parts.length > MAX_DEPTH) throw tooDeep();
    for (const { name, isDirectory } of namesIn(this.root, parts)) {
      const next = [...at, name];
      if (part.deep) {
        if (isDirectory && !name.startsWith(".")) {
          await this.#match(begin, next, [part, ...rest], matches);
        }
      } else if (part.matches(name) && (rest.length === 0 || isDirectory)) {
        await this.#match(begin, next, rest, matches);
      }
    }
  }

  /** Notes what is at a path, and all that is in it. */
  async #take(parts: readonly string[]): Promise<void> {
    using dir = openAt(this.root, parts.slice(0, -1));
    const name = parts.at(-1) ?? ".";
    const stats = dir.stat(name);
    if (stats) await this.#walk(dir, name, parts, stats);
  }

  async #walk(dir: SourceDir, name: string, parts: readonly string[], stats: Stats): Promise<void> {
    const isDirectory = stats.isDirectory();
    if (!isDirectory && !stats.isFile() && !stats.isSymbolicLink()) return;
    const path = parts.join("/");
    if (!this.#found.has(path)) {
      if (this.#found.size >= MAX_ENTRIES) throw tooMany();
      this.#found.set(path, { parts, stats });
      if (stats.isFile()) this.#count(stats);
    }
    if (!isDirectory) return;
    if (parts.length > MAX_DEPTH) throw tooDeep();
    await this.slices.turn();
    using inner = dir.openDir(name);
    for (const entry of inner.names()) {
      const entryStats = inner.stat(entry);
      if (entryStats) await this.#walk(inner, entry, [...parts, entry], entryStats);
    }
  }

  #count({ blocks, size }: Stats): void {
    // A file with holes takes less than its size.
    this.#bytes += Math.min(size, blocks * 512);
    if (this.#bytes > this.limit) throw tooLarge(this.#bytes, this.limit);
    this.#apparent += size;
    const most = apparentLimit(this.limit);
    if (this.#apparent > most) throw tooSparse(this.#apparent, most);
  }
}

/** Reads what was found, in its order. */
class Reader {
  /** The first of each file that has several names. */
  readonly #files = new Map<string, OutputStream.FileEntry>();
  readonly #buffer = Buffer.allocUnsafeSlow(CHUNK);
  /** The directory of the last file, which is mostly that of the next one. */
  #dir: { readonly path: string; readonly dir: SourceDir } | undefined;

  constructor(
    private readonly root: SourceDir,
    private readonly writer: OutputWriter,
    private readonly slices: Slices,
  ) {}

  async read(found: readonly Found[]): Promise<OutputStream.OutputEntry[]> {
    const entries: OutputStream.OutputEntry[] = [];
    try {
      for (const one of found) {
        await this.slices.turn();
        entries.push(await this.#entry(one));
      }
    } finally {
      this.#dir?.dir[Symbol.dispose]();
    }
    return entries;
  }

  async #entry({ parts, stats }: Found): Promise<OutputStream.OutputEntry> {
    const path = parts.join("/");
    const common = { path, mode: stats.mode & 0o777, mtime: stats.mtimeMs / 1000 };
    if (stats.isDirectory()) return { type: "dir", ...common };
    const dir = this.#open(parts.slice(0, -1));
    const name = parts.at(-1)!;
    if (stats.isSymbolicLink()) return { type: "link", ...common, target: dir.readLink(name) };
    const id = `${stats.dev}:${stats.ino}`;
    const first = stats.nlink > 1 ? this.#files.get(id) : undefined;
    if (first) return { ...first, path, same: first.path };
    const entry = { type: "file", ...common, ...(await this.#file(dir, name)) } as const;
    if (stats.nlink > 1) this.#files.set(id, entry);
    return entry;
  }

  async #file(dir: SourceDir, name: string): Promise<FileData> {
    const { fd, stats } = dir.openFile(name);
    try {
      const data = this.writer.begin();
      for (let left = stats.size; left > 0; ) {
        const length = readSync(fd, this.#buffer, 0, Math.min(left, CHUNK), null);
        if (length === 0) break;
        left -= length;
        await data.add(this.#buffer.subarray(0, length));
        await this.slices.turn();
      }
      return data.end();
    } finally {
      closeSync(fd);
    }
  }

  #open(parts: readonly string[]): SourceDir {
    const path = parts.join("/");
    if (this.#dir?.path === path) return this.#dir.dir;
    this.#dir?.dir[Symbol.dispose]();
    this.#dir = undefined;
    const dir = openAt(this.root, parts);
    this.#dir = { path, dir };
    return dir;
  }
}

/** What `**` at the end of a pattern stands for. */
const ANYTHING: readonly PatternPart[] = [
  { deep: false, matches: (name) => !name.startsWith(".") },
];

/** Where a path leads in the root, links included; undefined if there is nothing. */
function resolve(root: SourceDir, path: readonly string[]): string[] | undefined {
  const ahead = [...path].reverse();
  const way: string[] = [];
  for (let links = 0; ahead.length > 0; ) {
    const part = ahead.pop()!;
    if (part === "" || part === ".") continue;
    if (part === "..") {
      way.pop();
      continue;
    }
    if (way.length > MAX_DEPTH) return undefined;
    const target = lookAt(root, way, part);
    if (target === undefined) return undefined;
    if (target === null) {
      way.push(part);
      continue;
    }
    if (++links > MAX_LINKS) return undefined;
    if (target.startsWith("/")) way.length = 0;
    ahead.push(...target.split("/").reverse());
  }
  return way;
}

/** The target of a link; null for anything else, undefined for nothing. */
function lookAt(root: SourceDir, way: readonly string[], part: string): string | null | undefined {
  try {
    using dir = openAt(root, way);
    const stats = dir.stat(part);
    if (!stats) return undefined;
    return stats.isSymbolicLink() ? dir.readLink(part) : null;
  } catch (error) {
    if (isElsewhere(error)) return undefined;
    throw error;
  }
}

function namesIn(
  root: SourceDir,
  parts: readonly string[],
): { readonly name: string; readonly isDirectory: boolean }[] {
  try {
    using dir = openAt(root, parts);
    return dir
      .names()
      .map((name) => ({ name, isDirectory: dir.stat(name)?.isDirectory() === true }));
  } catch (error) {
    if (isElsewhere(error)) return [];
    throw error;
  }
}

/** Opens a directory, through no link. To be disposed by the caller. */
function openAt(root: SourceDir, parts: readonly string[]): SourceDir {
  let dir = root.openDir(".");
  for (const part of parts) {
    using outer = dir;
    dir = outer.openDir(part);
  }
  return dir;
}

/** There is something else at a path than a directory, or nothing. */
function isElsewhere(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP";
}

export function tooMany(): JobFailed {
  return new JobFailed(`The files to be handed over are more than ${MAX_ENTRIES}`);
}

export function tooDeep(): JobFailed {
  return new JobFailed(`The files to be handed over are nested more than ${MAX_DEPTH} deep`);
}
