/**
 * Compiled templates: text in pieces, with slots for values between them. All that has to be
 * understood of a template (the language that it is written in, quotes around a placeholder) was
 * understood when it was compiled. To expand one is to put pieces and values together: quick, and
 * whatever pieces somebody makes up by hand, the result is some text that they could have written
 * themselves.
 *
 * Pieces, values and expansions are bytes, a character for each (Latin-1).
 */
import { inAtom, inDoubleQuotes, inSingleQuotes, shellWord } from "./escapes.js";

/**
 * How a value is written in its slot:
 *
 * - `plain`: as it is
 * - `word`: as a word for the shell
 * - `atom`: between the quotes of an atom of an S-expression; also the following
 * - `atom word`: as a word for the shell, in an atom
 * - `atom single`, `atom double`: within single or double quotes of the shell, in an atom
 */
export type Escape = "plain" | "word" | "atom" | "atom word" | "atom single" | "atom double";

/** In the order of their numbers on the wire. New ones go to the end. */
export const ESCAPES: readonly Escape[] = [
  "plain",
  "word",
  "atom",
  "atom word",
  "atom single",
  "atom double",
];

export interface Slot {
  /** Which of a row's values, from 0. */
  readonly column: number;
  readonly escape: Escape;
}

export type Piece = string | Slot;

export type Template = readonly Piece[];

const WRITERS: Readonly<Record<Escape, (value: string) => string>> = {
  plain: (value) => value,
  word: shellWord,
  atom: inAtom,
  "atom word": (value) => inAtom(shellWord(value)),
  "atom single": (value) => inAtom(inSingleQuotes(value)),
  "atom double": (value) => inAtom(inDoubleQuotes(value)),
};

/**
 * The text with a row's values in the slots. Throws a `RangeError` that says so if it would have
 * more than `limit` bytes, however many slots there are, or if there is no such value.
 */
export function expand(template: Template, values: readonly string[], limit: number): string {
  let text = "";
  for (const piece of template) {
    if (typeof piece === "string") {
      text += piece;
    } else {
      const value = values[piece.column];
      if (value === undefined) throw new RangeError(`There is no value number ${piece.column + 1}`);
      if (value.length > limit) throw tooLong(limit);
      text += WRITERS[piece.escape](value);
    }
    if (text.length > limit) throw tooLong(limit);
  }
  return text;
}

function tooLong(limit: number): RangeError {
  return new RangeError(`The expansion has more than ${limit} bytes`);
}
