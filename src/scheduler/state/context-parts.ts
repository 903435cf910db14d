/**
 * Large blobs on their way from one client, each in a file of its own until it is whole. What is
 * there of one outlives the connection and the scheduler; its client goes on where it ends.
 *
 * States of one: *open*, while parts come; *idle*, as a file alone, whose bytes are hashed again
 * when it is opened; *whole*, and handed on. One that nobody goes on with is removed.
 */
import type { Hash } from "node:crypto";
import { type FileHandle, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Mutex } from "../../async/index.js";
import { hashFile } from "../../system/index.js";

/** How many one client may have on their way. */
const MAX_PARTS = 32;

/** After so long, in ms, nobody goes on with one. */
const FORSAKEN_MS = 6 * 3_600_000;

/** More than a client may do, or what it has sent is not what it said. */
export class PartRefused extends Error {
  override readonly name = "PartRefused";
}

interface Part {
  /** Bytes of the whole blob. */
  size: number;
  length: number;
  used: number;
  readonly mutex: Mutex;
  open: { readonly file: FileHandle; readonly hash: Hash } | undefined;
}

export class ContextParts {
  private readonly parts = new Map<string, Part>();

  private constructor(private readonly directory: string) {}

  /** With what is there. The directory must exist. Rejects with the system's error. */
  static async open(directory: string): Promise<ContextParts> {
    const parts = new ContextParts(directory);
    for (const name of await readdir(directory)) {
      const { mtimeMs, size } = await stat(join(directory, name));
      const part = { size, length: size, used: mtimeMs, mutex: new Mutex(), open: undefined };
      parts.parts.set(name, part);
    }
    return parts;
  }

  /** Bytes that they have, or will have when they are whole. */
  get bytes(): number {
    let sum = 0;
    for (const { size } of this.parts.values()) sum += size;
    return sum;
  }

  /** Bytes that a blob of this size will take that are not counted yet. */
  newBytes(hash: string, size: number): number {
    return size - (this.parts.get(hash)?.size ?? 0);
  }

  /**
   * Adds to a blob, if the data begins where it ends. Resolves to how many bytes are there; if
   * these are all, `onWhole` has taken the file away, which it is given the path of. Rejects with a
   * `PartRefused`, or the system's error.
   */
  append(
    hash: string,
    size: number,
    start: number,
    data: Uint8Array,
    onWhole: (path: string) => Promise<void>,
  ): Promise<number> {
    const part = this.partOf(hash, size);
    return part.mutex.run(async () => {
      part.used = Date.now();
      // It may have become whole, or been removed, while this had to wait.
      if (this.parts.get(hash) !== part) return part.length;
      await this.openPart(hash, part, size);
      if (start !== part.length) return part.length;
      if (start + data.length > size) {
        throw new PartRefused(`More was sent of a file than the ${size} bytes that it has`);
      }
      await write(part, data);
      if (part.length === size) await this.finish(hash, part, onWhole);
      return part.length;
    });
  }

  /** Removes those that nobody goes on with. */
  async sweep(): Promise<void> {
    for (const [hash, part] of this.parts) {
      if (Date.now() - part.used > FORSAKEN_MS) {
        await part.mutex.run(() => this.remove(hash, part));
      }
    }
  }

  async close(): Promise<void> {
    for (const part of this.parts.values()) await part.mutex.run(() => closePart(part));
  }

  private partOf(hash: string, size: number): Part {
    const known = this.parts.get(hash);
    if (known) {
      // What is there counts, however small it is said to be now.
      known.size = Math.max(size, known.length);
      return known;
    }
    if (this.parts.size >= MAX_PARTS) {
      throw new PartRefused(`${MAX_PARTS} large files are on their way already: send these first`);
    }
    const part = { size, length: 0, used: Date.now(), mutex: new Mutex(), open: undefined };
    this.parts.set(hash, part);
    return part;
  }

  private async openPart(hash: string, part: Part, size: number): Promise<void> {
    if (part.open) return;
    const file = await open(join(this.directory, hash), "a+", 0o600);
    try {
      if ((await file.stat()).size > size) await file.truncate(0);
      const { hash: sha256, length } = await hashFile(file);
      part.length = length;
      part.open = { file, hash: sha256 };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  private async finish(
    hash: string,
    part: Part,
    onWhole: (path: string) => Promise<void>,
  ): Promise<void> {
    const is = part.open!.hash.copy().digest("hex");
    if (is !== hash) {
      await this.remove(hash, part);
      throw new PartRefused("A file that was sent is not what its hash says: did it change?");
    }
    await closePart(part);
    await onWhole(join(this.directory, hash));
    this.parts.delete(hash);
  }

  private async remove(hash: string, part: Part): Promise<void> {
    if (this.parts.get(hash) !== part) return;
    this.parts.delete(hash);
    await closePart(part);
    await rm(join(this.directory, hash), { force: true });
  }
}

async function write(part: Part, data: Uint8Array): Promise<void> {
  const { file, hash } = part.open!;
  try {
    for (let done = 0; done < data.length; ) {
      const { bytesWritten } = await file.write(data, done, data.length - done);
      hash.update(data.subarray(done, done + bytesWritten));
      done += bytesWritten;
      part.length += bytesWritten;
    }
  } catch (error) {
    // What is there of it is found out anew.
    await closePart(part);
    throw error;
  }
}

async function closePart(part: Part): Promise<void> {
  const { open: opened } = part;
  part.open = undefined;
  await opened?.file.close();
}
