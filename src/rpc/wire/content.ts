/**
 * What a payload's content pointer leads to, in the two forms in which it travels: in place in a
 * message that is being received, and by itself.
 */
import { copyPointer, measurePointer } from "./copy.js";
import { POINTER, WORD } from "./layout.js";
import { FrameReader, WireError } from "./reader.js";
import { SegmentWriter } from "./writer.js";

/** A pointer in a received message. Valid only while that message is being handled. */
export class FramePointer {
  private bytes = 0;

  constructor(
    readonly frame: FrameReader,
    readonly segment: number,
    /** Byte position of the pointer. */
    readonly at: number,
  ) {}

  /**
   * Follows everything once. Throws `WireError` if it is malformed or over a limit. To be called
   * before all else.
   */
  check(): this {
    this.bytes = measurePointer(this.frame, this.segment, this.at, 0);
    return this;
  }

  /** Bytes of the content, without the pointer itself. */
  get byteLength(): number {
    return this.bytes;
  }

  /**
   * Copies the content out; undefined for a null pointer.
   * `mapCapability` gives the capability pointers in it new numbers.
   */
  toContent(mapCapability?: (index: number) => number): Content | undefined {
    this.frame.follow(this.segment, this.at);
    if (this.frame.kind === -1) return undefined;
    const writer = SegmentWriter.withCapacity(this.bytes + WORD + READER_SLACK);
    writer.mapCapability = mapCapability;
    copyPointer(this.frame, this.segment, this.at, writer, writer.alloc(WORD));
    return new Content(writer.bytes.buffer as ArrayBuffer, writer.length);
  }
}

/**
 * One pointer and all that it leads to: a single segment that starts with the pointer. Well-formed
 * by construction.
 */
export class Content {
  constructor(
    readonly buffer: ArrayBuffer,
    /** Bytes used of the buffer; the rest is zero. */
    readonly byteLength: number,
  ) {}

  /**
   * The number in the capability table that is at `path`, a path of pointer indices from the root;
   * -1 when there is no capability there.
   */
  capabilityAt(path: readonly number[]): number {
    const view = new DataView(this.buffer, 0, this.byteLength);
    let at = 0;
    for (const index of path) {
      const low = view.getUint32(at, true);
      const high = view.getUint32(at + 4, true);
      if ((low === 0 && high === 0) || (low & 3) !== POINTER.struct) return -1;
      if (index >= high >>> 16) return -1;
      at += WORD + (low >> 2) * WORD + (high & 0xffff) * WORD + index * WORD;
    }
    return view.getUint32(at, true) === POINTER.other ? view.getUint32(at + 4, true) : -1;
  }

  /**
   * Pointer `index` of the root struct with all that it leads to, by itself; undefined when it is
   * null.
   */
  field(index: number, mapCapability: (index: number) => number): Content | undefined {
    const frame = this.frame();
    const root = frame.struct(0, frame.root);
    const at = root === undefined ? -1 : root.pointer(index);
    return at < 0 ? undefined : new FramePointer(frame, 0, at).check().toContent(mapCapability);
  }

  /** A copy in which the capability pointers have new numbers. */
  withCapabilities(mapCapability: (index: number) => number): Content {
    const frame = this.frame();
    return new FramePointer(frame, 0, frame.root).check().toContent(mapCapability) ?? this;
  }

  /**
   * Its bytes as a string of as many characters: one small object, where a buffer is several large
   * ones, and nothing that a garbage collection has to look into.
   */
  pack(): string {
    return Buffer.from(this.buffer, 0, this.byteLength).toString("latin1");
  }

  static unpack(packed: string): Content {
    const buffer = new ArrayBuffer(packed.length + READER_SLACK);
    Buffer.from(buffer).write(packed, "latin1");
    return new Content(buffer, packed.length);
  }

  /** A copy of its bytes. */
  toBytes(): Uint8Array {
    return new Uint8Array(this.buffer.slice(0, this.byteLength));
  }

  /** From a copy of what `toBytes` gave. Throws `WireError` if it is malformed. */
  static fromBytes(bytes: Uint8Array): Content {
    if (bytes.length % WORD !== 0) throw new WireError("a part of a word");
    const buffer = new ArrayBuffer(bytes.length + READER_SLACK);
    new Uint8Array(buffer).set(bytes);
    const content = new Content(buffer, bytes.length);
    const frame = content.frame();
    new FramePointer(frame, 0, frame.root).check();
    return content;
  }

  copy(): Content {
    return new Content(this.buffer.slice(0), this.byteLength);
  }

  /** Everything but the root pointer. */
  get body(): Uint8Array {
    return new Uint8Array(this.buffer, WORD, this.byteLength - WORD);
  }

  /**
   * The root pointer as it must be at position `at` of a segment where the body is at `body`: its
   * two halves.
   */
  rootAt(at: number, body: number): readonly [low: number, high: number] {
    const view = new DataView(this.buffer, 0, this.byteLength);
    const low = view.getUint32(0, true);
    const high = view.getUint32(4, true);
    // Null, a capability, or an empty struct, which points at itself.
    if ((low & 3) === POINTER.other || ((low & 3) === POINTER.struct && high === 0))
      return [low, high];
    return [(((body - at - WORD) / WORD + (low >> 2)) << 2) | (low & 3), high];
  }

  /** Copies all of it into `writer`, under the pointer at `at`. */
  copyInto(writer: SegmentWriter, at: number): void {
    const body = writer.alloc(this.byteLength - WORD);
    writer.setBytes(body, this.body);
    const [low, high] = this.rootAt(at, body);
    writer.setWord(at, low, high);
  }

  /** A reader on this content, as if it was a message. */
  private frame(): FrameReader {
    const frame = new FrameReader(TRUSTED);
    frame.resetToSegment(new Uint8Array(this.buffer, 0, this.byteLength));
    return frame;
  }
}

/** Our own contents were checked when they came in; those made here may nest as they like. */
const TRUSTED = {
  nesting: 10_000,
  emptyElements: Number.POSITIVE_INFINITY,
  pointers: Number.POSITIVE_INFINITY,
};

/**
 * Room left behind content that is copied out for a reader, which writes defaults for absent lists
 * and structs into it.
 */
export const READER_SLACK = 256;
