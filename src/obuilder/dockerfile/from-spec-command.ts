/*
 * The command of a RUN. The reference joins its lines with the escape character, so the shell gets
 * one line; that is kept where the shell takes both alike.
 */

import { InstructionError } from "./errors.js";
import type { Escape } from "./from-spec-words.js";
import { announcesHeredoc } from "./heredocs.js";
import { parseJsonWords } from "./words.js";

/** The command as it stands behind RUN; undefined if another one would be run, or none. */
export function commandText(command: string, escapeWith: Escape): string | undefined {
  const lines = command.split("\n").map(trimBlanks);
  // Windows's shell takes one line, and so far all who write several have meant them to be joined.
  if (escapeWith === "\\" && lines.length > 1 && !isOneCommand(command)) return undefined;
  const text = lines.join(` ${escapeWith}\n    `);
  const first = lines[0]!;
  const last = lines.at(-1)!;
  // Docker trims other blanks as well, and an escape at the end would take the next instruction in.
  if (text !== text.trim() || last.endsWith(escapeWith)) return undefined;
  if (first.startsWith("--") || isJson(first) || announcesHeredoc(text)) return undefined;
  return text;
}

/**
 * Whether Docker would read the text as a list of words, or refuse it as a list of other things.
 */
function isJson(text: string): boolean {
  try {
    return parseJsonWords(text) !== undefined;
  } catch (error) {
    if (error instanceof InstructionError) return true;
    throw error;
  }
}

/**
 * Whether each line of the command but the last ends with `&&`, `||` or `|`, whose command goes on
 * behind the line break.
 */
function isOneCommand(command: string): boolean {
  // Where quotes begin and end is easily seen without these, and no line is a comment.
  if (/`|(?:^|\s)#|\\[\s"'\\]|<</.test(command)) return false;
  if (command.includes("$(") && command.includes('"')) return false;
  const lines = command.split("\n");
  let quote = "";
  for (const line of lines.slice(0, -1)) {
    for (const c of line) {
      if (c === quote) quote = "";
      else if (quote === "" && (c === "'" || c === '"')) quote = c;
    }
    const text = trimBlanks(line);
    // A line with nothing on it goes on as well, behind one that does.
    if (quote !== "" || !/(?:^|&&|\|)$/.test(text) || text.endsWith(">|")) return false;
  }
  return trimBlanks(lines[0]!) !== "";
}

const BLANKS = " \t\n\f\r";

/** Of ASCII blanks only: a no-break space is part of the command. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANKS.includes(text[start]!)) start++;
  while (start < end && BLANKS.includes(text[end - 1]!)) end--;
  return text.slice(start, end);
}
