/**
 * Rows as bytes, as they are sent and kept: many at a time, in chunks. To each row there is its key
 * (UTF-8) and a value for each column (any bytes), each with its length before it:
 *
 *     row   := item (the key) item* (the values)
 *     item  := length (7 bits a byte, the lowest first, the highest bit set on all but the last) bytes
 *
 * Values in memory are bytes, a character for each (Latin-1).
 */

export interface RowValues {
  readonly key: string;
  readonly values: readonly string[];
}

/** Bytes of one item that a length can say: more than any message has. */
const MAX_LENGTH = 2 ** 28 - 1;

/** Puts rows into a chunk. */
export class RowWriter {
  private buffer = Buffer.allocUnsafe(64 * 1024);
  private length = 0;
  private rows = 0;

  /** How many rows there are since the last `take`. */
  get count(): number {
    return this.rows;
  }

  /** Their bytes. */
  get byteLength(): number {
    return this.length;
  }

  /** Adds a row. */
  add(key: string, values: readonly string[]): void {
    this.item(key, "utf8", Buffer.byteLength(key));
    for (const value of values) this.item(value, "latin1", value.length);
    this.rows++;
  }

  /** The chunk so far; the next one begins. */
  take(): Uint8Array {
    const chunk = this.buffer.subarray(0, this.length);
    this.buffer = Buffer.allocUnsafe(64 * 1024);
    this.length = 0;
    this.rows = 0;
    return chunk;
  }

  private item(text: string, encoding: "utf8" | "latin1", length: number): void {
    this.reserve(length + 4);
    let left = length;
    for (; left > 0x7f; left >>>= 7) this.buffer[this.length++] = (left & 0x7f) | 0x80;
    this.buffer[this.length++] = left;
    this.length += this.buffer.write(text, this.length, encoding);
  }

  private reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.buffer.length));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }
}

/** A chunk, whose rows can be had in any order. */
export class RowChunk {
  private readonly bytes: Buffer;
  /** Where each row begins. */
  private readonly starts: Uint32Array;

  /**
   * @param bytes of a chunk, not copied; from anybody
   * @param columns how many values a row has
   * @throws RangeError if they are no chunk of such rows
   */
  constructor(
    bytes: Uint8Array,
    private readonly columns: number,
  ) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const starts: number[] = [];
    for (let at = 0; at < bytes.length; ) {
      starts.push(at);
      for (let item = 0; item <= columns; item++) at = this.endOf(at);
    }
    this.starts = Uint32Array.from(starts);
  }

  get count(): number {
    return this.starts.length;
  }

  /** The row's key. */
  key(index: number): string {
    const at = this.starts[index]!;
    return this.bytes.toString("utf8", this.beginOf(at), this.endOf(at));
  }

  /** The row as it is: a chunk of this row alone. Not copied. */
  bytesOf(index: number): Uint8Array {
    return this.bytes.subarray(this.starts[index]!, this.starts[index + 1] ?? this.bytes.length);
  }

  row(index: number): RowValues {
    let at = this.endOf(this.starts[index]!);
    const values: string[] = [];
    for (let column = 0; column < this.columns; column++) {
      const end = this.endOf(at);
      values.push(this.bytes.toString("latin1", this.beginOf(at), end));
      at = end;
    }
    return { key: this.key(index), values };
  }

  /** Where the bytes of the item at `at` begin. */
  private beginOf(at: number): number {
    let begin = at;
    while (this.bytes[begin]! > 0x7f) begin++;
    return begin + 1;
  }

  /** Where they end. */
  private endOf(at: number): number {
    let length = 0;
    let begin = at;
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes[begin++];
      if (byte === undefined || shift > 21) throw MALFORMED;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte <= 0x7f) break;
    }
    const end = begin + length;
    if (length > MAX_LENGTH || end > this.bytes.length) throw MALFORMED;
    return end;
  }
}

const MALFORMED = new RangeError("These are not rows of so many columns");
