/**
 * The files of the log spool: `000001`, `000002`, … are appended to one after the other, and packed
 * (`000001.z`) when they are full.
 *
 * Pieces of many logs lie in one segment, in the order in which they came. Where is which, the
 * index in `jobs.db` knows; what no index refers to, such as the end of a segment that was written
 * to when the power went, is nothing.
 */
import { type FileHandle, link, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type PackedIndex, pack, readAt, readBlock, readIndex } from "./log-packing.js";

/** When a segment is full, in bytes. */
const SEGMENT_SIZE = 64 * 1024 * 1024;

/** Files that are kept open for readers, and unpacked blocks that are kept, for who reads on. */
const OPEN_FILES = 16;
const KEPT_BLOCKS = 32;

/** A segment's, plain or packed. */
const NAME = /^(\d{6,})(\.z)?$/;

export interface Position {
  readonly segment: number;
  readonly position: number;
}

/**
 * A segment that is open for readers. It is closed when it is dropped and nobody reads from it any
 * more.
 */
class OpenSegment {
  private readers = 0;
  private dropped = false;

  private constructor(
    readonly file: FileHandle,
    readonly index: PackedIndex | undefined,
  ) {}

  static async open(plain: string): Promise<OpenSegment> {
    const packed = await open(`${plain}.z`, "r").catch(ifThere);
    if (!packed) return new OpenSegment(await open(plain, "r"), undefined);
    return new OpenSegment(packed, await readIndex(packed));
  }

  /** Whether there is still time to begin reading. */
  enter(): boolean {
    if (this.dropped) return false;
    this.readers++;
    return true;
  }

  leave(): void {
    this.readers--;
    this.closeIfUnused();
  }

  drop(): void {
    this.dropped = true;
    this.closeIfUnused();
  }

  private closeIfUnused(): void {
    // A file that cannot be closed was only read.
    if (this.dropped && this.readers === 0) void this.file.close().catch(() => {});
  }
}

export class LogSegments {
  /** Bytes of each segment's file. */
  private readonly sizes = new Map<number, number>();
  private readonly opened = new Map<number, Promise<OpenSegment>>();
  private readonly blocks = new Map<string, Promise<Buffer>>();
  private current: { readonly number: number; readonly file: FileHandle; size: number } | undefined;
  private last = 0;

  private constructor(
    private readonly directory: string,
    private readonly segmentSize: number,
  ) {}

