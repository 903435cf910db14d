/**
 * Text from elsewhere on a terminal of ours: names, hints and messages that come from the network.
 *
 * Control characters move the cursor. Bidirectional controls (U+061C, U+200E, U+200F, U+202A to
 * U+202E, U+2066 to U+2069) turn writing around, so that a name reads as another one. Neither gets
 * there as it is.
 */

/**
 * Control and format characters, bidirectional ones among them, line ends, and what is no
 * character.
 */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** The text, of one line, with whatever could act on a terminal written out: `\x1b`, `\u{202e}`. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, writtenOut);
}

/** The same for text of several lines: newlines and tabs stay. */
export function visibleLines(text: string): string {
  return text.replace(INVISIBLE, (character) =>
    character === "\n" || character === "\t" ? character : writtenOut(character),
  );
}

/** A value as JSON of one line, which says the same with JSON's own escapes. */
export function visibleJson(value: unknown): string {
  return JSON.stringify(value).replace(INVISIBLE, (character) =>
    // JSON's escapes are of UTF-16 code units.
    Array.from({ length: character.length }, (_, i) => {
      const code = character.charCodeAt(i);
      return `\\u${code.toString(16).padStart(4, "0")}`;
    }).join(""),
  );
}

function writtenOut(character: string): string {
  const code = character.codePointAt(0)!;
  const hex = code.toString(16).padStart(2, "0");
  return code < 0x100 ? `\\x${hex}` : `\\u{${hex}}`;
}
