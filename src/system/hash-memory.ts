/**
 * What is remembered of a directory's files from one use to the next: their hashes, by what the
 * system says of them (device, inode, size, times of the last change of data and of status). All of
 * that being the same, so is what is in the file.
 *
 * But a file can change twice within one tick of the system's clock. So, as Git does with its
 * index, nothing is remembered of a file that had been changed shortly before it was read.
 *
 * In `$XDG_CACHE_HOME/ocluster/USE` (`~/.cache/…`), a file for each directory. It is a help alone:
 * what cannot be read or written is done without.
 */
import { createHash } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { userPath } from "./user-directory.js";

/** Ticks are of milliseconds, and of two seconds on some file systems. In ms. */
const RACY_MS = 2500;

/** Directories that are remembered of each use: those that were used last. */
const MAX_DIRECTORIES = 100;

const VERSION = 1;

type Known = [
  path: string,
  size: number,
  mtimeMs: number,
  ctimeMs: number,
  ino: number,
  dev: number,
  sha256: string,
];

interface Stored {
  readonly version: number;
  readonly directory: string;
  readonly files: readonly Known[];
}

/** Who remembers. Each looks at other files of the same directory. */
export type HashMemoryUse = "contexts" | "builds";

export class HashMemory {
  private readonly path: string;
  /** Read when it is first needed. */
  private known: Map<string, Known> | undefined;
  private readonly now = new Map<string, Known>();
  private isChanged = false;

  /** @param directory its real path */
  constructor(
    use: HashMemoryUse,
    private readonly directory: string,
  ) {
    const name = createHash("sha256").update(directory).digest("hex").slice(0, 32);
    this.path = join(userPath("cache", "ocluster"), use, name);
  }

  /** The hash of the file at `path`, if it is as it was. */
  find(path: string, stats: Stats): string | undefined {
    this.known ??= this.read();
    const file = this.now.get(path) ?? this.known.get(path);
    if (file === undefined || !isAsNoted(file, stats)) return undefined;
    this.now.set(path, file);
    return file[6];
  }

  /** `stats`: as they were before and after it was read; `began`: when that was, in Unix ms. */
  note(
    path: string,
    { ctimeMs, dev, ino, mtimeMs, size }: Stats,
    sha256: string,
    began: number,
  ): void {
    this.isChanged = true;
    if (Math.max(mtimeMs, ctimeMs) > began - RACY_MS) return;
    this.now.set(path, [path, size, mtimeMs, ctimeMs, ino, dev, sha256]);
  }

  /** Remembers what was found and noted, and nothing else. */
  save(): void {
    if (!this.isChanged && this.now.size === (this.known?.size ?? 0)) return;
    try {
      const directory = dirname(this.path);
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const files = [...this.now.values()];
      const stored: Stored = { version: VERSION, directory: this.directory, files };
      const aside = `${this.path}.${process.pid}`;
      writeFileSync(aside, JSON.stringify(stored), { mode: 0o600 });
      renameSync(aside, this.path);
      forgetOldest(directory);
    } catch {
      // The next time takes longer.
    }
  }

  /** Remembers nothing of the directory any more: something that was remembered was not true. */
  forget(): void {
    this.known = new Map();
    this.now.clear();
    this.isChanged = false;
    rmSync(this.path, { force: true });
  }

  private read(): Map<string, Known> {
    const known = new Map<string, Known>();
    try {
      const stored = JSON.parse(readFileSync(this.path, "utf8")) as Stored;
      if (stored.version !== VERSION || stored.directory !== this.directory) return known;
      for (const file of stored.files) known.set(file[0], file);
    } catch {
      // There is none, or none that is understood.
    }
    return known;
  }
}

/** Whether an open file is as it was before it was read. */
export function isUnchanged(before: Stats, after: Stats): boolean {
  const { ctimeMs, mtimeMs, size } = before;
  return after.size === size && after.mtimeMs === mtimeMs && after.ctimeMs === ctimeMs;
}

function isAsNoted(file: Known, { ctimeMs, dev, ino, mtimeMs, size }: Stats): boolean {
  return (
    file[1] === size &&
    file[2] === mtimeMs &&
    file[3] === ctimeMs &&
    file[4] === ino &&
    file[5] === dev
  );
}

function forgetOldest(directory: string): void {
  const names = readdirSync(directory);
  if (names.length <= MAX_DIRECTORIES) return;
  const files = names.map((name) => {
    const path = join(directory, name);
    return { path, used: statSync(path).mtimeMs };
  });
  files.sort((a, b) => b.used - a.used);
  for (const { path } of files.slice(MAX_DIRECTORIES)) rmSync(path, { force: true });
}
