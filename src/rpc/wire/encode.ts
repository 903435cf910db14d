/**
 * Writes the messages of rpc.capnp one behind the other, ready for the transport. A message is in
 * one segment, except that a large payload is sent from where it is, as a second segment.
 */

import { ERROR_KINDS } from "../errors.js";
import { type Content, FramePointer } from "./content.js";
import { copyPointer } from "./copy.js";
import {
  DESCRIPTOR,
  DISEMBARGO,
  LIST,
  MESSAGE,
  RESOLVE,
  RETURN,
  SEND_RESULTS_TO,
  TARGET,
  TRANSFORM,
  WORD,
} from "./layout.js";
import type { Path, WireDescriptor, WireException, WireTarget } from "./messages.js";
import { SegmentWriter } from "./writer.js";

/**
 * Messages are written into slabs, each of which goes out in as many pieces as there are flushes. A
 * busy connection gets large ones, an idle one, of which there may be thousands, keeps no more than
 * a small one.
 */
const MIN_SLAB_BYTES = 2 * 1024;
const MAX_SLAB_BYTES = 64 * 1024;

/** From this size on, a payload becomes a segment of its own, so that it need not be copied. */
const OWN_SEGMENT_BYTES = 16 * 1024;

/** Where the body of a message starts: after the root pointer and the `Message` struct. */
const BODY = 3 * WORD;

/** Longest reason of an exception that is sent, in bytes: it is meant for people. */
const MAX_REASON_BYTES = 64 * 1024;

export class MessageWriter extends SegmentWriter {
  /** Finished pieces; what is between `sent` and `end` of the slab comes after them. */
  private chunks: Uint8Array[] = [];
  private chunkBytes = 0;
  private sent = 0;
  private frameStart = 0;
  private extraSegment: Uint8Array | undefined;
  private slabBytes = MIN_SLAB_BYTES;
  /** Messages written so far. */
  count = 0;

  /** `onMessage` is called after each message. */
  constructor(private readonly onMessage: () => void) {
    super(new Uint8Array(new ArrayBuffer(MIN_SLAB_BYTES)));
  }

  /** Bytes written and not taken yet. */
  get pendingBytes(): number {
    return this.chunkBytes + (this.end - this.sent);
  }

  /**
   * Takes everything written so far. The bytes belong to the caller, and nobody changes them any
   * more.
   */
  take(): Uint8Array[] {
    this.cut();
    const { chunks } = this;
    this.chunks = [];
    this.chunkBytes = 0;
    return chunks;
  }

  bootstrap(question: number, objectId: Uint8Array): void {
    this.begin(MESSAGE.bootstrap, 1, 1);
    this.setU32(BODY, question);
    // The id is a Text of raw bytes; an empty one is left null, which older peers take as the
    // default service.
    if (objectId.byteLength > 0) this.text(BODY + WORD, objectId);
    this.finishMessage();
  }

  /**
   * Content that is still in a received message must have been checked (`FramePointer.check`).
   * `yourself`: the receiver keeps the results, for a `returnTakeFromOtherQuestion`.
   */
  call(
    question: number,
    target: WireTarget,
    interfaceHigh: number,
    interfaceLow: number,
    methodId: number,
    content: Content | FramePointer | undefined,
    capabilities: readonly WireDescriptor[],
    yourself: boolean,
  ): void {
    this.begin(MESSAGE.call, 3, 3);
    this.setU32(BODY, question);
    this.setU16(BODY + 4, methodId);
    this.setU16(BODY + 6, yourself ? SEND_RESULTS_TO.yourself : SEND_RESULTS_TO.caller);
    this.setWord(BODY + 8, interfaceLow, interfaceHigh);
    this.target(BODY + 24, target);
    this.payload(BODY + 32, content, capabilities);
    this.finishMessage();
  }

  returnResults(
    answer: number,
    content: Content | FramePointer | undefined,
    capabilities: readonly WireDescriptor[],
    noFinishNeeded: boolean,
  ): void {
    this.beginReturn(answer, RETURN.results, noFinishNeeded);
    this.payload(BODY + 16, content, capabilities);
    this.finishMessage();
  }

  returnException(answer: number, exception: WireException, noFinishNeeded: boolean): void {
    this.beginReturn(answer, RETURN.exception, noFinishNeeded);
    this.exception(BODY + 16, exception);
    this.finishMessage();
  }

  returnCanceled(answer: number): void {
    this.beginReturn(answer, RETURN.canceled, false);
    this.finishMessage();
  }

  returnResultsSentElsewhere(answer: number): void {
    this.beginReturn(answer, RETURN.resultsSentElsewhere, false);
    this.finishMessage();
  }

