/*
 * How atoms are quoted, and the same escapes for the `"…"` in messages: OCaml's, byte by byte.
 * The result is always ASCII.
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

/** The text as between quotes: `\"`, `\\`, `\n`, `\t`, `\b`, `\r`, other unprintable bytes `\DDD`. */
export function escaped(text: string): string {
  if (!MUST_ESCAPE.test(text)) return text;
  let out = "";
  for (const byte of toBytes(text)) {
    if (byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c) {
      out += String.fromCharCode(byte);
    } else {
      out += SHORT_ESCAPES.get(byte) ?? `\\${byte.toString().padStart(3, "0")}`;
    }
  }
  return out;
}

/** The text in quotes, with escapes. */
export function quoted(text: string): string {
  return `"${escaped(text)}"`;
}
