/**
 * Text of strangers on terminals: nothing of it moves the cursor or turns writing around, whichever
 * way it takes.
 */
import { describe, expect, it, test } from "vitest";
import { formatEntry } from "../../src/console/log.js";
import { visible, visibleJson, visibleLines } from "../../src/text/visible.js";

/** Every bidirectional control there is (Unicode 15, property Bidi_Control). */
const BIDI = [0x61c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e]
  .concat([0x2066, 0x2067, 0x2068, 0x2069])
  .map((code) => String.fromCodePoint(code));

/** C0, DEL and C1, lines of Unicode, and half a character. */
const OTHERS = ["\0", "\x07", "\b", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029"];

describe.each([...BIDI, ...OTHERS, "\ud800"].map((text) => [codePoint(text), text]))(
  "%s",
  (_, text) => {
    it("is written out in a name", () => {
      expect(visible(`a${text}b`)).toMatch(/^a\\(x[0-9a-f]{2}|u\{[0-9a-f]+\})b$/);
    });

    it("is written out in lines", () => {
      expect(visibleLines(`a\t${text}\nb`)).toMatch(/^a\t\\[xu{}0-9a-f]+\nb$/);
    });

    it("is an escape in JSON, which means the same", () => {
      const json = visibleJson({ name: text });
      expect(json).toMatch(/^[ -~]*$/);
      expect(JSON.parse(json)).toEqual({ name: text });
    });

    it("is written out in log entries", () => {
      const entry = formatEntry(new Date(0), "info", "worker", `job ${text}!`);
      expect(entry).not.toContain(text);
      expect(entry).toMatch(/ job \\[xu{}0-9a-f]+!$/);
    });
  },
);

test("writing itself stays, whatever its direction", () => {
  for (const text of ["größer", "שלום", "مرحبا", "日本語", "🐫"]) expect(visible(text)).toBe(text);
});

function codePoint(text: string): string {
  return `U+${text.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
}