  returnTakeFromOtherQuestion(answer: number, question: number): void {
    this.beginReturn(answer, RETURN.takeFromOtherQuestion, false);
    this.setU32(BODY + 8, question);
    this.finishMessage();
  }

  finish(question: number, releaseResultCaps: boolean): void {
    this.begin(MESSAGE.finish, 1, 0);
    this.setU32(BODY, question);
    // Both flags default to true, so that a set bit means false. The second is
    // `requireEarlyCancellationWorkaround`.
    this.setU32(BODY + 4, (releaseResultCaps ? 0 : 1) | 2);
    this.finishMessage();
  }

  resolve(promise: number, descriptor: WireDescriptor): void {
    this.begin(MESSAGE.resolve, 1, 1);
    this.setU32(BODY, promise);
    this.setU16(BODY + 4, RESOLVE.cap);
    const at = this.struct(BODY + WORD, 1, 1);
    this.descriptor(at, descriptor);
    this.finishMessage();
  }

  resolveException(promise: number, exception: WireException): void {
    this.begin(MESSAGE.resolve, 1, 1);
    this.setU32(BODY, promise);
    this.setU16(BODY + 4, RESOLVE.exception);
    this.exception(BODY + WORD, exception);
    this.finishMessage();
  }

  release(importId: number, references: number): void {
    this.begin(MESSAGE.release, 1, 0);
    this.setWord(BODY, importId, references);
    this.finishMessage();
  }

  disembargo(target: WireTarget, context: keyof typeof DISEMBARGO, embargo: number): void {
    this.begin(MESSAGE.disembargo, 1, 2);
    this.setU32(BODY, embargo);
    this.setU16(BODY + 4, DISEMBARGO[context]);
    this.target(BODY + WORD, target);
    this.finishMessage();
  }

  /** Sends `message`, the checked root of a received message that was not understood, back. */
  unimplemented(message: FramePointer): void {
    this.begin(MESSAGE.unimplemented, 0, 0);
    copyPointer(message.frame, message.segment, message.at, this, BODY - WORD);
    this.finishMessage();
  }

  abort(exception: WireException): void {
    this.begin(MESSAGE.abort, 0, 0);
    this.exception(BODY - WORD, exception);
    this.finishMessage();
  }

  private beginReturn(answer: number, tag: number, noFinishNeeded: boolean): void {
    this.begin(MESSAGE.return, 2, 1);
    this.setU32(BODY, answer);
    // `releaseParamCaps` defaults to true: a set bit means false. We send `Release` for what params
    // held.
    this.setU16(BODY + 4, 1 | (noFinishNeeded ? 2 : 0));
    this.setU16(BODY + 6, tag);
  }

  /** Starts a message with a body of this size, which is at `BODY`. */
  private begin(tag: number, dataWords: number, pointers: number): void {
    this.frameStart = this.end;
    // A header for one segment; `payload` makes it larger if it must.
    this.base = this.frameStart + WORD;
    if (this.base > this.bytes.byteLength - WORD) this.grow(WORD);
    this.end = this.base;
    this.alloc(BODY + (dataWords + pointers) * WORD);
    this.setWord(0, 0, 1 | (1 << 16));
    this.setU16(WORD, tag);
    this.setWord(2 * WORD, 0, dataWords | (pointers << 16));
  }

  private finishMessage(): void {
    const words = (this.end - this.base) / WORD;
    const { extraSegment } = this;
    if (extraSegment === undefined) {
      this.view.setUint32(this.frameStart + 4, words, true);
    } else {
      this.finishWithSegment(words, extraSegment);
    }
    this.count++;
    this.onMessage();
  }

  /** A header for two segments is a word longer: the message makes room for it by moving. */
  private finishWithSegment(words: number, extra: Uint8Array): void {
    const used = this.end - this.base;
    if (this.end + WORD > this.bytes.byteLength) this.grow(WORD);
    this.bytes.copyWithin(this.base + WORD, this.base, this.base + used);
    this.end += WORD;
    this.view.setUint32(this.frameStart, 1, true);
    this.view.setUint32(this.frameStart + 4, words, true);
    this.view.setUint32(this.frameStart + 8, extra.byteLength / WORD, true);
    this.view.setUint32(this.frameStart + 12, 0, true);
    this.extraSegment = undefined;
    this.cut();
    this.chunks.push(extra);
    this.chunkBytes += extra.byteLength;
  }

  private struct(pointer: number, dataWords: number, pointers: number): number {
    const at = this.alloc((dataWords + pointers) * WORD);
    this.setStruct(pointer, at, dataWords, pointers);
    return at;
  }

