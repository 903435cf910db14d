/**
 * The local directories that clients have sent as build contexts, as workers may still ask for
 * them: for each client a shelf (context-shelf.ts), in a directory whose name is a hash of the
 * client's.
 *
 * Clients share nothing: who knows the hash of another's file has not got the file, and is not told
 * that it is there. What has not been asked for longest goes when there are too many bytes or
 * blobs, of one client or of all, and what was not asked for too long goes in any case; not what a
 * job needs, nor for some minutes what its client has just been told of. If no room can be made,
 * what comes is refused; so it is when the disk is nearly full, on which the scheduler's records
 * are.
 *
 * Life: *opening*, while it is found out what is there, which nobody else has to wait for; *open*.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { Mutex } from "../../async/index.js";
import { writeSize } from "../../text/index.js";
import { ContextLocks } from "./context-locks.js";
import {
  type ContextLimits,
  ContextRefused,
  ContextShelf,
  type KeptContext,
} from "./context-shelf.js";

export interface ContextSettings {
  /** Bytes of the files of one context. */
  readonly size: number;
  /** Bytes that one client may have. */
  readonly clientSize: number;
  /** Seconds that a context is kept after it was used, and bytes that all may have together. */
  readonly keepAge: number;
  readonly keepSize: number;
}

export interface ContextStoreOptions {
  readonly directory: string;
  readonly settings: ContextSettings;
  onWarning(message: string): void;
}

/** Files, directories and links of one context. */
export const CONTEXT_ENTRIES = 500_000;

/** Blobs of all clients, and of one: each takes some 200 bytes of memory. */
const MAX_BLOBS = 1_000_000;
const MAX_CLIENT_BLOBS = 600_000;

/** What is left of the disk for others: bytes, or a part of a small one. */
const RESERVE = 1024 ** 3;
const RESERVED_PART = 0.05;

/** How often it is looked for what is too old, in ms; and how long a look at the disk is good. */
const SWEEP_MS = 600_000;
const DISK_MS = 1000;

/** How many parts are read, and small blobs written, at a time, of all clients together. */
const LANES = 16;

/** There is no room for more. */
export class ContextsFull extends Error {
  override readonly name = "ContextsFull";
}

export class ContextStore {
  private readonly locks = new ContextLocks();
  private readonly shelves = new Map<string, ContextShelf>();
  private readonly opened: Promise<void>;
  private isOpen = false;
  /** Manifests are read one at a time: they can be long. */
  private readonly keeping = new Mutex();
  private readonly making = new Mutex();
  private readonly lanes = Array.from({ length: LANES }, () => new Mutex());
  private turns = 0;
  private disk = { at: Number.NEGATIVE_INFINITY, free: 0 };
  private sweeping: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;

  /** Begins to look at what is there. */
  constructor(private readonly options: ContextStoreOptions) {
    this.opened = this.load().then(() => {
      this.isOpen = true;
    });
    // Who asks for something is told.
    this.opened.catch((error) => options.onWarning(`No contexts can be kept: ${error}`));
  }

  /** It is known what jobs need: from now on the rest may be removed. */
  start(): void {
    this.sweepSoon();
    this.timer = setInterval(() => this.sweepSoon(), SWEEP_MS).unref();
  }

  /** Bytes, and blobs, of all clients. */
  get bytes(): number {
    return this.sum(({ bytes }) => bytes);
  }

  get files(): number {
    return this.sum(({ files }) => files);
  }

  get limits(): ContextLimits {
    return { bytes: this.options.settings.size, entries: CONTEXT_ENTRIES };
  }

  /** Whether it is known what there is. */
  get isReady(): boolean {
    return this.isOpen;
  }

  /** Resolves when that is so. Rejects with the system's error. */
  get ready(): Promise<void> {
    return this.opened;
  }

  /** Whether a client's context is complete; if so it stays for some minutes. Once it is ready. */
  has(client: string, manifest: string): boolean {
    return this.shelves.get(shelfName(client))?.has(manifest) ?? false;
  }

  /** A job of the client needs the context, until `unlock`. It need not be there (any more). */
  lock(client: string, manifest: string): void {
    this.locks.take(shelfName(client), manifest);
  }

