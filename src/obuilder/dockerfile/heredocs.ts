/*
 * Here-documents: which words of an instruction announce one, and the lines that belong to it. The
 * rules are those of Docker's parser: a word `<<NAME` or `<<-NAME`, maybe with a number before it,
 * and NAME quoted as in a shell.
 */

import { InstructionError } from "./errors.js";
import { splitWords, unquoted } from "./words.js";

export interface Heredoc {
  readonly name: string;
  /**
   * The lines up to the end mark, each with its line feed; with `<<-` without the tabs before them.
   */
  readonly content: string;
  /** Its name is written with quotes: variables in it are not put in. */
  readonly isQuoted: boolean;
}

interface Announced {
  readonly name: string;
  readonly isQuoted: boolean;
  /** `<<-`: tabs before lines do not count. */
  readonly withoutTabs: boolean;
}

/** Here-documents are read as a shell does, whatever the Dockerfile's own escape character is. */
const ESCAPE = "\\";

/**
 * Reads the here-documents that an instruction's text announces, from line `start` on. Throws
 * `InstructionError`.
 */
export function readHeredocs(
  text: string,
  lines: readonly string[],
  start: number,
): { heredocs: Heredoc[]; end: number } {
  const heredocs: Heredoc[] = [];
  let end = start;
  for (const { name, isQuoted, withoutTabs } of announcedIn(text)) {
    const content: string[] = [];
    for (;;) {
      if (end >= lines.length) {
        throw new InstructionError(`here-document <<${name} has no line ${name} at its end`);
      }
      const line = withoutTabs ? lines[end]!.replace(/^\t+/, "") : lines[end]!;
      end++;
      if (line === name) break;
      content.push(`${line}\n`);
    }
    heredocs.push({ name, content: content.join(""), isQuoted });
  }
  return { heredocs, end };
}

/** Whether the text is nothing but the announcement of one here-document. */
export function isHeredoc(text: string): boolean {
  const [word, ...more] = splitWords(text, ESCAPE);
  return word !== undefined && more.length === 0 && announced(word) !== undefined;
}

/** Whether lines behind the text would be taken for here-documents. */
export function announcesHeredoc(text: string): boolean {
  return announcedIn(text).length > 0;
}

function announcedIn(text: string): Announced[] {
  if (!text.includes("<<")) return [];
  const found: Announced[] = [];
  for (const word of splitWords(text, ESCAPE)) {
    try {
      const heredoc = announced(word);
      if (heredoc) found.push(heredoc);
    } catch (error) {
      // Docker's parser gives up on a text with a quote that is not closed, and finds nothing in
      // it.
      if (error instanceof InstructionError) return [];
      throw error;
    }
  }
  return found;
}

/** Throws `InstructionError` if a quote is not closed. */
function announced(word: string): Announced | undefined {
  unquoted(word, ESCAPE);
  const [, dash, written] = /^\d*<<(-?)([^<]+)$/.exec(word) ?? [];
  const name = unquoted(written ?? "", ESCAPE);
  if (name === "") return undefined;
  return { name, isQuoted: name !== written, withoutTabs: dash === "-" };
}
