/**
 * Segments of the log spool that are full get packed. What is in them keeps its position: a packed
 * segment is unpacked block by block, where somebody reads.
 *
 *     "OCLUSTER" (8 bytes) · block size (u32) · number of blocks (u32) · end of each packed block in the file (u48 each) · blocks
 *
 * Numbers are little-endian. A block is raw deflate of `block size` bytes, the last one of what is
 * left.
 */
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { promisify } from "node:util";
import { deflateRaw, inflateRaw } from "node:zlib";

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

const MAGIC = Buffer.from("OCLUSTER");
const HEAD = 16;
const END_BYTES = 6;

/** Large enough to pack well, small enough to be unpacked in a millisecond. */
const BLOCK_SIZE = 256 * 1024;

/** Where the blocks of a packed segment are. */
export interface PackedIndex {
  readonly blockSize: number;
  /** `[0]` is where the first block begins; then where each ends. */
  readonly bounds: readonly number[];
}

/**
 * Packs `from` into `to`, which appears whole or not at all. Returns its size. Rejects with the
 * system's errors.
 */
export async function pack(from: string, to: string): Promise<number> {
  const { size } = await stat(from);
  const blocks = Math.ceil(size / BLOCK_SIZE);
  const aside = `${to}.new`;
  const source = await open(from, "r");
  try {
    const target = await open(aside, "w", 0o600);
    try {
      let end = HEAD + blocks * END_BYTES;
      const head = Buffer.alloc(end);
      MAGIC.copy(head);
      head.writeUInt32LE(BLOCK_SIZE, 8);
      head.writeUInt32LE(blocks, 12);
      for (let block = 0; block < blocks; block++) {
        const at = block * BLOCK_SIZE;
        const packed = await deflate(await readAt(source, at, Math.min(BLOCK_SIZE, size - at)));
        await target.write(packed, 0, packed.length, end);
        end += packed.length;
        head.writeUIntLE(end, HEAD + block * END_BYTES, END_BYTES);
      }
      await target.write(head, 0, head.length, 0);
      await target.datasync();
      await rename(aside, to);
      return end;
    } finally {
      await target.close();
    }
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  } finally {
    await source.close();
  }
}

/** Rejects if the file is no packed segment. */
export async function readIndex(file: FileHandle): Promise<PackedIndex> {
  const head = await readAt(file, 0, HEAD);
  if (!head.subarray(0, 8).equals(MAGIC)) throw new Error("It is no packed segment of logs");
  const blockSize = head.readUInt32LE(8);
  const blocks = head.readUInt32LE(12);
  const ends = await readAt(file, HEAD, blocks * END_BYTES);
  const bounds = [HEAD + ends.length];
  for (let block = 0; block < blocks; block++) {
    bounds.push(ends.readUIntLE(block * END_BYTES, END_BYTES));
  }
  return { blockSize, bounds };
}

export async function readBlock(
  file: FileHandle,
  { bounds }: PackedIndex,
  block: number,
): Promise<Buffer> {
  const begin = bounds[block]!;
  return inflate(await readAt(file, begin, bounds[block + 1]! - begin));
}

/** Exactly so many bytes. Rejects if the file is shorter. */
export async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new Error("A segment of logs is shorter than its index says");
    done += bytesRead;
  }
  return bytes;
}