  /** That job has ended. `until`: when it cannot be tried again any more, in Unix seconds. */
  unlock(client: string, manifest: string, until?: number): void {
    this.locks.give(shelfName(client), manifest, until);
  }

  async missing(client: string, hashes: readonly string[]): Promise<readonly string[]> {
    await this.opened;
    return this.shelves.get(shelfName(client))?.missing(hashes) ?? hashes;
  }

  /** Takes small blobs. Rejects with `ContextsFull`, or the system's error. */
  async put(client: string, blobs: readonly Uint8Array[]): Promise<void> {
    const shelf = await this.shelf(client);
    const length = blobs.reduce((sum, blob) => sum + blob.length, 0);
    await this.makeRoom(shelf, length, blobs.length);
    await Promise.all(
      blobs.map((blob) => {
        const hash = createHash("sha256").update(blob).digest("hex");
        return this.inTurn(() => shelf.put(hash, blob));
      }),
    );
  }

  /**
   * Takes a part of a large blob; resolves to how many bytes of it are there. Rejects with
   * `ContextsFull`, `PartRefused`, or the system's error.
   */
  async append(
    client: string,
    { blob, data, size, start }: { blob: string; data: Uint8Array; size: number; start: number },
  ): Promise<number> {
    const shelf = await this.shelf(client);
    if (!Number.isSafeInteger(size) || size > this.limits.bytes) {
      throw new ContextRefused(
        `A file of it has ${size} bytes; the limit of a context is ${this.limits.bytes}`,
      );
    }
    const more = shelf.newBytes(blob, size);
    await this.makeRoom(shelf, Math.max(more, 0), 1, data.length);
    return this.inTurn(() => shelf.append(blob, size, start, data));
  }

  /** See `ContextShelf.keep`. */
  async keep(client: string, manifest: string): Promise<string[]> {
    const shelf = await this.shelf(client);
    return this.keeping.run(() => shelf.keep(manifest, this.limits));
  }

  /**
   * A part of some blobs of a client as if they were one, `limit` bytes at most; empty at their
   * end. Undefined if one of them is not there (any more), or the client has no job that needs a
   * context. However many are asked for at a time, a few are read.
   */
  async read(
    client: string,
    blobs: readonly string[],
    start: number,
    limit: number,
  ): Promise<Uint8Array | undefined> {
    await this.opened;
    const shelf = this.shelves.get(shelfName(client));
    if (!shelf || !this.locks.isNeeded(shelf.name)) return undefined;
    let total = 0;
    const pieces: { readonly hash: string; readonly from: number; readonly size: number }[] = [];
    for (const hash of blobs) {
      const size = shelf.size(hash);
      if (size === undefined) return undefined;
      pieces.push({ hash, from: total, size });
      total += size;
    }
    const length = Math.max(0, Math.min(limit, total - start));
    return this.inTurn(async () => {
      const data = Buffer.allocUnsafeSlow(length);
      for (const { from, hash, size } of pieces) {
        const begin = Math.max(from, start);
        const end = Math.min(from + size, start + length);
        if (begin >= end) continue;
        await shelf.read(hash, begin - from, data.subarray(begin - start, end - start));
      }
      return data;
    });
  }

  /** The client was removed: its contexts go, but for those that jobs need. */
  async removeClient(client: string): Promise<void> {
    await this.opened;
    const shelf = this.shelves.get(shelfName(client));
    if (!shelf) return;
    shelf.letGo();
    await this.making.run(async () => {
      for (const context of [...shelf.contexts.values()]) {
        if (this.mayGo(shelf, context)) await shelf.drop(context);
      }
      await shelf.clear();
    });
  }

  /** Resolves when what may go has gone. */
  async swept(): Promise<void> {
    this.sweepSoon();
    await this.sweeping;
  }