  private target(pointer: number, target: WireTarget): void {
    const at = this.struct(pointer, 1, 1);
    if (target.kind === "export") {
      this.setU32(at, target.id);
    } else {
      this.setU16(at + 4, TARGET.promisedAnswer);
      this.promisedAnswer(at + WORD, target.id, target.path);
    }
  }

  private promisedAnswer(pointer: number, question: number, path: Path): void {
    const at = this.struct(pointer, 1, 1);
    this.setU32(at, question);
    if (path.length === 0) return;
    const tag = this.alloc((1 + path.length) * WORD);
    this.setList(at + WORD, tag, LIST.composite, path.length);
    this.setWord(tag, path.length << 2, 1);
    for (let i = 0; i < path.length; i++) {
      this.setWord(tag + (1 + i) * WORD, TRANSFORM.getPointerField | (path[i]! << 16), 0);
    }
  }

  private payload(
    pointer: number,
    content: Content | FramePointer | undefined,
    capabilities: readonly WireDescriptor[],
  ): void {
    const at = this.struct(pointer, 0, 2);
    if (content === undefined) {
      // Nothing to write: the pointer stays null.
    } else if (content instanceof FramePointer) {
      this.reserve(content.byteLength);
      copyPointer(content.frame, content.segment, content.at, this, at);
    } else if (content.byteLength >= OWN_SEGMENT_BYTES) {
      // A far pointer to the first word of segment 1, which is the content's own pointer and serves
      // as the landing pad.
      this.setWord(at, 2, 1);
      this.extraSegment = new Uint8Array(content.buffer, 0, content.byteLength);
    } else {
      content.copyInto(this, at);
    }
    if (capabilities.length > 0) this.capabilityTable(at + WORD, capabilities);
  }

  private capabilityTable(pointer: number, capabilities: readonly WireDescriptor[]): void {
    const words = 2 * capabilities.length;
    const tag = this.alloc((1 + words) * WORD);
    this.setList(pointer, tag, LIST.composite, words);
    this.setWord(tag, capabilities.length << 2, 1 | (1 << 16));
    for (let i = 0; i < capabilities.length; i++) {
      this.descriptor(tag + WORD + i * 2 * WORD, capabilities[i]!);
    }
  }

  private descriptor(at: number, descriptor: WireDescriptor): void {
    this.setU16(at, descriptor.tag);
    if (descriptor.tag === DESCRIPTOR.receiverAnswer) {
      this.promisedAnswer(at + WORD, descriptor.id, descriptor.path);
    } else {
      this.setU32(at + 4, descriptor.id);
    }
  }

  private exception(pointer: number, exception: WireException): void {
    const at = this.struct(pointer, 1, 2);
    this.setU16(at + 4, ERROR_KINDS.indexOf(exception.kind));
    this.text(at + WORD, Buffer.from(exception.reason).subarray(0, MAX_REASON_BYTES));
  }

  /** A `Text` of these bytes; its NUL is the zero behind them. */
  private text(pointer: number, bytes: Uint8Array): void {
    const length = bytes.byteLength + 1;
    const at = this.alloc((length + WORD - 1) & -WORD);
    this.setList(pointer, at, LIST.byte, length);
    this.setBytes(at, bytes);
  }

  /** Makes room for `bytes` in one step. */
  private reserve(bytes: number): void {
    if (this.end + bytes > this.bytes.byteLength) this.grow(bytes);
  }

  /**
   * Moves what is written of this message to the start of a new slab; finished messages stay behind
   * as a chunk.
   */
  protected override grow(bytes: number): void {
    const used = this.end - this.frameStart;
    const header = this.base - this.frameStart;
    this.adaptSlab();
    const { slabBytes } = this;
    const slab = new Uint8Array(new ArrayBuffer((used + bytes + slabBytes - 1) & -slabBytes));
    slab.set(this.bytes.subarray(this.frameStart, this.end));
    this.end = this.frameStart;
    this.cut();
    this.replace(slab, header, used);
    this.frameStart = 0;
    this.sent = 0;
  }

  /** Sees to it that a slab lasts for some flushes of the present size. */
  private adaptSlab(): void {
    const { pendingBytes, slabBytes } = this;
    if (pendingBytes > slabBytes / 2) this.slabBytes = Math.min(2 * slabBytes, MAX_SLAB_BYTES);
    else if (pendingBytes < slabBytes / 16)
      this.slabBytes = Math.max(slabBytes / 2, MIN_SLAB_BYTES);
  }

  /** Makes a chunk of the finished messages in the slab. */
  private cut(): void {
    if (this.end === this.sent) return;
    this.chunks.push(this.bytes.subarray(this.sent, this.end));
    this.chunkBytes += this.end - this.sent;
    this.sent = this.end;
  }
}
