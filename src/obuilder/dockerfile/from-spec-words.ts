/*
 * How words are written in a Dockerfile, so that Docker's parser reads what they are: blanks,
 * quotes, variables and patterns in them mean themselves.
 */

import { quoted } from "../../text/index.js";

/**
 * The spec has no counterpart in a Dockerfile, or none in this style; the message says what can be
 * done.
 */
export class UnwritableSpec extends Error {
  override readonly name = "UnwritableSpec";
}

/** The character that takes the meaning of the one behind it. */
export type Escape = "\\" | "`";

/**
 * One line of text. Throws `UnwritableSpec` for what has more, or is no text: no quotes help
 * against that.
 */
export function oneLine(what: string, text: string): string {
  if (/[\n\0]/.test(text)) {
    throw new UnwritableSpec(
      `The ${what} ${quoted(text)} has a line break in it, which a Dockerfile cannot say`,
    );
  }
  return readable(text);
}

/** The rest of a line that is one word, as WORKDIR and USER have it. */
export function lineWord(what: string, text: string, escapeWith: Escape): string {
  oneLine(what, text);
  const needsQuotes = text === "" || text.trim() !== text || text.startsWith("--");
  return needsQuotes ? quotedWord(text, escapeWith) : escaped(text, escapeWith, `"'$`);
}

/** A word in double quotes. */
export function quotedWord(text: string, escapeWith: Escape): string {
  return `"${escaped(readable(text), escapeWith, '"$')}"`;
}

/** A variable's name: as it is, if it is a usual one. */
export function variableName(name: string, escapeWith: Escape): string {
  oneLine("variable", name);
  if (name === "") throw new UnwritableSpec("A variable without a name cannot be written");
  return /^[\w.-]+$/.test(name) ? name : quotedWord(name, escapeWith);
}

/** `[ "a", "b" ]`: words as JSON, which Docker does not look into. */
export function jsonWords(words: readonly string[]): string {
  return `[ ${words.map((word) => JSON.stringify(readable(word))).join(", ")} ]`;
}

/** The paths of a COPY, of which the last is the destination. */
export function copyPaths(src: readonly string[], dst: string, escapeWith: Escape): string {
  const words = [
    ...src.map((path) => escaped(literalPattern(path, escapeWith), escapeWith, `"'$`)),
    escaped(dst, escapeWith, `"'$`),
  ];
  const isPlain = [...src, dst].every((path) => /^[^\s"'<]+$/.test(path));
  if (isPlain && !/^(?:\[|--)/.test(words[0]!)) {
    return readable(words.join(" "));
  }
  return jsonWords(words);
}

/**
 * An image's name stands without quotes, and other things could follow it. Throws `UnwritableSpec`.
 */
export function imageWord(image: string): string {
  if (/^(?!--)[^\s"'\\`$]+$/.test(image)) return image;
  throw new UnwritableSpec(`${quoted(image)} is no name of an image`);
}

/** A value of an option of `--mount`: a field of CSV, in a flag. Throws `UnwritableSpec`. */
export function mountOption(key: string, value: string): string {
  const text = oneLine("mount option", `${key}=${value}`);
  if (text.includes("$")) {
    throw new UnwritableSpec(
      `The mount option ${quoted(text)} has a $, which Docker versions read in ways of their own`,
    );
  }
  const field = /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  // Flags have the backslash whatever the rest has.
  return field.replace(/[\s"'\\]/g, "\\$&");
}

function escaped(text: string, escapeWith: Escape, special: string): string {
  let out = "";
  for (const c of text) out += c === escapeWith || special.includes(c) ? escapeWith + c : c;
  return out;
}

/** The pattern that matches just this path. On Windows no name has such characters. */
function literalPattern(path: string, escapeWith: Escape): string {
  if (escapeWith === "`" || !/[*?[]/.test(path)) return path;
  return path.replace(/[*?[]/g, "[$&]").replaceAll("\\", "\\\\");
}

/** Throws `UnwritableSpec` for a byte string that is no text: Docker would read something else. */
function readable(text: string): string {
  if (!/\p{Surrogate}/u.test(text)) return text;
  throw new UnwritableSpec(`${quoted(text)} is not UTF-8, as all in a Dockerfile must be`);
}
