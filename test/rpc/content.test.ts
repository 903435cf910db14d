/** A payload keeps what it says when it is passed on. */
import { expect, test } from "vitest";
import { NULL_HOOK } from "../../src/rpc/capability/broken.js";
import { Detached } from "../../src/rpc/capability/detached.js";
import { DEFAULT_LIMITS, detachedFromBytes } from "../../src/rpc/index.js";
import { Payload } from "../../src/rpc/payload/payload.js";
import { Content, FramePointer } from "../../src/rpc/wire/content.js";
import { FrameReader } from "../../src/rpc/wire/reader.js";
import { SegmentWriter } from "../../src/rpc/wire/writer.js";

/** The copy of a message of one segment, as hexadecimal words. */
function copied(...words: readonly bigint[]): string[] {
  const frame = new FrameReader(DEFAULT_LIMITS);
  frame.resetToSegment(new Uint8Array(new BigUint64Array(words).buffer));
  const content = new FramePointer(frame, 0, 0).check().toContent();
  if (content === undefined) return [];
  return wordsOf(new Uint8Array(content.buffer, 0, content.byteLength));
}

function wordsOf(bytes: Uint8Array): string[] {
  const words = new BigUint64Array(bytes.slice().buffer);
  return Array.from(words, (word) => word.toString(16));
}

/** A pointer to a struct without content, which is not the null pointer. */
const EMPTY_STRUCT = 0xffff_fffcn;

test("a struct without content does not become null", () => {
  expect(copied(EMPTY_STRUCT)).toEqual(["fffffffc"]);
  const onePointer = 1n << 48n;
  expect(copied(onePointer, EMPTY_STRUCT)).toEqual(["1000000000000", "fffffffc"]);
  expect(copied(onePointer, 0n)).toEqual(["1000000000000", "0"]);
});

test.each([0, 8, 16])("… also %i bytes away from its pointer", (gap) => {
  const empty = new Content(new BigUint64Array([EMPTY_STRUCT]).buffer, 8);
  const writer = SegmentWriter.withCapacity(64);
  const at = writer.alloc(8);
  writer.alloc(gap);
  empty.copyInto(writer, at);
  expect(wordsOf(writer.bytes.slice(at, at + 8))).toEqual(["fffffffc"]);
});

test("content is kept as bytes, and made of them again", () => {
  const words = new BigUint64Array([0x1_0000_0000n, 42n]);
  const bytes = new Uint8Array(words.buffer);
  using kept = detachedFromBytes(bytes);
  bytes.fill(0, 8);
  expect(wordsOf(kept.toBytes())).toEqual(["100000000", "2a"]);
  using nothing = detachedFromBytes(new Uint8Array(0));
  expect(nothing.toBytes()).toHaveLength(0);
});

test("bytes that are no content are refused", () => {
  expect(() => detachedFromBytes(new Uint8Array(7))).toThrow("a part of a word");
  const beyond = new Uint8Array(new BigUint64Array([0x9_0000_0000n]).buffer);
  expect(() => detachedFromBytes(beyond)).toThrow();
});

test("content with references to objects is not kept as bytes", () => {
  const capability = 3n;
  const words = new BigUint64Array([capability]);
  const content = new Content(words.buffer, 8);
  using pointer = new Detached(new Payload(content, [NULL_HOOK]));
  expect(() => pointer.toBytes()).toThrow("references to objects");
});
