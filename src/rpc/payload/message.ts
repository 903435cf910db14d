/**
 * capnp-es' messages as they are used here: one segment, whose bytes are those of a `Content`, so
 * that nothing is converted between the wire and typed structs.
 */
import { Message, type Struct, type StructCtor } from "capnp-es";
import { Content, READER_SLACK } from "../wire/content.js";
import { WORD } from "../wire/layout.js";

type Segment = ReturnType<Message["getSegment"]>;
type SegmentClass = new (
  id: number,
  message: Message,
  buffer: ArrayBuffer,
  used: number,
) => Segment;
type Arena = Exclude<
  ConstructorParameters<typeof Message>[0],
  ArrayBuffer | ArrayBufferView | undefined
>;

/** capnp-es' `ArenaKind.MULTI_SEGMENT`, which it does not export. */
const MULTI_SEGMENT = 1;

/** An arena without segments, with which a message costs little to make. */
const NO_SEGMENTS = { kind: MULTI_SEGMENT, buffers: [] } as unknown as Arena;

/** capnp-es' `Segment`, which it does not export. */
const SegmentOf = new Message().getSegment(0).constructor as SegmentClass;

export class SegmentMessage extends Message {
  /** The only segment; a field of its own, as it is looked at all the time. */
  readonly segment: Segment;
  /** The view on the root that was asked for last. */
  private root: Struct | undefined;

  /** A message in `buffer`, of which `used` bytes are taken; the rest is zero. */
  constructor(buffer: ArrayBuffer, used: number) {
    super(NO_SEGMENTS, false);
    this.segment = new SegmentOf(0, this, buffer, used);
    this._capnp.segments = [this.segment];
  }

  /** As capnp-es has it; who asks for the same view again gets the same object. */
  override getRoot<T extends Struct>(type: StructCtor<T>): T {
    if (this.root?.constructor === type) return this.root as T;
    const root = super.getRoot(type);
    this.root = root;
    return root;
  }

  /** What is in the message now. Reading moves things about: see `READER_SLACK`. */
  get content(): Content {
    return new Content(this.segment.buffer, this.segment.byteLength);
  }

  /**
   * Doubles the segment: capnp-es itself grows by 4 KiB at a time, which makes large lists slow.
   */
  override allocateSegment(byteLength: number): Segment {
    const { segment } = this;
    const used = segment.byteLength;
    const wanted = Math.max(2 * segment.buffer.byteLength, used + byteLength + READER_SLACK);
    const buffer = new ArrayBuffer((wanted + WORD - 1) & -WORD);
    new Uint8Array(buffer).set(new Uint8Array(segment.buffer, 0, used));
    segment.replaceBuffer(buffer);
    return segment;
  }
}
