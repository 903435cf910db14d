/**
 * Reads tar archives as engines write them: ustar, with GNU's entries for long names or POSIX's
 * extended headers (PAX). The data of an entry is read before the next one is, or passed over. An
 * archive may come from strangers: what is odd about it is an error, and nothing that it says is
 * believed beyond its own bytes.
 */

export interface ReadEntry {
  readonly type: "file" | "dir" | "symlink" | "link" | "other";
  readonly name: Buffer;
  /** Of a link. */
  readonly target: Buffer;
  readonly mode: number;
  /** Bytes of data. */
  readonly size: number;
  /** Seconds since 1970, with fractions. */
  readonly mtime: number;
  /** The data, in parts that are valid until the next one is asked for. */
  data(): AsyncGenerator<Buffer>;
}

/** That is no tar archive, or it is cut short. */
class TarError extends Error {
  override readonly name = "TarError";
}

const BLOCK = 512;

/** The longest name or extended header. */
const MAX_META = 1024 * 1024;

const TYPES: Readonly<Record<string, ReadEntry["type"]>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  "1": "link",
  "2": "symlink",
  "5": "dir",
};

/** What is said of the next entry before its header. */
interface Meta {
  name?: Buffer;
  target?: Buffer;
  size?: number;
  mtime?: number;
}

/** The entries of an archive, in order. Throws `TarError`, and what `source` throws. */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<ReadEntry> {
  const input = new Input(source);
  try {
    let meta: Meta = {};
    for (;;) {
      const block = await input.exactly(BLOCK);
      if (block === null || block.every((byte) => byte === 0)) return;
      checkSum(block);
      const type = String.fromCharCode(block[156]!);
      const size = meta.size ?? number(block, 124, 12);
      if ("LKxg".includes(type)) {
        Object.assign(meta, await readMeta(type, await input.padded(size)));
        continue;
      }
      let left = size;
      yield {
        type: TYPES[type] ?? "other",
        name: meta.name ?? name(block),
        target: meta.target ?? text(block, 157, 100),
        mode: number(block, 100, 8),
        size,
        mtime: meta.mtime ?? number(block, 136, 12),
        async *data() {
          while (left > 0) {
            const part = await input.some(left);
            left -= part.length;
            yield part;
          }
        },
      };
      while (left > 0) left -= (await input.some(left)).length;
      await input.exactly((BLOCK - (size % BLOCK)) % BLOCK);
      meta = {};
    }
  } finally {
    await input.close();
  }
}

class Input {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Some bytes, at least one, at most `limit`. */
  async some(limit: number): Promise<Buffer> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#source.next();
      if (done) throw new TarError("The archive is cut short");
      this.#rest = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    const part = this.#rest.subarray(0, limit);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  /** So many bytes; null at the end. */
  async exactly(count: number): Promise<Buffer | null> {
    const parts: Buffer[] = [];
    for (let left = count; left > 0; left -= parts.at(-1)!.length) {
      if (this.#rest.length === 0 && parts.length === 0) {
        const { done, value } = await this.#source.next();
        if (done) return null;
        this.#rest = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
        if (value.byteLength === 0) {
          parts.push(this.#rest);
          continue;
        }
      }
      parts.push(await this.some(left));
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** Data of a header, without what fills its last block. */
  async padded(size: number): Promise<Buffer> {
    if (size > MAX_META) throw new TarError("The archive has a name that is too long");
    const data = await this.exactly(size + ((BLOCK - (size % BLOCK)) % BLOCK));
    if (data === null) throw new TarError("The archive is cut short");
    return Buffer.from(data.subarray(0, size));
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}

async function readMeta(type: string, data: Buffer): Promise<Meta> {
  if (type === "L") return { name: untilNul(data) };
  if (type === "K") return { target: untilNul(data) };
  return type === "x" ? readPax(data) : {};
}

/** Records of the form `27 path=…\n`, with their lengths before them. */
function readPax(data: Buffer): Meta {
  const meta: Meta = {};
  for (let at = 0; at < data.length; ) {
    const blank = data.indexOf(0x20, at);
    const length = Number(data.toString("latin1", at, blank));
    const equals = data.indexOf(0x3d, blank);
    if (!Number.isSafeInteger(length) || length < 5 || at + length > data.length || equals < 0) {
      throw new TarError("The archive has an extended header that cannot be read");
    }
    const key = data.toString("latin1", blank + 1, equals);
    const value = data.subarray(equals + 1, at + length - 1);
    if (key === "path") meta.name = value;
    else if (key === "linkpath") meta.target = value;
    else if (key === "size") meta.size = count(value.toString("latin1"));
    else if (key === "mtime") meta.mtime = Number(value.toString("latin1")) || 0;
    at += length;
  }
  return meta;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new TarError("The archive has a wrong size");
  return value;
}

function checkSum(block: Buffer): void {
  const expected = number(block, 148, 8);
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block[i]!;
  if (sum !== expected) throw new TarError("This is no tar archive, or it is damaged");
}

/** Octal digits or, if the top bit is set, a binary number. */
function number(block: Buffer, offset: number, length: number): number {
  if (block[offset]! & 0x80) {
    let value = BigInt(block[offset]! & 0x7f);
    for (let i = 1; i < length; i++) value = (value << 8n) | BigInt(block[offset + i]!);
    // A negative one, which no size is; of a time, long ago.
    if (block[offset] === 0xff) return 0;
    return count(String(value));
  }
  const digits = text(block, offset, length).toString("latin1").trim();
  if (!/^[0-7]*$/.test(digits)) throw new TarError("The archive has a number that cannot be read");
  return Number.parseInt(digits || "0", 8);
}

function name(block: Buffer): Buffer {
  const last = text(block, 0, 100);
  const isUstar = block.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isUstar ? text(block, 345, 155) : Buffer.alloc(0);
  return prefix.length > 0 ? Buffer.concat([prefix, Buffer.from("/"), last]) : Buffer.from(last);
}

function text(block: Buffer, offset: number, length: number): Buffer {
  return untilNul(Buffer.from(block.subarray(offset, offset + length)));
}

function untilNul(data: Buffer): Buffer {
  const end = data.indexOf(0);
  return end < 0 ? data : data.subarray(0, end);
}
