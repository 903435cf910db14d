/**
 * What is remembered of a directory's files from one submit to the next: their hashes, by what the
 * system says of them (device, inode, size, times of the last change of data and of status). All of
 * that being the same, so is what is in the file.
 *
 * But a file can change twice within one tick of the system's clock. So, as Git does with its
 * index, nothing is remembered of a file that had been changed shortly before it was read.
 *
 * In `$XDG_CACHE_HOME/ocluster/contexts` (`~/.cache/…`), a file for each directory. It is a help
 * alone: what cannot be read or written is done without.
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
import { homedir } from "node:os";
import { join } from "node:path";

/** Ticks are of milliseconds, and of two seconds on some file systems. In ms. */
const RACY_MS = 2500;

/** Directories that are remembered; those that were not used for longest are forgotten. */
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

export class HashMemory {
  private readonly known = new Map<string, Known>();
  private readonly now: Known[] = [];
  private isChanged = false;

  private constructor(
    private readonly directory: string,
    private readonly path: string,
  ) {}

  /** @param directory its real path */
  static open(directory: string): HashMemory {
    const name = createHash("sha256").update(directory).digest("hex").slice(0, 32);
    const memory = new HashMemory(directory, join(cacheDirectory(), name));
    try {
      const stored = JSON.parse(readFileSync(memory.path, "utf8")) as Stored;
      if (stored.version !== VERSION || stored.directory !== directory) return memory;
      for (const file of stored.files) memory.known.set(file[0], file);
    } catch {
      // There is none, or none that is understood.
    }
    return memory;
  }

  /** The hash of the file at `path`, if it is as it was. */
  find(path: string, { ctimeMs, dev, ino, mtimeMs, size }: Stats): string | undefined {
    const file = this.known.get(path);
    const isSame =
      file !== undefined &&
      file[1] === size &&
      file[2] === mtimeMs &&
      file[3] === ctimeMs &&
      file[4] === ino &&
      file[5] === dev;
    if (!isSame) return undefined;
    this.now.push(file);
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
    this.now.push([path, size, mtimeMs, ctimeMs, ino, dev, sha256]);
  }

  /** Remembers what was found and noted, and nothing else. */
  save(): void {
    const isSame = !this.isChanged && this.now.length === this.known.size;
    try {
      if (isSame) return;
      const directory = cacheDirectory();
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const stored: Stored = { version: VERSION, directory: this.directory, files: this.now };
      const aside = `${this.path}.${process.pid}`;
      writeFileSync(aside, JSON.stringify(stored), { mode: 0o600 });
      renameSync(aside, this.path);
      forgetOldest(directory);
    } catch {
      // The next submit takes longer.
    }
  }
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

function cacheDirectory(): string {
  const { XDG_CACHE_HOME: base } = process.env;
  // As its specification has it: what is no absolute path is to be ignored.
  return join(base?.startsWith("/") ? base : join(homedir(), ".cache"), "ocluster/contexts");
}
