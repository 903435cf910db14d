/**
 * Writes one segment of a message. Positions are byte offsets from the segment's start, so that
 * they stay true when the segment moves to a larger buffer.
 */
import { WORD } from "./layout.js";

export class SegmentWriter {
  /** Byte position of the segment's start in `bytes`. */
  protected base = 0;
  /** Byte position behind what is used of `bytes`. Everything from there on is zero. */
  protected end = 0;
  protected view: DataView;

  /**
   * Gives capability pointers that are copied in (copy.ts) their number in the new message's table.
   */
  mapCapability: ((index: number) => number) | undefined;

  protected constructor(public bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A segment in a buffer of its own, of at least this many bytes. */
  static withCapacity(bytes: number): SegmentWriter {
    return new SegmentWriter(new Uint8Array(new ArrayBuffer((bytes + WORD - 1) & -WORD)));
  }

  /** Bytes used so far. */
  get length(): number {
    return this.end - this.base;
  }

  /** Takes `bytes` (a multiple of 8) of zeroes at the end. Returns their position. */
  alloc(bytes: number): number {
    if (this.end + bytes > this.bytes.byteLength) this.grow(bytes);
    const at = this.end - this.base;
    this.end += bytes;
    return at;
  }

  setU16(at: number, value: number): void {
    this.view.setUint16(this.base + at, value, true);
  }

  setU32(at: number, value: number): void {
    this.view.setUint32(this.base + at, value, true);
  }

  setWord(at: number, low: number, high: number): void {
    this.view.setUint32(this.base + at, low, true);
    this.view.setUint32(this.base + at + 4, high, true);
  }

  setBytes(at: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, this.base + at);
  }

  /**
   * Sets the pointer at `at` to a struct at `target`. One without content points at itself: with an
   * offset of 0 it would be null.
   */
  setStruct(at: number, target: number, dataWords: number, pointers: number): void {
    const offset = dataWords + pointers === 0 ? -1 : (target - at - WORD) / WORD;
    this.setWord(at, offset << 2, dataWords | (pointers << 16));
  }

  /**
   * Sets the pointer at `at` to a list at `target`. `length`: elements, or content words of a
   * composite list.
   */
  setList(at: number, target: number, elementSize: number, length: number): void {
    this.setWord(at, (((target - at - WORD) / WORD) << 2) | 1, elementSize | (length << 3));
  }

  /** Makes room for `bytes` more behind `end`. */
  protected grow(bytes: number): void {
    const used = this.end - this.base;
    const grown = new Uint8Array(Math.max(2 * used, used + bytes));
    grown.set(this.bytes.subarray(this.base, this.end));
    this.replace(grown, 0, used);
  }

  protected replace(bytes: Uint8Array, base: number, end: number): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.base = base;
    this.end = end;
  }
}
