/**
 * Reads the structs and lists of a message that came from outside, in place. Every pointer is
 * checked against its segment before it is followed, and what a peer can claim without paying for
 * it is bounded.
 *
 * A reader is valid only as long as the bytes are: within the call that handed it out.
 */
import type { Limits } from "../limits.js";
import { LIST, POINTER, WORD } from "./layout.js";

/** The peer sent bytes that are no valid message. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/** Bits per element of the list sizes that have a fixed one, by their number on the wire. */
const ELEMENT_BITS = [0, 1, 8, 16, 32, 64, 64] as const;

/**
 * A struct in a message. Fields beyond what the sender wrote read as zero: it may be older than we
 * are.
 */
export class StructReader {
  constructor(
    readonly frame: FrameReader,
    readonly segment: number,
    /** Byte position of the data section. */
    readonly data: number,
    readonly dataBytes: number,
    readonly pointerCount: number,
  ) {}

  u16(offset: number): number {
    return offset + 2 <= this.dataBytes ? this.frame.view.getUint16(this.data + offset, true) : 0;
  }

  u32(offset: number): number {
    return offset + 4 <= this.dataBytes ? this.frame.view.getUint32(this.data + offset, true) : 0;
  }

  bit(offset: number): boolean {
    const byte = offset >> 3;
    return (
      byte < this.dataBytes && (this.frame.bytes[this.data + byte]! & (1 << (offset & 7))) !== 0
    );
  }

  /** Byte position of pointer `index`; -1 when the sender's struct has no such pointer. */
  pointer(index: number): number {
    return index < this.pointerCount ? this.data + this.dataBytes + index * WORD : -1;
  }

  /** The struct at pointer `index`; undefined when the pointer is null. */
  struct(index: number): StructReader | undefined {
    const at = this.pointer(index);
    return at < 0 ? undefined : this.frame.struct(this.segment, at);
  }

  list(index: number): ListReader | undefined {
    const at = this.pointer(index);
    return at < 0 ? undefined : this.frame.list(this.segment, at);
  }
}

/** A list in a message. */
export class ListReader {
  constructor(
    readonly frame: FrameReader,
    readonly segment: number,
    /** Byte position of the first element. */
    readonly start: number,
    /** One of `LIST`. */
    readonly elementSize: number,
    readonly length: number,
    /** Of composite lists: the sections of each element. */
    readonly dataBytes: number,
    readonly pointerCount: number,
  ) {}

  /** Element `index` of a list of structs. */
  struct(index: number): StructReader {
    if (this.elementSize !== LIST.composite) throw new WireError("expected a list of structs");
    const at = this.start + index * (this.dataBytes + this.pointerCount * WORD);
    return new StructReader(this.frame, this.segment, at, this.dataBytes, this.pointerCount);
  }

  /** The bytes of a `Data`, or of a `Text` with its NUL; in place. */
  bytes(): Uint8Array {
    if (this.elementSize !== LIST.byte) throw new WireError("expected a list of bytes");
    return this.frame.bytes.subarray(this.start, this.start + this.length);
  }

  text(): string {
    const bytes = this.bytes();
    if (bytes.length === 0 || bytes[bytes.length - 1] !== 0) {
      throw new WireError("a text does not end in NUL");
    }
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length - 1).toString("utf8");
  }
}

/**
 * One message's segments. The object is used again for each message of a connection. `follow`
 * leaves what it found in the fields below it, so that walking a payload allocates nothing.
 */
export class FrameReader {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(new ArrayBuffer(0));

  /**
   * Byte positions where each segment starts, and one more: the end. Segments lie one behind the
   * other.
   */
  private readonly bounds: number[] = [];
  private segments = 0;

  /**
   * Bytes of content that may still be followed: no more than there are, as pointers must not
   * overlap.
   */
  private budget = 0;
  private emptyBudget = 0;
  private pointerBudget = 0;

  /**
   * What `follow` found. `kind` is one of `POINTER`, or -1 for null; `at` is the byte position of
   * the content.
   */
  kind = -1;
  segment = 0;
  at = 0;
  /** Of a struct, or of the elements of a composite list. */
  dataBytes = 0;
  pointerCount = 0;
  /** Of a list. */
  elementSize = 0;
  length = 0;

  constructor(readonly limits: Pick<Limits, "nesting" | "emptyElements" | "pointers">) {}

  /**
   * Takes the message whose header is at `start`. The caller has checked that all of it is there
   * (framing.ts).
   */
  reset(bytes: Uint8Array, view: DataView, start: number): void {
    this.bytes = bytes;
    this.view = view;
    const segments = view.getUint32(start, true) + 1;
    let at = start + ((segments + 2) >> 1) * WORD;
    for (let i = 0; i < segments; i++) {
      this.bounds[i] = at;
      at += view.getUint32(start + 4 + 4 * i, true) * WORD;
    }
    this.bounds[segments] = at;
    this.segments = segments;
    this.budget = at - this.bounds[0]!;
    this.emptyBudget = this.limits.emptyElements;
    this.pointerBudget = this.limits.pointers;
  }

  /** Takes a message of one segment that has no header. */
  resetToSegment(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.bounds[0] = 0;
    this.bounds[1] = bytes.byteLength;
    this.segments = 1;
    this.budget = bytes.byteLength;
    this.emptyBudget = this.limits.emptyElements;
    this.pointerBudget = this.limits.pointers;
  }

