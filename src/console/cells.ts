/**
 * How wide texts are on a terminal, in columns: most characters take one, those of East Asian
 * scripts and pictures two, marks on others none. Terminals differ about some of them; a name that
 * is measured wrongly is no worse than a column that is not straight.
 */

const NARROW = /^[\u0020-\u02ff]*$/;
const NONE = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]$/u;

/** The columns that a text without control characters takes. */
export function widthOfText(text: string): number {
  if (NARROW.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOfCharacter(character);
  return width;
}

/** As much of the beginning as fits. */
export function clipText(text: string, width: number): string {
  if (widthOfText(text) <= width) return text;
  let clipped = "";
  let taken = 0;
  for (const character of text) {
    taken += widthOfCharacter(character);
    if (taken > width) break;
    clipped += character;
  }
  return clipped;
}

function widthOfCharacter(character: string): number {
  if (WIDE.test(character)) return 2;
  return NONE.test(character) ? 0 : 1;
}
