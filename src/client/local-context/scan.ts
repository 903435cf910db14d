/**
 * A local directory as a build context: what is in it, without what is to be left out, and the
 * hashes of its files. It is the user's own, but others may change it meanwhile: no link is
 * followed, and a file that changes while it is read is read once more.
 */
import { createHash } from "node:crypto";
import { closeSync, fstatSync, readSync, type Stats } from "node:fs";
import { ContextManifest } from "../../api/index.js";
import { Slices } from "../../async/index.js";
import { CommandFailed } from "../../console/index.js";
import { type HashMemory, isUnchanged, SourceDir } from "../../system/index.js";
import { byteLength, type IgnoreFile, quoted } from "../../text/index.js";

export interface ScanRules {
  /** What its patterns leave out. */
  readonly ignored: IgnoreFile;
  /** Paths of files that are there whatever the patterns say. */
  readonly needed: readonly string[];
  /** Paths that are left out in any case. */
  readonly leftOut: readonly string[];
}

export interface ScannedTree {
  /** In the order of a manifest. */
  readonly entries: readonly ContextManifest.ContextEntry[];
  /** Devices, sockets and pipes, which are left out. */
  readonly others: number;
}

/** Somebody changes the directory again and again. */
export class TreeChanged extends CommandFailed {
  constructor(path: string, options?: ErrorOptions) {
    super(
      `${quoted(path)} changes while it is read: submit again when nobody works on it.`,
      options,
    );
  }
}

/** How often a file is read that changes meanwhile. */
const TRIES = 3;

/** Bytes read at a time. */
const CHUNK = 1024 * 1024;

/** How many directories may be within each other, and bytes a path may have. */
const MAX_DEPTH = 200;
const MAX_PATH = 4095;

/** Rejects with `CommandFailed`, and the signal's reason. */
export async function scan(
  directory: string,
  rules: ScanRules,
  memory: HashMemory,
  signal: AbortSignal,
): Promise<ScannedTree> {
  using top = SourceDir.open(directory);
  const scanner = new Scanner(rules, memory);
  const walk = scanner.walk(top, "", []);
  try {
    await new Slices(signal).run(walk);
  } finally {
    walk.return(); // It closes what it has open.
  }
  memory.save();
  return scanner;
}

class Scanner implements ScannedTree {
  readonly entries: ContextManifest.ContextEntry[] = [];
  others = 0;
  private readonly leftOut: ReadonlySet<string>;
  private readonly buffer = Buffer.allocUnsafe(CHUNK);

  constructor(
    private readonly rules: ScanRules,
    private readonly memory: HashMemory,
  ) {
    this.leftOut = new Set(rules.leftOut);
  }

  /**
   * What is in a directory.
   *
   * @param unsaid directories on the way there that are left out unless something in them is not
   */
  *walk(
    directory: SourceDir,
    path: string,
    unsaid: readonly ContextManifest.ContextDirectory[],
  ): Generator<void, void> {
    let pending = unsaid;
    const say = (entry: ContextManifest.ContextEntry): void => {
      this.entries.push(...pending, entry);
      pending = [];
      if (this.entries.length > ContextManifest.MAX_ENTRIES) throw tooMany();
    };
    // In the order of a manifest, which is not that of bytes.
    for (const name of directory.names().sort()) {
      const at = path === "" ? name : `${path}/${name}`;
      const stats = this.leftOut.has(at) ? undefined : readable(at, () => directory.stat(name));
      if (!stats) continue;
      const isIgnored = this.isIgnored(at);
      if (stats.isDirectory()) {
        if (isIgnored && !this.mayHaveSome(at)) continue;
        checkPath(at);
        const before = this.entries.length;
        const entry = { type: "dir", path: at, mode: stats.mode & 0o777 } as const;
        if (!isIgnored) say(entry);
        yield* this.walkInto(directory, name, at, isIgnored ? [...pending, entry] : []);
        if (isIgnored && this.entries.length > before) pending = [];
      } else if (!isIgnored) {
        checkPath(at);
        yield* this.other(directory, name, at, stats, say);
      }
      yield;
    }
  }

