/**
 * Checks and copies whatever a pointer of a received message leads to, without knowing its schema.
 * The copy is compact, has no far pointers, and is well-formed whatever the source was: this is the
 * one gate through which foreign bytes come in. Capability pointers keep their numbers, unless the
 * writer maps them.
 */
import { LIST, POINTER, WORD } from "./layout.js";
import { type FrameReader, WireError } from "./reader.js";
import type { SegmentWriter } from "./writer.js";

/**
 * Follows everything under the pointer at byte position `at` of `segment`. Returns how many bytes
 * its copy needs. Throws `WireError` when it is malformed, nested too deep, or overlaps itself.
 * `depth`: pointers followed so far.
 */
export function measurePointer(
  frame: FrameReader,
  segment: number,
  at: number,
  depth: number,
): number {
  frame.follow(segment, at);
  if (frame.kind === -1 || frame.kind === POINTER.other) return 0;
  if (depth >= frame.limits.nesting) throw new WireError("the payload is nested too deep");
  const { kind, elementSize, length, dataBytes, pointerCount } = frame;
  const content = frame.at;
  segment = frame.segment;
  if (kind === POINTER.struct) {
    const own = dataBytes + pointerCount * WORD;
    frame.spend(own, 0);
    return own + measurePointers(frame, segment, content + dataBytes, pointerCount, depth);
  }
  if (elementSize !== LIST.composite) {
    frame.spend(dataBytes, elementSize === LIST.void ? length : 0);
    if (elementSize !== LIST.pointer) return dataBytes;
    return dataBytes + measurePointers(frame, segment, content, length, depth);
  }
  const elementBytes = dataBytes + pointerCount * WORD;
  let bytes = WORD + length * elementBytes;
  frame.spend(bytes, elementBytes === 0 ? length : 0);
  if (pointerCount > 0) {
    for (let i = 0; i < length; i++) {
      const pointers = content + i * elementBytes + dataBytes;
      bytes += measurePointers(frame, segment, pointers, pointerCount, depth);
    }
  }
  return bytes;
}

function measurePointers(
  frame: FrameReader,
  segment: number,
  at: number,
  count: number,
  depth: number,
): number {
  frame.spendPointers(count);
  let bytes = 0;
  for (let i = 0; i < count; i++) bytes += measurePointer(frame, segment, at + i * WORD, depth + 1);
  return bytes;
}

/** Copies what `measurePointer` has accepted to position `to` of `writer`. */
export function copyPointer(
  frame: FrameReader,
  segment: number,
  from: number,
  writer: SegmentWriter,
  to: number,
): void {
  frame.follow(segment, from);
  switch (frame.kind) {
    case -1:
      return;
    case POINTER.other:
      writer.setWord(to, POINTER.other, writer.mapCapability?.(frame.length) ?? frame.length);
      return;
    case POINTER.struct: {
      const { at, dataBytes, pointerCount } = frame;
      const target = writer.alloc(dataBytes + pointerCount * WORD);
      writer.setStruct(to, target, dataBytes / WORD, pointerCount);
      copyStruct(frame, frame.segment, at, dataBytes, pointerCount, writer, target);
      return;
    }
    default:
      copyList(frame, writer, to);
  }
}

function copyStruct(
  frame: FrameReader,
  segment: number,
  from: number,
  dataBytes: number,
  pointerCount: number,
  writer: SegmentWriter,
  to: number,
): void {
  copyBytes(frame, from, dataBytes, writer, to);
  for (let i = 0; i < pointerCount; i++) {
    const offset = dataBytes + i * WORD;
    copyPointer(frame, segment, from + offset, writer, to + offset);
  }
}

/** The list that `frame.follow` has just found. */
function copyList(frame: FrameReader, writer: SegmentWriter, to: number): void {
  const { segment, at, elementSize, length, dataBytes, pointerCount } = frame;
  if (elementSize !== LIST.composite) {
    const target = writer.alloc(dataBytes);
    writer.setList(to, target, elementSize, length);
    if (elementSize !== LIST.pointer) {
      copyBytes(frame, at, dataBytes, writer, target);
      return;
    }
    for (let i = 0; i < length; i++) {
      copyPointer(frame, segment, at + i * WORD, writer, target + i * WORD);
    }
    return;
  }
  const elementBytes = dataBytes + pointerCount * WORD;
  const contentBytes = length * elementBytes;
  const tag = writer.alloc(WORD + contentBytes);
  writer.setList(to, tag, LIST.composite, contentBytes / WORD);
  writer.setWord(tag, length << 2, (dataBytes / WORD) | (pointerCount << 16));
  if (pointerCount === 0) {
    copyBytes(frame, at, contentBytes, writer, tag + WORD);
    return;
  }
  for (let i = 0; i < length; i++) {
    const offset = i * elementBytes;
    copyStruct(frame, segment, at + offset, dataBytes, pointerCount, writer, tag + WORD + offset);
  }
}

/**
 * Longest run of bytes that is copied word by word: a native copy has a cost of its own to start.
 */
const SHORT_COPY_BYTES = 64;

function copyBytes(
  frame: FrameReader,
  from: number,
  bytes: number,
  writer: SegmentWriter,
  to: number,
): void {
  if (bytes > SHORT_COPY_BYTES) {
    writer.setBytes(to, frame.bytes.subarray(from, from + bytes));
    return;
  }
  const { view } = frame;
  for (let i = 0; i < bytes; i += WORD) {
    writer.setWord(to + i, view.getUint32(from + i, true), view.getUint32(from + i + 4, true));
  }
}
