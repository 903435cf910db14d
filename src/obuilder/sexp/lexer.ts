/*
 * The extents of atoms and block comments in a text, and what the escapes in quoted atoms mean.
 */

import { SexpError } from "./errors.js";

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const HASH = 0x23;
const ZERO = 0x30;
const BACKSLASH = 0x5c;
const LOWER_X = 0x78;
const BAR = 0x7c;

const ENDS_BARE = new Set(Buffer.from(' \t\n\f\r()";'));

/** The offset of what ends the bare atom at `start`, or `end`. */
export function endOfBare(text: Buffer, start: number, end: number): number {
  for (let pos = start; pos < end; pos++) {
    const byte = text[pos]!;
    if (ENDS_BARE.has(byte)) return pos;
    if (pos === start || (byte !== HASH && byte !== BAR)) continue;
    if (text[pos - 1] !== (byte === HASH ? BAR : HASH)) continue;
    if (byte === HASH && pos === start + 1) {
      throw new SexpError("Failure", "illegal end of comment", { at: start });
    }
    throw new SexpError("Parse_error", "comment tokens in unquoted atom", { at: pos });
  }
  return end;
}

/** The offset behind the `|#` for the `#|` before `start`; undefined if there is none. */
export function endOfBlockComment(text: Buffer, start: number, end: number): number | undefined {
  let depth = 1;
  let pos = start;
  while (pos < end) {
    const byte = text[pos]!;
    const next = pos + 1 < end ? text[pos + 1] : undefined;
    if (byte === QUOTE) {
      const behind = endOfQuoted(text, pos + 1, end);
      if (behind === undefined) return undefined;
      pos = behind;
    } else if (byte === BAR && next === HASH) {
      pos += 2;
      if (--depth === 0) return pos;
    } else if (byte === HASH && next === BAR) {
      pos += 2;
      depth++;
    } else {
      pos++;
    }
  }
  return undefined;
}

/** The offset behind the quote that matches the one before `start`; undefined if there is none. */
export function endOfQuoted(text: Buffer, start: number, end: number): number | undefined {
  let pos = start;
  while (pos < end) {
    const byte = text[pos++];
    if (byte === QUOTE) return pos;
    if (byte !== BACKSLASH || pos === end) continue;
    const code = text[pos]!;
    if (isDecimal(code)) pos = endOfDecimal(text, pos, end);
    else if (code === LOWER_X) pos = endOfHexadecimal(text, pos + 1, end);
    else if (code !== CR) pos++; // what follows `\` CR is read as if they were not there
  }
  return undefined;
}

function endOfDecimal(text: Buffer, start: number, end: number): number {
  let value = 0;
  for (let pos = start; pos < start + 3; pos++) {
    if (pos === end) return end;
    const byte = text[pos]!;
    if (!isDecimal(byte)) {
      throw new SexpError("Parse_error", "unterminated decimal escape sequence", { at: pos });
    }
    value = value * 10 + byte - ZERO;
    if (value > 255) {
      const message = "escape sequence in quoted string out of range";
      throw new SexpError("Parse_error", message, { at: pos });
    }
  }
  return start + 3;
}

function endOfHexadecimal(text: Buffer, start: number, end: number): number {
  for (let pos = start; pos < start + 2; pos++) {
    if (pos === end) return end;
    if (hexDigit(text[pos]!) === undefined) {
      throw new SexpError("Parse_error", "unterminated hexadecimal escape sequence", { at: pos });
    }
  }
  return start + 2;
}

const ESCAPED = new Map<number, number>(
  Object.entries({ n: "\n", t: "\t", b: "\b", r: "\r", "\\": "\\", "'": "'", '"': '"' }).map(
    ([letter, meant]) => [letter.charCodeAt(0), meant.charCodeAt(0)],
  ),
);

/** The bytes meant by what stands between two quotes, of which `endOfQuoted` has approved. */
export function decodeQuoted(text: Buffer, start: number, end: number): Buffer {
  if (text.subarray(start, end).indexOf(BACKSLASH) < 0) return text.subarray(start, end);
  const out = Buffer.allocUnsafe(end - start); // escapes only get shorter
  let length = 0;
  let pos = start;
  while (pos < end) {
    const byte = text[pos++]!;
    if (byte !== BACKSLASH) {
      out[length++] = byte;
      continue;
    }
    const code = text[pos++]!;
    const meant = ESCAPED.get(code);
    if (meant !== undefined) {
      out[length++] = meant;
    } else if (isDecimal(code)) {
      out[length++] = Number(text.toString("latin1", pos - 1, pos + 2));
      pos += 2;
    } else if (code === LOWER_X) {
      out[length++] = hexDigit(text[pos]!)! * 16 + hexDigit(text[pos + 1]!)!;
      pos += 2;
    } else if (code === LF || (code === CR && text[pos] === LF)) {
      if (code === CR) pos++;
      while (pos < end && (text[pos] === SPACE || text[pos] === TAB)) pos++;
    } else if (code === CR) {
      out[length++] = CR;
    } else {
      out[length++] = BACKSLASH;
      out[length++] = code;
    }
  }
  return out.subarray(0, length);
}

function isDecimal(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9;
}

function hexDigit(byte: number): number | undefined {
  const digit = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(digit) ? undefined : digit;
}
