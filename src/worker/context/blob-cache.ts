/**
 * What is in files of local directories that jobs were built from, by SHA-256, kept for the next
 * job: files of a directory that may have so many bytes together. What was not used for longest
 * goes first, but not what a job is about to use: so there may be more for a while.
 *
 * What an earlier process has left may have been damaged with its machine, and is hashed before it
 * is used for the first time.
 */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

interface Cached {
  readonly size: number;
  isChecked: boolean;
  /** Jobs that are about to use it. */
  uses: number;
}

/** How many files it may have: each takes memory. */
const MAX_FILES = 500_000;

export class BlobCache {
  /** In the order in which they were used. */
  private readonly blobs = new Map<string, Cached>();
  private bytes = 0;
  private opening: Promise<void> | undefined;
  /** Files that are being removed. */
  private readonly going = new Map<string, Promise<void>>();

  /** @param maxSize bytes. The directory is made when the first job needs it. */
  constructor(
    private readonly directory: string,
    private readonly maxSize: number,
  ) {}

  /** Finds out what is there; once. Rejects with the system's error. */
  open(): Promise<void> {
    this.opening ??= this.load().catch((error) => {
      this.opening = undefined;
      throw error;
    });
    return this.opening;
  }

  /** What a job is about to use; to be disposed when it has. */
  lease(): BlobLease {
    return new BlobLease(this);
  }

  /**
   * Whether a blob is there, which is kept for a job then. Rejects with the system's error.
   *
   * @param size what it should have; undefined: any
   */
  async take(hash: string, size: number | undefined): Promise<boolean> {
    const blob = this.blobs.get(hash);
    if (!blob) return false;
    if (size !== undefined && blob.size !== size) {
      if (!blob.isChecked) await this.drop(hash, blob);
      return false;
    }
    blob.uses++;
    // It is the last one now.
    this.blobs.delete(hash);
    this.blobs.set(hash, blob);
    if (blob.isChecked) return true;
    if ((await hashOf(this.pathOf(hash), blob.size).catch(() => "")) === hash) {
      blob.isChecked = true;
      return true;
    }
    blob.uses--;
    await this.drop(hash, blob);
    return false;
  }

  /** A job does not need it any more. */
  give(hash: string): void {
    const blob = this.blobs.get(hash);
    if (blob) blob.uses--;
  }

  /** A path for a blob that is on its way, which `add` takes; or whoever has it removes it. */
  newPath(): string {
    return join(this.directory, "new", randomBytes(8).toString("hex"));
  }

  /** Takes a file whose hash has been checked, for a job. Rejects with the system's error. */
  async add(hash: string, size: number, path: string): Promise<void> {
    const there = this.blobs.get(hash);
    if (there) {
      there.uses++;
      await rm(path, { force: true });
      return;
    }
    // Else it would go with the old one.
    await this.going.get(hash)?.catch(() => {});
    await mkdir(join(this.directory, hash.slice(0, 2)), { recursive: true, mode: 0o700 });
    await rename(path, this.pathOf(hash));
    const other = this.blobs.get(hash);
    this.blobs.set(hash, { size, isChecked: true, uses: (other?.uses ?? 0) + 1 });
    if (!other) this.bytes += size;
  }

  pathOf(hash: string): string {
    return join(this.directory, hash.slice(0, 2), hash);
  }

  /** Removes what is too much, and not about to be used. Rejects with the system's error. */
  async shrink(): Promise<void> {
    for (const [hash, blob] of this.blobs) {
      if (this.bytes <= this.maxSize && this.blobs.size <= MAX_FILES) return;
      if (blob.uses === 0) await this.drop(hash, blob);
    }
  }

  private async drop(hash: string, blob: Cached): Promise<void> {
    if (this.blobs.get(hash) !== blob || blob.uses > 0) return;
    this.blobs.delete(hash);
    this.bytes -= blob.size;
    const removed = rm(this.pathOf(hash), { force: true });
    this.going.set(hash, removed);
    try {
      await removed;
    } finally {
      this.going.delete(hash);
    }
  }

  private async load(): Promise<void> {
    this.blobs.clear();
    this.bytes = 0;
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    await rm(join(this.directory, "new"), { recursive: true, force: true });
    const found: { readonly hash: string; readonly size: number; readonly used: number }[] = [];
    for (const begin of await readdir(this.directory)) {
      for (const hash of await readdir(join(this.directory, begin))) {
        const { mtimeMs, size } = await stat(this.pathOf(hash));
        found.push({ hash, size, used: mtimeMs });
      }
    }
    await mkdir(join(this.directory, "new"), { mode: 0o700 });
    for (const { hash, size } of found.sort((a, b) => a.used - b.used)) {
      this.blobs.set(hash, { size, isChecked: false, uses: 0 });
      this.bytes += size;
    }
    await this.shrink();
  }
}

/** The blobs that one job is about to use. */
export class BlobLease implements AsyncDisposable {
  private readonly held: string[] = [];

  constructor(private readonly cache: BlobCache) {}

  async take(hash: string, size?: number): Promise<boolean> {
    const isThere = await this.cache.take(hash, size);
    if (isThere) this.held.push(hash);
    return isThere;
  }

  async add(hash: string, size: number, path: string): Promise<void> {
    await this.cache.add(hash, size, path);
    this.held.push(hash);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const hash of this.held) this.cache.give(hash);
    await this.cache.shrink();
  }
}

/** Larger ones are read in parts, while others run. */
const SMALL = 256 * 1024;

async function hashOf(path: string, size: number): Promise<string> {
  const hash = createHash("sha256");
  if (size <= SMALL) return hash.update(readFileSync(path)).digest("hex");
  for await (const data of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    hash.update(data as Buffer);
  }
  return hash.digest("hex");
}