  /** Resolves when nothing is written or removed any more. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.opened.catch(() => {});
    await this.sweeping;
    for (const shelf of this.shelves.values()) await shelf.close();
  }

  private async load(): Promise<void> {
    const { directory, onWarning } = this.options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(directory)) {
      this.shelves.set(name, await ContextShelf.open(join(directory, name), onWarning));
    }
  }

  private async shelf(client: string): Promise<ContextShelf> {
    await this.opened;
    const name = shelfName(client);
    const known = this.shelves.get(name);
    if (known) return known;
    return this.making.run(async () => {
      const other = this.shelves.get(name);
      if (other) return other;
      const { directory, onWarning } = this.options;
      const shelf = await ContextShelf.open(join(directory, name), onWarning);
      this.shelves.set(name, shelf);
      return shelf;
    });
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.lanes[this.turns++ % LANES]!.run(work);
  }

  private sum(of: (shelf: ContextShelf) => number): number {
    let sum = 0;
    for (const shelf of this.shelves.values()) sum += of(shelf);
    return sum;
  }

  /**
   * Sees to it that a client can have so many more bytes and blobs, of which some come now. Rejects
   * with `ContextsFull`.
   */
  private async makeRoom(
    shelf: ContextShelf,
    bytes: number,
    files: number,
    now = bytes,
  ): Promise<void> {
    await this.checkDisk(now);
    const { clientSize, keepSize } = this.options.settings;
    const excess = () => {
      if (shelf.bytes + bytes > clientSize || shelf.files + files > MAX_CLIENT_BLOBS) {
        return { of: [shelf], limit: clientSize, option: "--max-client-contexts" };
      }
      if (this.bytes + bytes > keepSize || this.files + files > MAX_BLOBS) {
        return { of: [...this.shelves.values()], limit: keepSize, option: "--keep-contexts" };
      }
      return null;
    };
    if (!excess()) return;
    await this.making.run(async () => {
      for (let over = excess(); over; over = excess()) {
        if (await this.dropOldest(over.of)) continue;
        throw new ContextsFull(
          `There is no room for the context: the limit is ${writeSize(over.limit)} (the scheduler's ${over.option}), ` +
            "and jobs need what is there",
        );
      }
    });
  }

  /** Drops the context that was not asked for longest, if there is one that may go. */
  private async dropOldest(shelves: readonly ContextShelf[]): Promise<boolean> {
    let found: { readonly shelf: ContextShelf; readonly context: KeptContext } | undefined;
    for (const shelf of shelves) {
      for (const context of shelf.contexts.values()) {
        if (context.used >= (found?.context.used ?? Number.POSITIVE_INFINITY)) continue;
        if (this.mayGo(shelf, context)) found = { shelf, context };
      }
    }
    if (!found) return false;
    await found.shelf.drop(found.context);
    await found.shelf.clear();
    return true;
  }

  private mayGo(shelf: ContextShelf, { heldUntil, manifest }: KeptContext): boolean {
    return heldUntil <= Date.now() && !this.locks.isLocked(shelf.name, manifest);
  }

  private async checkDisk(bytes: number): Promise<void> {
    const now = performance.now();
    if (now - this.disk.at > DISK_MS) {
      const { bavail, blocks, bsize } = await statfs(this.options.directory);
      const reserve = Math.min(RESERVE, blocks * bsize * RESERVED_PART);
      this.disk = { at: now, free: bavail * bsize - reserve };
    }
    this.disk.free -= bytes;
    if (this.disk.free < 0) {
      throw new ContextsFull("The scheduler's disk is too full to take a context");
    }
  }

  private sweepSoon(): void {
    this.sweeping = this.sweeping
      .then(() => this.opened)
      .then(() => this.making.run(() => this.sweep()))
      .catch((error) => this.options.onWarning(`Contexts cannot be removed: ${error}`));
  }

  private async sweep(): Promise<void> {
    const { keepAge, keepSize } = this.options.settings;
    this.locks.sweep();
    const before = Date.now() - keepAge * 1000;
    for (const shelf of this.shelves.values()) {
      for (const context of [...shelf.contexts.values()]) {
        if (context.used < before && this.mayGo(shelf, context)) await shelf.drop(context);
      }
      await shelf.clear();
    }
    while (this.bytes > keepSize && (await this.dropOldest([...this.shelves.values()])));
  }
}

/** The name of a client's directory: its own may be anything. */
function shelfName(client: string): string {
  return createHash("sha256").update(client).digest("hex").slice(0, 32);
}
