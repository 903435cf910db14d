/**
 * Build contexts that were local directories of clients: their manifests and files are fetched from
 * the scheduler as far as they are not here already, and put into a job's directory.
 *
 * A manifest comes from a stranger, and has been checked to lead nowhere else
 * (`api/context-manifest.ts`); all of it is made anew in an empty directory, links last, so that
 * nothing is ever written through one.
 */
import { createHash } from "node:crypto";
import { chmodSync, constants, copyFileSync, mkdirSync, symlinkSync, utimesSync } from "node:fs";
import { copyFile, open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ContextManifest, ContextStore } from "../../api/index.js";
import { readAhead, Slices } from "../../async/index.js";
import { toBytes, writeSize } from "../../text/index.js";
import { InvalidJob, JobFailed } from "../failure.js";
import { BlobCache, type BlobLease } from "./blob-cache.js";
import { ContextLink } from "./context-link.js";
import type { LineLog } from "./git.js";

/** A context as a job names it: whose it is, and the hash of its manifest. */
export interface LocalRequest {
  readonly client: string;
  readonly manifest: string;
}

interface LocalIo {
  readonly log: LineLog;
  readonly signal: AbortSignal;
}

/** Blobs up to this size, in bytes, are fetched together. */
const SMALL = 128 * 1024;

/** How large ones are fetched. */
const PACE = { part: ContextStore.MAX_PART, ahead: 6 };

/** How many groups of small ones are fetched at a time. */
const GROUPS = 4;

/** Copies of larger files, in bytes, are waited for. */
const COPIED_AT_ONCE = 1024 * 1024;

/** What is wrong with a name. */
const UNMAKEABLE: ReadonlySet<string> = new Set(["EEXIST", "EILSEQ", "EINVAL", "ENAMETOOLONG"]);

interface Wanted {
  readonly hash: string;
  readonly size: number;
}

export class LocalContexts {
  readonly link = new ContextLink();
  private readonly cache: BlobCache;
  /** Blobs that a job is fetching; others that need them wait. */
  private readonly coming = new Map<string, Promise<unknown>>();

  /** @param directory for what is kept for the next job, `maxSize` bytes at most */
  constructor(directory: string, maxSize: number) {
    this.cache = new BlobCache(directory, maxSize);
  }

  /**
   * Fills an empty directory. Rejects with `InvalidJob`, `JobFailed`, the signal's reason, and the
   * system's error.
   */
  async fill(request: LocalRequest, target: string, io: LocalIo): Promise<void> {
    if (request.manifest === "") throw new InvalidJob("The local directory has no manifest");
    await this.cache.open();
    await using lease = this.cache.lease();
    const entries = await this.entries(request, lease, io);
    const { bytes, files } = ContextManifest.totalSize(entries);
    const fetched = await this.fetchAll(request.client, filesIn(entries), lease, io);
    io.log(
      `Local directory: ${files} files (${writeSize(bytes)}), ` +
        `of which ${fetched.files} (${writeSize(fetched.bytes)}) were not here already`,
    );
    try {
      await this.make(entries, target, io.signal);
    } catch (error) {
      // Names that are one here, such as where case does not count; or none.
      const { code, message } = error as NodeJS.ErrnoException;
      if (!UNMAKEABLE.has(code ?? "")) throw error;
      throw new JobFailed(`Cannot make the local directory here: ${message}`, { cause: error });
    }
  }

  private async entries(
    { client, manifest }: LocalRequest,
    lease: BlobLease,
    io: LocalIo,
  ): Promise<ContextManifest.ContextEntry[]> {
    if (!(await lease.take(manifest))) await this.fetchManifest(client, manifest, lease, io);
    const entries: ContextManifest.ContextEntry[] = [];
    const slices = new Slices(io.signal);
    const bytes = await readFile(this.cache.pathOf(manifest));
    try {
      for (const entry of ContextManifest.manifestEntries(bytes)) {
        entries.push(entry);
        if (slices.over) await slices.turn();
      }
    } catch (error) {
      if (!(error instanceof ContextManifest.BadManifest)) throw error;
      throw new InvalidJob(`The manifest of the local directory makes no sense: ${error.message}`);
    }
    return entries;
  }

