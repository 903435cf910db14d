/**
 * What is kept of one client's contexts: blobs, and which manifests are complete.
 *
 *     blobs/ab/ab12…    what is in a file, or a manifest, by its SHA-256
 *     contexts/ab12…    an empty file: the context with this manifest is complete; used at its mtime
 *     parts/ab12…       a large blob on its way (context-parts.ts)
 *     new/…             a small one that is being written
 *
 * A blob belongs to all contexts that have it. One that no context has is *loose*: it is kept for a
 * while, as its context may be on its way. After a restart there are no loose ones: what was
 * written of them need not be whole. A context becomes complete when all of it is on disk.
 */
import { randomBytes } from "node:crypto";
import {
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { basename, join } from "node:path";
import { ContextManifest } from "../../api/index.js";
import { Mutex, Slices } from "../../async/index.js";
import { run, syncDirectory } from "../../system/index.js";
import { ContextParts } from "./context-parts.js";

interface Blob {
  readonly size: number;
  /** Contexts that have it. */
  uses: number;
  /** It is not removed before, in ms since the Unix epoch. */
  heldUntil: number;
}

export interface KeptContext {
  readonly manifest: string;
  /** When it was last asked for, and until when it stays, in ms since the Unix epoch. */
  used: number;
  heldUntil: number;
}

/** How long what a client was told of stays at least, in ms. */
export const HOLD_MS = 10 * 60_000;

/** How many blobs are told to be missing at a time. */
const TELL_MISSING = 8192;

const BLOBS = "blobs";
const CONTEXTS = "contexts";
const PARTS = "parts";
const NEW = "new";

/** Of one context. */
export interface ContextLimits {
  readonly bytes: number;
  readonly entries: number;
}

/** A context has more than one may have, or makes no sense. */
export class ContextRefused extends Error {
  override readonly name = "ContextRefused";
}

export class ContextShelf {
  readonly contexts = new Map<string, KeptContext>();
  private readonly blobs = new Map<string, Blob>();
  private readonly loose = new Set<string>();
  /** Who takes blobs away or puts them into place. */
  private readonly mutex = new Mutex();
  private sum = 0;
  /** Bytes of what is being written. */
  private coming = 0;
  private parts!: ContextParts;

  private constructor(private readonly directory: string) {}

  /** Of its directory. */
  get name(): string {
    return basename(this.directory);
  }

  /** With what is there. Rejects with the system's error. */
  static async open(directory: string, onWarning: (text: string) => void): Promise<ContextShelf> {
    const shelf = new ContextShelf(directory);
    await rm(shelf.path(NEW), { recursive: true, force: true });
    for (const name of [BLOBS, CONTEXTS, PARTS, NEW]) {
      await mkdir(shelf.path(name), { recursive: true, mode: 0o700 });
    }
    shelf.parts = await ContextParts.open(shelf.path(PARTS));
    await shelf.load(onWarning);
    return shelf;
  }

  /** Bytes of blobs, and of what is on its way. */
  get bytes(): number {
    return this.sum + this.coming + this.parts.bytes;
  }

  get files(): number {
    return this.blobs.size;
  }

  /** Bytes of a blob; undefined if there is none. */
  size(hash: string): number | undefined {
    return this.blobs.get(hash)?.size;
  }

  /** Whether the context is complete. If so it stays for a while. */
  has(manifest: string): boolean {
    const context = this.contexts.get(manifest);
    if (!context) return false;
    context.used = Date.now();
    context.heldUntil = context.used + HOLD_MS;
    const seconds = context.used / 1000;
    // That it was used is no loss if it is not noted.
    void utimes(this.path(CONTEXTS, manifest), seconds, seconds).catch(() => {});
    return true;
  }

  /** Those of the blobs that are not there; the others stay for a while. */
  missing(hashes: readonly string[]): string[] {
    const heldUntil = Date.now() + HOLD_MS;
    return hashes.filter((hash) => {
      const blob = this.blobs.get(hash);
      if (blob) blob.heldUntil = heldUntil;
      return !blob;
    });
  }

  /** Writes a small blob. Rejects with the system's error. */
  async put(hash: string, data: Uint8Array): Promise<void> {
    if (this.blobs.has(hash)) return;
    const path = this.path(NEW, randomBytes(8).toString("hex"));
    this.coming += data.length;
    try {
      await writeFile(path, data, { mode: 0o600, flag: "wx" });
      await this.take(hash, path, data.length);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      this.coming -= data.length;
    }
  }

  /** Bytes by which a large blob that is to come adds to all. */
  newBytes(hash: string, size: number): number {
    return this.blobs.has(hash) ? 0 : this.parts.newBytes(hash, size);
  }

  /** See `ContextParts.append`. */
  async append(hash: string, size: number, start: number, data: Uint8Array): Promise<number> {
    if (this.blobs.has(hash)) return size;
    return this.parts.append(hash, size, start, data, (path) => this.take(hash, path, size));
  }

  /** A part of a blob into `into`. Rejects with the system's error if it is not there. */
  async read(hash: string, start: number, into: Uint8Array): Promise<void> {
    const file = await open(this.blobPath(hash), "r");
    try {
      for (let done = 0; done < into.length; ) {
        const { bytesRead } = await file.read(into, done, into.length - done, start + done);
        if (bytesRead === 0) throw new Error(`The file of blob ${hash} is too short`);
        done += bytesRead;
      }
    } finally {
      await file.close();
    }
  }

  /**
   * Keeps a context whose manifest is there. Resolves to some blobs that it lacks, or when all is
   * on disk. Rejects with `ContextRefused` or `BadManifest`, or the system's error.
   */
  async keep(manifest: string, limits: ContextLimits): Promise<string[]> {
    if (this.has(manifest)) return [];
    if (!this.blobs.has(manifest)) return [manifest];
    const sizes = await this.sizesIn(manifest, limits);
    return this.mutex.run(async () => {
      const missing: string[] = [];
      for (const [hash, size] of sizes) {
        const blob = this.blobs.get(hash);
        if (!blob) missing.push(hash);
        else if (blob.size !== size) throw wrongSizes();
        if (missing.length >= TELL_MISSING) break;
      }
      if (missing.length > 0) return missing;
      await this.use(sizes.keys(), 1);
      try {
        await this.store(manifest);
      } catch (error) {
        await this.use(sizes.keys(), -1);
        throw error;
      }
      const used = Date.now();
      this.contexts.set(manifest, { manifest, used, heldUntil: used + HOLD_MS });
      return [];
    });
  }

  /** Removes a context; its blobs are loose then, unless others have them. */
  async drop({ manifest }: KeptContext): Promise<void> {
    await this.mutex.run(async () => {
      if (!this.contexts.delete(manifest)) return;
      await rm(this.path(CONTEXTS, manifest), { force: true });
      let sizes: ReadonlyMap<string, number>;
      try {
        sizes = await this.sizesIn(manifest);
      } catch {
        await this.count(); // It cannot be read, so nobody knows what it had.
        return;
      }
      await this.use(sizes.keys(), -1);
    });
  }

  /** Finds out anew which contexts have which blobs. Contexts that cannot be read are dropped. */
  private async count(): Promise<void> {
    for (const [hash, blob] of this.blobs) {
      blob.uses = 0;
      this.loose.add(hash);
    }
    for (const manifest of this.contexts.keys()) {
      try {
        await this.use((await this.sizesIn(manifest)).keys(), 1);
      } catch {
        this.contexts.delete(manifest);
        await rm(this.path(CONTEXTS, manifest), { force: true });
      }
    }
  }

  /** Removes loose blobs that nobody was told of lately. */
  async clear(): Promise<void> {
    await this.mutex.run(async () => {
      for (const hash of this.loose) {
        const blob = this.blobs.get(hash)!;
        if (blob.heldUntil > Date.now()) continue;
        this.loose.delete(hash);
        this.blobs.delete(hash);
        this.sum -= blob.size;
        await rm(this.blobPath(hash), { force: true });
      }
    });
    await this.parts.sweep();
  }

  /** Nothing stays for what its client was told. */
  letGo(): void {
    for (const context of this.contexts.values()) context.heldUntil = 0;
    for (const blob of this.blobs.values()) blob.heldUntil = 0;
  }

  async close(): Promise<void> {
    await this.mutex.run(async () => {});
    await this.parts.close();
  }

  /** Puts a blob into its place, which is loose then. */
  private async take(hash: string, path: string, size: number): Promise<void> {
    await this.mutex.run(async () => {
      if (this.blobs.has(hash)) {
        await rm(path, { force: true });
        return;
      }
      await mkdir(this.path(BLOBS, hash.slice(0, 2)), { recursive: true, mode: 0o700 });
      await rename(path, this.blobPath(hash));
      this.blobs.set(hash, { size, uses: 0, heldUntil: Date.now() + HOLD_MS });
      this.loose.add(hash);
      this.sum += size;
    });
  }

  /**
   * The blobs of a context, its manifest among them, with their sizes. Rejects with `BadManifest`
   * and `ContextRefused`.
   */
  private async sizesIn(manifest: string, limits?: ContextLimits): Promise<Map<string, number>> {
    const size = this.blobs.get(manifest)?.size ?? 0;
    if (size > ContextManifest.MAX_MANIFEST) throw new ContextRefused("Its manifest is too long");
    const bytes = await readFile(this.blobPath(manifest));
    const sizes = new Map([[manifest, bytes.length]]);
    const slices = new Slices();
    let [sum, entries] = [0, 0];
    for (const entry of ContextManifest.manifestEntries(bytes)) {
      entries++;
      if (entry.type === "file") {
        if ((sizes.get(entry.sha256) ?? entry.size) !== entry.size) throw wrongSizes();
        sizes.set(entry.sha256, entry.size);
        sum += entry.size;
      }
      if (slices.over) await slices.turn();
    }
    if (limits && (sum > limits.bytes || entries > limits.entries)) {
      throw new ContextRefused(
        `It has ${entries} files and ${sum} bytes; the limits are ${limits.entries} and ${limits.bytes}`,
      );
    }
    return sizes;
  }

  /** So many more contexts have these blobs. */
  private async use(hashes: Iterable<string>, more: 1 | -1): Promise<void> {
    const slices = new Slices();
    for (const hash of hashes) {
      const blob = this.blobs.get(hash);
      if (!blob) continue;
      blob.uses += more;
      if (blob.uses === 0) this.loose.add(hash);
      else this.loose.delete(hash);
      if (slices.over) await slices.turn();
    }
  }

  /** Has all that was written on disk, and then that the context is complete. */
  private async store(manifest: string): Promise<void> {
    // One call for any number of files, which Node does not have.
    await run(["sync", "--file-system", this.directory]);
    await writeFile(this.path(CONTEXTS, manifest), "", { mode: 0o600 });
    await syncDirectory(this.path(CONTEXTS));
  }

  private async load(onWarning: (text: string) => void): Promise<void> {
    const there = new Set<string>();
    for (const begin of await readdir(this.path(BLOBS))) {
      for (const name of await readdir(this.path(BLOBS, begin))) there.add(name);
    }
    for (const manifest of await readdir(this.path(CONTEXTS))) {
      try {
        await this.loadContext(manifest, there);
      } catch (error) {
        onWarning(`A context is damaged, and not kept any more: ${(error as Error).message}`);
        await rm(this.path(CONTEXTS, manifest), { force: true });
      }
    }
    for (const hash of there) {
      if (!this.blobs.has(hash)) await rm(this.blobPath(hash), { force: true });
    }
  }

  private async loadContext(manifest: string, there: ReadonlySet<string>): Promise<void> {
    const { mtimeMs } = await stat(this.path(CONTEXTS, manifest));
    const sizes = await this.sizesIn(manifest);
    for (const hash of sizes.keys()) {
      if (!there.has(hash)) throw new Error(`${hash} is missing`);
    }
    const slices = new Slices();
    for (const [hash, size] of sizes) {
      const blob = this.blobs.get(hash);
      if (blob) {
        blob.uses++;
      } else {
        this.blobs.set(hash, { size, uses: 1, heldUntil: 0 });
        this.sum += size;
      }
      if (slices.over) await slices.turn();
    }
    this.contexts.set(manifest, { manifest, used: mtimeMs, heldUntil: 0 });
  }

  private blobPath(hash: string): string {
    return this.path(BLOBS, hash.slice(0, 2), hash);
  }

  private path(...parts: readonly string[]): string {
    return join(this.directory, ...parts);
  }
}

function wrongSizes(): ContextRefused {
  return new ContextRefused("Its manifest has wrong sizes");
}
