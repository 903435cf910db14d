/*
 * How atoms are quoted, and the same escapes for the `"…"` in messages: OCaml's, byte by byte. The
 * result is always ASCII, and can be read back. For text that is shown without quotes, see
 * visible.ts.
 */

import { toBytes } from "./bytes.js";

// Characters that need quotes: blank and control, DEL and all beyond ASCII, the reader's own, and
// the two marks of block comments.
const MUST_QUOTE = /[^!-~]|["();\\]|#\||\|#/;
const MUST_ESCAPE = /[^ -~]|["\\]/;

const SHORT_ESCAPES = new Map([
  [0x08, "\\b"],
  [0x09, "\\t"],
  [0x0a, "\\n"],
  [0x0d, "\\r"],
  [0x22, '\\"'],
  [0x5c, "\\\\"],
]);

/** Whether an atom cannot be written bare. */
export function mustQuote(text: string): boolean {
  return text === "" || MUST_QUOTE.test(text);
}

/**
 * The text as between quotes: `\"`, `\\`, `\n`, `\t`, `\b`, `\r`, other unprintable bytes `\DDD`.
 */
export function escaped(text: string): string {
  if (!MUST_ESCAPE.test(text)) return text;
  const bytes = toBytes(text);
  const out = Buffer.allocUnsafe(MAX_ESCAPE * bytes.length);
  let length = 0;
  for (const byte of bytes) {
    const meant = ESCAPES[byte]!;
    // A loop, as a call for a few bytes takes longer than all of them.
    for (let i = 0; i < meant.length; i++) out[length++] = meant[i]!;
  }
  return out.toString("latin1", 0, length);
}

/** What stands for each byte between quotes. */
const ESCAPES = Array.from({ length: 256 }, (_, byte) => {
  const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
  if (isPlain) return Uint8Array.of(byte);
  return Buffer.from(SHORT_ESCAPES.get(byte) ?? `\\${byte.toString().padStart(3, "0")}`);
});

/** Characters in the longest of them. */
const MAX_ESCAPE = 4;

/** The text in quotes, with escapes. */
export function quoted(text: string): string {
  return `"${escaped(text)}"`;
}