  private *walkInto(
    directory: SourceDir,
    name: string,
    at: string,
    unsaid: readonly ContextManifest.ContextDirectory[],
  ): Generator<void, void> {
    using inside = readable(at, () => directory.openDir(name));
    if (inside) yield* this.walk(inside, at, unsaid);
  }

  private *other(
    directory: SourceDir,
    name: string,
    path: string,
    stats: Stats,
    say: (entry: ContextManifest.ContextEntry) => void,
  ): Generator<void, void> {
    if (stats.isSymbolicLink()) {
      const target = readable(path, () => directory.readLink(name));
      if (target !== undefined) say({ type: "link", path, target });
    } else if (!stats.isFile()) {
      this.others++;
    } else {
      const known = this.memory.find(path, stats);
      if (known !== undefined) say(entryOf(path, stats, known));
      else yield* this.hash(directory, name, path, say);
    }
  }

  private *hash(
    directory: SourceDir,
    name: string,
    path: string,
    say: (entry: ContextManifest.ContextEntry) => void,
  ): Generator<void, void> {
    for (let tries = 0; tries < TRIES; tries++) {
      const began = Date.now();
      const opened = readable(path, () => directory.openFile(name));
      if (!opened) return;
      const { fd, stats } = opened;
      try {
        const sha256 = yield* hashOf(fd, this.buffer);
        if (!isUnchanged(stats, fstatSync(fd))) continue;
        this.memory.note(path, stats, sha256, began);
        say(entryOf(path, stats, sha256));
        return;
      } finally {
        closeSync(fd);
      }
    }
    throw new TreeChanged(path);
  }

  private isIgnored(path: string): boolean {
    const { ignored, needed } = this.rules;
    if (needed.includes(path)) return false;
    try {
      return ignored.leavesOut(path) !== undefined;
    } catch (error) {
      throw new CommandFailed((error as Error).message, { cause: error });
    }
  }

  /** Whether something in a directory that is left out may not be. */
  private mayHaveSome(path: string): boolean {
    const { ignored, needed } = this.rules;
    return (
      needed.some((file) => file.startsWith(`${path}/`)) ||
      ignored.reachesInto(path, { exceptions: true })
    );
  }
}

/** The SHA-256 of an open file, as hexadecimal digits; others can run between two parts. */
export function* hashOf(fd: number, buffer: Buffer): Generator<void, string> {
  const hash = createHash("sha256");
  for (let at = 0; ; ) {
    const length = readSync(fd, buffer, 0, buffer.length, at);
    if (length === 0) return hash.digest("hex");
    hash.update(buffer.subarray(0, length));
    at += length;
    if (length === buffer.length) yield;
  }
}

function entryOf(path: string, stats: Stats, sha256: string): ContextManifest.ContextFile {
  const { mode, mtimeMs, size } = stats;
  const mtime = Math.floor(mtimeMs * 1000);
  return { type: "file", path, mode: mode & 0o777, mtime, size, sha256 };
}

/** Undefined if it is not there any more, or has become something else. */
function readable<T>(path: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ELOOP" || code === "ENOTDIR") return undefined;
    throw new CommandFailed(
      `Cannot read ${quoted(path)} (${code ?? message}): leave it out with .dockerignore, or let it be read.`,
      { cause: error },
    );
  }
}

function checkPath(path: string): void {
  if (path.split("/").length > MAX_DEPTH || byteLength(path) > MAX_PATH) {
    throw new CommandFailed(
      `${quoted(path)} is too deep: ${MAX_DEPTH} directories can be within each other. Leave it out with .dockerignore.`,
    );
  }
}

function tooMany(): CommandFailed {
  return new CommandFailed(
    `There are more than ${ContextManifest.MAX_ENTRIES} files and directories in the build context: ` +
      "leave some out with .dockerignore.",
  );
}
