/**
 * How a value is written where it is to stand, so that whoever reads the whole finds exactly the
 * value there. Values and results are bytes, a character for each (Latin-1): what is not ASCII
 * passes as it is.
 */

/** Between the quotes of an atom of an S-expression. */
export function inAtom(value: string): string {
  return NEEDS_ATOM_ESCAPE.test(value) ? value.replace(ATOM_ESCAPES, atomEscape) : value;
}

// Bytes beyond ASCII stand for themselves between quotes.
const NEEDS_ATOM_ESCAPE = /[^ -~\x80-\xff]|["\\]/;
const ATOM_ESCAPES = /[^ -~\x80-\xff]|["\\]/g;

function atomEscape(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  return `\\${character.charCodeAt(0).toString().padStart(3, "0")}`;
}

/**
 * A word of its own for the shell. No shell takes a NUL: rows with one are refused before it comes
 * to this.
 */
export function shellWord(value: string): string {
  return `'${inSingleQuotes(value)}'`;
}

/** Between single quotes of the shell, which are left for each quote in the value. */
export function inSingleQuotes(value: string): string {
  return value.includes("'") ? value.replaceAll("'", "'\\''") : value;
}

/** Between double quotes of the shell. */
export function inDoubleQuotes(value: string): string {
  return value.replace(/["$\\`]/g, "\\$&");
}
