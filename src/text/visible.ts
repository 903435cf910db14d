/**
 * Text from elsewhere on a terminal of ours.
 */

/** Control and format characters (which move the cursor, or turn writing around), line ends, and what is no character. */
export const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** The text with whatever could act on a terminal written out, `\x1b` or `\u{202e}`: names come from the network. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (character) => {
    const code = character.codePointAt(0)!;
    const hex = code.toString(16).padStart(2, "0");
    return code < 0x100 ? `\\x${hex}` : `\\u{${hex}}`;
  });
}
