/** A payload keeps what it says when it is passed on. */
import { expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../src/rpc/index.js";
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
