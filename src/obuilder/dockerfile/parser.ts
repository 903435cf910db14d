/*
 * Splits a Dockerfile into instructions: parser directives, comments, continued lines, flags and
 * here-documents, by the rules of Docker's own parser.
 */

import { DockerfileError, InstructionError } from "./errors.js";

export interface Instruction {
  /** From 1. */
  readonly line: number;
  /** In upper case. */
  readonly keyword: string;
  readonly flags: readonly Flag[];
  /** What follows the flags, continued lines joined without anything between them. */
  readonly text: string;
  readonly heredocs: readonly Heredoc[];
}

/** `--NAME=VALUE`, or `--NAME` without a value. */
export interface Flag {
  readonly name: string;
  readonly value: string | undefined;
}

export interface Heredoc {
  readonly name: string;
  /** The lines up to the end mark, each with its line feed; with `<<-` without the tabs before them. */
  readonly content: string;
}

export interface ParsedDockerfile {
  /** The escape character, `\` unless a directive says otherwise. */
  readonly escape: "\\" | "`";
  readonly instructions: readonly Instruction[];
}

const DIRECTIVE = /^#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=(.*)$/;
const TAKE_FLAGS = new Set(["FROM", "RUN", "COPY", "ADD"]);
const TAKE_HEREDOCS = new Set(["RUN", "COPY", "ADD"]);

/** Throws `DockerfileError` for what cannot be split. */
export function parseDockerfile(text: string): ParsedDockerfile {
  const lines = text
    .replace(/^\ufeff/, "")
    .split("\n")
    .map((line) => line.replace(/\r$/, ""));
  const { escape: escapeWith, next } = readDirectives(lines);
  const instructions: Instruction[] = [];
  let i = next;
  while (i < lines.length) {
    if (isBlankOrComment(lines[i]!)) {
      i++;
      continue;
    }
    const start = i;
    let logical = "";
    let continued = true;
    for (let first = true; continued && i < lines.length; i++) {
      const line = lines[i]!;
      if (!first && isBlankOrComment(line)) continue;
      continued = isContinued(line, escapeWith);
      const body = continued ? line.trimEnd().slice(0, -1) : line;
      logical += first ? body.trimStart() : body;
      first = false;
    }
    const [, keyword, rest] = /^(\S+)\s*(.*)$/s.exec(logical) ?? [];
    if (keyword === undefined) continue; // nothing but an escape character
    try {
      const instruction = parseInstruction(start + 1, keyword.toUpperCase(), rest!.trim());
      const { heredocs, end } = readHeredocs(instruction, lines, i);
      instructions.push({ ...instruction, heredocs });
      i = end;
    } catch (error) {
      if (!(error instanceof InstructionError)) throw error;
      throw new DockerfileError([{ line: start + 1, message: error.message }]);
    }
  }
  return { escape: escapeWith, instructions };
}

/** Directives stand at the very top; the first line that is none ends them. */
function readDirectives(lines: readonly string[]): { escape: "\\" | "`"; next: number } {
  const seen = new Map<string, string>();
  let next = 0;
  for (; next < lines.length; next++) {
    const match = DIRECTIVE.exec(lines[next]!);
    const name = match?.[1]?.toLowerCase();
    // Any other `# name = value` is a comment, and ends them too.
    if (name === undefined || !["escape", "syntax", "check"].includes(name)) break;
    seen.set(name, match![2]!.trim());
  }
  const escapeWith = seen.get("escape") ?? "\\";
  if (escapeWith !== "\\" && escapeWith !== "`") {
    const message = `the escape character must be \\ or \`, not ${escapeWith}`;
    throw new DockerfileError([{ line: 1, message }]);
  }
  return { escape: escapeWith, next };
}

function isBlankOrComment(line: string): boolean {
  const text = line.trimStart();
  return text === "" || text.startsWith("#");
}

/** Ends in one escape character, not in two. */
function isContinued(line: string, escapeWith: string): boolean {
  const text = line.trimEnd();
  return text.endsWith(escapeWith) && text.at(-2) !== escapeWith;
}

type Bare = Omit<Instruction, "heredocs">;

function parseInstruction(line: number, keyword: string, rest: string): Bare {
  const flags: Flag[] = [];
  let text = rest;
  while (TAKE_FLAGS.has(keyword) && text.startsWith("--")) {
    const [flag] = /^(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+/.exec(text) ?? [];
    if (flag === undefined) break;
    text = text.slice(flag.length).trimStart();
    if (flag === "--") break;
    const [, name, value] = /^--([^=]+)(?:=(.*))?$/s.exec(flag) ?? [];
    if (name === undefined) throw new InstructionError(`${flag} is not a flag`);
    flags.push({ name, value: value?.replace(/^"(.*)"$|^'(.*)'$/s, "$1$2") });
  }
  return { line, keyword, flags, text };
}

/** Reads the here-documents that the instruction's words announce, from line `start` on. */
function readHeredocs(
  { keyword, text }: Bare,
  lines: readonly string[],
  start: number,
): { heredocs: Heredoc[]; end: number } {
  const heredocs: Heredoc[] = [];
  let end = start;
  if (!TAKE_HEREDOCS.has(keyword)) return { heredocs, end };
  for (const match of withoutQuoted(text).matchAll(/(?<!\S)\d*<<(-?)(["']?)([A-Za-z_][\w.]*)\2/g)) {
    const [, dash, , name] = match;
    let content = "";
    for (;;) {
      if (end >= lines.length) {
        throw new InstructionError(`here-document <<${name} has no line ${name} at its end`);
      }
      const line = dash === "-" ? lines[end]!.replace(/^\t+/, "") : lines[end]!;
      end++;
      if (line === name) break;
      content += `${line}\n`;
    }
    heredocs.push({ name: name!, content });
  }
  return { heredocs, end };
}

/** The text with quoted parts blanked, but for the quotes of `<<"EOF"`. A quote that is not closed is a character. */
function withoutQuoted(text: string): string {
  const parts: string[] = [];
  let start = 0; // of what is not copied yet
  const unclosed = new Set<string>();
  for (let i = 0; i < text.length; i++) {
    const quote = text[i]!;
    if ((quote !== '"' && quote !== "'") || unclosed.has(quote)) continue;
    if (text.endsWith("<<", i) || text.endsWith("<<-", i)) continue;
    const end = endOfQuoted(text, i);
    if (end === undefined) {
      unclosed.add(quote); // nor is any behind it
      continue;
    }
    parts.push(text.slice(start, i), " ".repeat(end - i));
    start = end;
    i = end - 1;
  }
  return parts.join("") + text.slice(start);
}

/** The position behind the quote that closes the one at `start`. */
function endOfQuoted(text: string, start: number): number | undefined {
  const quote = text[start]!;
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === quote) return i + 1;
    if (text[i] === "\\" && quote === '"') i++;
  }
  return undefined;
}