  private async fetchManifest(
    client: string,
    manifest: string,
    lease: BlobLease,
    { signal }: LocalIo,
  ): Promise<void> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const range = { client, blobs: [manifest], start: length, limit: ContextStore.MAX_PART };
      const part = await this.link.read(range, signal);
      if (part.length === 0) break;
      parts.push(part);
      length += part.length;
      if (length > ContextManifest.MAX_MANIFEST) throw damaged();
    }
    await this.addSmall(manifest, Buffer.concat(parts), lease);
  }

  /** Fetches what is not here; resolves to how much that was. */
  private async fetchAll(
    client: string,
    blobs: ReadonlyMap<string, number>,
    lease: BlobLease,
    { signal }: LocalIo,
  ): Promise<{ files: number; bytes: number }> {
    const fetched = { files: 0, bytes: 0 };
    const slices = new Slices(signal);
    for (let left = [...blobs]; left.length > 0; ) {
      const others: [string, number][] = [];
      const wanted: Wanted[] = [];
      for (const [hash, size] of left) {
        if (this.coming.has(hash)) others.push([hash, size]);
        else if (!(await lease.take(hash, size))) wanted.push({ hash, size });
        await slices.turn();
      }
      await this.fetch(client, wanted, lease, signal);
      fetched.files += wanted.length;
      for (const { size } of wanted) fetched.bytes += size;
      // Who fetches them may give up.
      for (const [hash] of others) await this.coming.get(hash);
      left = others;
    }
    return fetched;
  }

  private async fetch(
    client: string,
    wanted: readonly Wanted[],
    lease: BlobLease,
    signal: AbortSignal,
  ): Promise<void> {
    const groups = groupsOf(wanted);
    let isOver = false;
    const fetchGroups = async () => {
      for (let group = groups.shift(); group && !isOver; group = groups.shift()) {
        const [first] = group;
        const isLarge = first !== undefined && first.size > SMALL;
        await (isLarge
          ? this.fetchLarge(client, first, lease, signal)
          : this.fetchSmall(client, group, lease, signal));
      }
    };
    const work = Promise.all(
      Array.from({ length: GROUPS }, () =>
        fetchGroups().catch((error) => {
          isOver = true;
          throw error;
        }),
      ),
    );
    const settled = work.catch(() => {});
    for (const { hash } of wanted) this.coming.set(hash, settled);
    try {
      await work;
    } finally {
      for (const { hash } of wanted) this.coming.delete(hash);
    }
  }

  private async fetchSmall(
    client: string,
    group: readonly Wanted[],
    lease: BlobLease,
    signal: AbortSignal,
  ): Promise<void> {
    const total = group.reduce((sum, { size }) => sum + size, 0);
    const blobs = group.map(({ hash }) => hash);
    const parts: Uint8Array[] = [];
    const read = (start: number, limit: number) =>
      this.link.read({ client, blobs, start, limit }, signal);
    for await (const part of this.parts(read, total)) parts.push(part);
    const data = Buffer.concat(parts);
    let at = 0;
    for (const { hash, size } of group) {
      await this.addSmall(hash, data.subarray(at, at + size), lease);
      at += size;
    }
  }

  private async fetchLarge(
    client: string,
    { hash, size }: Wanted,
    lease: BlobLease,
    signal: AbortSignal,
  ): Promise<void> {
    const path = this.cache.newPath();
    try {
      const file = await open(path, "wx", 0o600);
      try {
        const sha256 = createHash("sha256");
        const read = (start: number, limit: number) =>
          this.link.read({ client, blobs: [hash], start, limit }, signal);
        for await (const part of this.parts(read, size)) {
          sha256.update(part);
          await file.writeFile(part);
        }
        if (sha256.digest("hex") !== hash) throw damaged();
      } finally {
        await file.close();
      }
      await lease.add(hash, size, path);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  private async *parts(
    read: (start: number, limit: number) => Promise<Uint8Array>,
    size: number,
  ): AsyncGenerator<Uint8Array> {
    try {
      yield* readAhead(read, 0, size, PACE);
    } catch (error) {
      throw error instanceof RangeError ? damaged(error) : error;
    }
  }

  private async addSmall(hash: string, data: Uint8Array, lease: BlobLease): Promise<void> {
    if (createHash("sha256").update(data).digest("hex") !== hash) throw damaged();
    const path = this.cache.newPath();
    try {
      await writeFile(path, data, { mode: 0o600, flag: "wx" });
      await lease.add(hash, data.length, path);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  /** Makes what the manifest says. */
  private async make(
    entries: readonly ContextManifest.ContextEntry[],
    target: string,
    signal: AbortSignal,
  ): Promise<void> {
    const slices = new Slices(signal);
    const placeOf = (path: string) => toBytes(join(target, path));
    for (const entry of entries) {
      if (entry.type === "dir") mkdirSync(placeOf(entry.path), 0o700);
      else if (entry.type === "file") await this.copy(entry, placeOf(entry.path));
      if (slices.over) await slices.turn();
    }
    for (const entry of entries) {
      if (entry.type === "link") symlinkSync(toBytes(entry.target), placeOf(entry.path));
      // Its owner has to be able to remove what is in it.
      else if (entry.type === "dir") chmodSync(placeOf(entry.path), entry.mode | 0o700);
      if (slices.over) await slices.turn();
    }
  }

  /** A copy of its own, as jobs may write to their directories; if it can be, without its data. */
  private async copy(
    { mode, mtime, sha256, size }: ContextManifest.ContextFile,
    place: Buffer,
  ): Promise<void> {
    const { COPYFILE_EXCL, COPYFILE_FICLONE } = constants;
    const from = this.cache.pathOf(sha256);
    const how = COPYFILE_EXCL | COPYFILE_FICLONE;
    if (size > COPIED_AT_ONCE) await copyFile(from, place, how);
    else copyFileSync(from, place, how);
    chmodSync(place, mode);
    utimesSync(place, mtime / 1e6, mtime / 1e6);
  }
}

/** The blobs of files, with their sizes. */
function filesIn(entries: readonly ContextManifest.ContextEntry[]): Map<string, number> {
  const blobs = new Map<string, number>();
  for (const entry of entries) if (entry.type === "file") blobs.set(entry.sha256, entry.size);
  return blobs;
}

/** Small ones together, as many as one answer can have; each large one by itself. */
function groupsOf(wanted: readonly Wanted[]): Wanted[][] {
  const groups: Wanted[][] = [];
  let group: Wanted[] = [];
  let bytes = 0;
  for (const blob of wanted) {
    if (blob.size > SMALL) {
      groups.push([blob]);
      continue;
    }
    if (bytes + blob.size > ContextStore.MAX_PART || group.length >= ContextStore.MAX_BLOBS) {
      groups.push(group);
      group = [];
      bytes = 0;
    }
    group.push(blob);
    bytes += blob.size;
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

function damaged(cause?: unknown): JobFailed {
  return new JobFailed(
    "The build context has come damaged from the scheduler: submit the job again",
    { cause },
  );
}