  /** Opens or makes the directory. Rejects with the system's errors. */
  static async open(directory: string, segmentSize = SEGMENT_SIZE): Promise<LogSegments> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const segments = new LogSegments(directory, segmentSize);
    for (const name of await readdir(directory)) {
      const match = NAME.exec(name);
      if (!match) {
        if (name.endsWith(".z.new")) await rm(join(directory, name), { force: true });
        continue;
      }
      const number = Number(match[1]);
      segments.last = Math.max(segments.last, number);
      const { size } = await stat(join(directory, name));
      // Both are there if the program ended between packing and removing: the packed one is whole.
      segments.sizes.set(number, match[2] ? size : (segments.sizes.get(number) ?? size));
    }
    return segments;
  }

  /** Bytes on disk. */
  get size(): number {
    let size = 0;
    for (const bytes of this.sizes.values()) size += bytes;
    return size;
  }

  has(number: number): boolean {
    return this.sizes.has(number);
  }

  /** The numbers of all segments but that which is written to, oldest first. */
  get sealed(): number[] {
    return [...this.sizes.keys()]
      .filter((number) => number !== this.current?.number)
      .sort((a, b) => a - b);
  }

  /** Appends, and returns where that is. On disk after `sync`. One call at a time. */
  async append(data: Uint8Array): Promise<Position> {
    this.current ??= await this.begin();
    const { file, number, size: position } = this.current;
    for (let done = 0; done < data.length; ) {
      const { bytesWritten } = await file.write(data, done, data.length - done, position + done);
      done += bytesWritten;
    }
    this.current.size += data.length;
    this.sizes.set(number, this.current.size);
    return { segment: number, position };
  }

  /**
   * What was appended is on disk. Returns the number of the segment if it is full: it is not
   * written to any more.
   */
  async sync(): Promise<number | undefined> {
    const { current } = this;
    if (!current) return undefined;
    await current.file.datasync();
    if (current.size < this.segmentSize) return undefined;
    this.current = undefined;
    await current.file.close();
    return current.number;
  }

  async read(from: Position, length: number): Promise<Buffer> {
    for (;;) {
      const opened = await this.open(from.segment);
      // It may have been packed just now.
      if (!opened.enter()) continue;
      try {
        return await this.readFrom(opened, from, length);
      } finally {
        opened.leave();
      }
    }
  }

  private async readFrom(
    { file, index }: OpenSegment,
    { position, segment }: Position,
    length: number,
  ): Promise<Buffer> {
    if (!index) return readAt(file, position, length);
    const parts: Buffer[] = [];
    for (let at = position; at < position + length; ) {
      const block = Math.floor(at / index.blockSize);
      const offset = at - block * index.blockSize;
      const bytes = await this.block(segment, block, file, index);
      const part = bytes.subarray(offset, offset + position + length - at);
      if (part.length === 0) throw new Error("A segment of logs is shorter than its index says");
      parts.push(part);
      at += part.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** Packs a segment that is full. Reading goes on meanwhile. */
  async pack(number: number): Promise<void> {
    const plain = this.path(number);
    this.sizes.set(number, await pack(plain, `${plain}.z`));
    await this.forget(number);
    await rm(plain);
  }

  async remove(number: number): Promise<void> {
    this.sizes.delete(number);
    await this.forget(number);
    await rm(this.path(number), { force: true });
    await rm(`${this.path(number)}.z`, { force: true });
  }

  /**
   * Gives all segments a second name, in a directory of the same file system: what is in them now
   * stays readable there, whatever becomes of them here. Not while one is packed or removed.
   */
  async link(directory: string): Promise<void> {
    for (const name of await readdir(this.directory)) {
      if (NAME.test(name)) await link(join(this.directory, name), join(directory, name));
    }
  }

  async close(): Promise<void> {
    await this.current?.file.close();
    this.current = undefined;
    for (const number of [...this.opened.keys()]) await this.forget(number);
  }

  private async begin() {
    const number = ++this.last;
    const file = await open(this.path(number), "wx", 0o600);
    this.sizes.set(number, 0);
    return { number, file, size: 0 };
  }

  private path(number: number): string {
    return join(this.directory, String(number).padStart(6, "0"));
  }

  private open(number: number): Promise<OpenSegment> {
    const drop = (opened: Promise<OpenSegment>) => void opened.then((one) => one.drop(), ignore);
    return remembered(
      this.opened,
      number,
      OPEN_FILES,
      () => OpenSegment.open(this.path(number)),
      drop,
    );
  }

  private block(number: number, block: number, file: FileHandle, index: PackedIndex) {
    return remembered(this.blocks, `${number}/${block}`, KEPT_BLOCKS, () =>
      readBlock(file, index, block),
    );
  }

  /** Whoever reads it from now on opens it anew. */
  private async forget(number: number): Promise<void> {
    const opened = this.opened.get(number);
    this.opened.delete(number);
    for (const key of this.blocks.keys()) {
      if (key.startsWith(`${number}/`)) this.blocks.delete(key);
    }
    await opened?.then((one) => one.drop(), ignore);
  }
}

function ignore(): void {}

function ifThere(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

/**
 * The value of a key, made if it is not among the last `limit` that were used. One that fails is
 * not kept.
 */
function remembered<K, V>(
  memory: Map<K, Promise<V>>,
  key: K,
  limit: number,
  make: () => Promise<V>,
  drop?: (value: Promise<V>) => void,
): Promise<V> {
  const known = memory.get(key);
  const value = known ?? make();
  if (known) memory.delete(key);
  memory.set(key, value);
  if (!known) value.catch(() => memory.get(key) === value && memory.delete(key));
  if (memory.size > limit) {
    const [oldest] = memory.keys() as Iterable<K> as [K];
    const dropped = memory.get(oldest)!;
    memory.delete(oldest);
    drop?.(dropped);
  }
  return value;
}