  /** Position of the root pointer; it is in segment 0. */
  get root(): number {
    const at = this.bounds[0]!;
    if (this.bounds[1]! - at < WORD) throw new WireError("the message has no root");
    return at;
  }

  /** Forgets the bytes, so that they can be collected. */
  clear(): void {
    this.bytes = EMPTY_BYTES;
    this.view = EMPTY_VIEW;
    this.segments = 0;
  }

  struct(segment: number, at: number): StructReader | undefined {
    this.follow(segment, at);
    if (this.kind === -1) return undefined;
    if (this.kind !== POINTER.struct) throw new WireError("expected a struct");
    return new StructReader(this, this.segment, this.at, this.dataBytes, this.pointerCount);
  }

  list(segment: number, at: number): ListReader | undefined {
    this.follow(segment, at);
    if (this.kind === -1) return undefined;
    if (this.kind !== POINTER.list) throw new WireError("expected a list");
    return new ListReader(
      this,
      this.segment,
      this.at,
      this.elementSize,
      this.length,
      this.dataBytes,
      this.pointerCount,
    );
  }

  /**
   * Counts `bytes` of content as seen. Fails when the message's pointers overlap, or claim too many
   * empty elements.
   */
  spend(bytes: number, emptyElements: number): void {
    this.budget -= bytes;
    this.emptyBudget -= emptyElements;
    if (this.budget < 0) throw new WireError("the message's pointers overlap");
    if (this.emptyBudget < 0) throw new WireError("too many empty list elements");
  }

  /** Counts `count` pointers as seen. Fails when the message has too many. */
  spendPointers(count: number): void {
    this.pointerBudget -= count;
    if (this.pointerBudget < 0) throw new WireError("too many pointers");
  }

  /**
   * Decodes the pointer at byte position `at` of `segment`, through far pointers, and checks what
   * it points to.
   */
  follow(segment: number, at: number): void {
    let low = this.view.getUint32(at, true);
    let high = this.view.getUint32(at + 4, true);
    if (low === 0 && high === 0) {
      this.kind = -1;
      return;
    }
    let target = at + WORD + (low >> 2) * WORD;
    if ((low & 3) === POINTER.far) {
      segment = this.checkSegment(high);
      const pad = this.bounds[segment]! + (low >>> 3) * WORD;
      const double = (low & 4) !== 0;
      this.checkRange(segment, pad, double ? 2 * WORD : WORD);
      low = this.view.getUint32(pad, true);
      high = this.view.getUint32(pad + 4, true);
      if (double) {
        // The pad is a far pointer to the content, then a tag that says what it is.
        if ((low & 7) !== POINTER.far) throw new WireError("malformed far pointer");
        segment = this.checkSegment(high);
        target = this.bounds[segment]! + (low >>> 3) * WORD;
        low = this.view.getUint32(pad + WORD, true);
        high = this.view.getUint32(pad + WORD + 4, true);
      } else {
        target = pad + WORD + (low >> 2) * WORD;
      }
      if ((low & 3) === POINTER.far) throw new WireError("malformed far pointer");
      if (low === 0 && high === 0) {
        this.kind = -1;
        return;
      }
    }
    this.segment = segment;
    this.kind = low & 3;
    switch (this.kind) {
      case POINTER.struct:
        this.dataBytes = (high & 0xffff) * WORD;
        this.pointerCount = high >>> 16;
        this.at = target;
        this.checkRange(segment, target, this.dataBytes + this.pointerCount * WORD);
        return;
      case POINTER.list:
        this.followList(segment, target, high);
        return;
      default:
        // A capability: its number in the message's table. Nothing else is defined.
        if (low !== POINTER.other) throw new WireError("unknown kind of pointer");
        this.length = high;
    }
  }

  private followList(segment: number, target: number, high: number): void {
    this.elementSize = high & 7;
    this.length = high >>> 3;
    if (this.elementSize !== LIST.composite) {
      this.at = target;
      this.dataBytes = Math.ceil((this.length * ELEMENT_BITS[this.elementSize]!) / 64) * WORD;
      this.pointerCount = 0;
      this.checkRange(segment, target, this.dataBytes);
      return;
    }
    const contentBytes = this.length * WORD;
    this.checkRange(segment, target, WORD + contentBytes);
    const low = this.view.getUint32(target, true);
    const sizes = this.view.getUint32(target + 4, true);
    if ((low & 3) !== POINTER.struct) throw new WireError("malformed list of structs");
    this.length = low >>> 2;
    this.dataBytes = (sizes & 0xffff) * WORD;
    this.pointerCount = sizes >>> 16;
    this.at = target + WORD;
    if (this.length * (this.dataBytes + this.pointerCount * WORD) > contentBytes) {
      throw new WireError("a list of structs is longer than its content");
    }
  }

  private checkSegment(segment: number): number {
    if (segment >= this.segments) throw new WireError("a pointer leaves the message");
    return segment;
  }

  private checkRange(segment: number, start: number, bytes: number): void {
    if (start < this.bounds[segment]! || start + bytes > this.bounds[segment + 1]!) {
      throw new WireError("a pointer leaves its segment");
    }
  }
}

const EMPTY_BYTES = new Uint8Array(0);
const EMPTY_VIEW = new DataView(new ArrayBuffer(0));
