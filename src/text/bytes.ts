/*
 * Byte strings. Everything in a spec, in an image's environment and in a file name is a sequence
 * of bytes and takes part in layer ids as such, yet programs want to handle it as text. So a byte
 * string is kept as a JavaScript string: valid UTF-8 is decoded as usual, and a byte that is part
 * of no valid sequence becomes the lone surrogate U+DC00 + byte (U+DC80..U+DCFF), as in Python's
 * PEP 383. Such strings compare, print and serialise as expected, and turn back into exactly the
 * bytes they came from.
 *
 * Functions that hand a string to the operating system (paths, argv) must pass `toBytes(s)` where
 * it takes a Buffer; elsewhere an escaped byte arrives as U+FFFD.
 */

import { isUtf8 } from "node:buffer";

const ESCAPED = /[\udc80-\udcff]/;
const ESCAPE_BASE = 0xdc00;

/** The byte string that holds exactly these bytes. */
export function fromBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isUtf8(buffer)) return buffer.toString("utf8");
  const parts: string[] = [];
  let start = 0; // of the run of valid sequences that ends at `i`
  for (let i = 0; i < buffer.length; ) {
    const length = sequenceLength(buffer, i);
    if (length > 0) {
      i += length;
      continue;
    }
    if (start < i) parts.push(buffer.toString("utf8", start, i));
    parts.push(String.fromCharCode(ESCAPE_BASE + buffer[i]!));
    start = ++i;
  }
  parts.push(buffer.toString("utf8", start));
  return parts.join("");
}

/**
 * The bytes of a byte string. Other lone surrogates, which `fromBytes` never makes, become U+FFFD.
 */
export function toBytes(text: string): Buffer {
  if (!ESCAPED.test(text)) return Buffer.from(text, "utf8");
  const bytes = Buffer.allocUnsafe(3 * text.length); // no unit takes more
  let length = 0;
  let start = 0; // of the run without escapes that ends at `i`
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff) {
      const next = text.charCodeAt(i + 1);
      if (next >= 0xdc00 && next <= 0xdfff) i++; // an ordinary pair, not an escape
    } else if (unit >= 0xdc80 && unit <= 0xdcff) {
      if (start < i) length += bytes.write(text.slice(start, i), length, "utf8");
      bytes[length++] = unit - ESCAPE_BASE;
      start = i + 1;
    }
  }
  length += bytes.write(text.slice(start), length, "utf8");
  return Buffer.from(bytes.subarray(0, length)); // the rest is not kept
}

/** Length in bytes. */
export function byteLength(text: string): number {
  return ESCAPED.test(text) ? toBytes(text).length : Buffer.byteLength(text, "utf8");
}

/** Orders byte strings by their bytes, which is not the order of UTF-16 units. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(toBytes(a), toBytes(b));
}

/** Length of the well-formed UTF-8 sequence at `i`, or 0 (Unicode 15, table 3-7). */
function sequenceLength(b: Buffer, i: number): number {
  const lead = b[i]!;
  if (lead < 0x80) return 1;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  return i + length <= b.length && isUtf8(b.subarray(i, i + length)) ? length : 0;
}
