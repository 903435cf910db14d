/*
 * Splits a Dockerfile into instructions: parser directives, comments, continued lines and flags, by
 * the rules of Docker's own parser.
 */

import { DockerfileError, InstructionError } from "./errors.js";
import { type Heredoc, readHeredocs } from "./heredocs.js";

export interface Instruction {
  /** From 1. */
  readonly line: number;
  /** In upper case. */
  readonly keyword: string;
  readonly flags: readonly Flag[];
  /** What follows the flags, continued lines joined without anything between them. */
  readonly text: string;
  readonly heredocs: readonly Heredoc[];
  /** Of ONBUILD: what is to be done by builds that begin with the image. */
  readonly trigger?: Instruction;
}

/** `--NAME=VALUE`, or `--NAME` without a value; its quotes are gone, its variables are not. */
export interface Flag {
  readonly name: string;
  readonly value: string | undefined;
}

export interface ParsedDockerfile {
  /** The escape character, `\` unless a directive says otherwise. */
  readonly escape: "\\" | "`";
  readonly instructions: readonly Instruction[];
}

const DIRECTIVE = /^#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=(.*)$/;
const TAKE_FLAGS = new Set(["FROM", "RUN", "COPY", "ADD"]);
/** Quoted or not, with the backslash as escape whatever the rest has. */
const FLAG = /^(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\.|[^\s"'\\])+/s;
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
      const following = { lines, next: i };
      instructions.push(parseInstruction(start + 1, keyword, rest!, following));
      i = following.next;
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

/** The lines behind an instruction; `next` is the first that does not belong to it. */
interface Following {
  readonly lines: readonly string[];
  next: number;
}

/** What ONBUILD keeps in an image: one instruction. Throws `InstructionError`. */
export function parseTrigger(text: string, line: number): Instruction {
  const [first, ...lines] = text.trim().split("\n");
  return parseOnbuild(first!, line, { lines, next: 0 });
}

function parseInstruction(
  line: number,
  word: string,
  rest: string,
  following: Following,
): Instruction {
  const keyword = word.toUpperCase();
  const flags: Flag[] = [];
  let text = rest.trim();
  if (keyword === "ONBUILD") {
    return {
      line,
      keyword,
      flags,
      text,
      heredocs: [],
      trigger: parseOnbuild(text, line, following),
    };
  }
  while (TAKE_FLAGS.has(keyword) && text.startsWith("--")) {
    const [written] = FLAG.exec(text) ?? [];
    if (written === undefined) break;
    text = text.slice(written.length).trimStart();
    const flag = written.replace(/\\(.)|["']/gs, "$1");
    if (flag === "--") break;
    const [, name, value] = /^--([^=]+)(?:=(.*))?$/s.exec(flag) ?? [];
    if (name === undefined) throw new InstructionError(`${flag} is not a flag`);
    flags.push({ name, value });
  }
  if (!TAKE_HEREDOCS.has(keyword)) return { line, keyword, flags, text, heredocs: [] };
  const { heredocs, end } = readHeredocs(text, following.lines, following.next);
  following.next = end;
  return { line, keyword, flags, text, heredocs };
}

function parseOnbuild(text: string, line: number, following: Following): Instruction {
  const [, keyword, rest] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
  if (keyword === undefined) throw new InstructionError("ONBUILD needs an instruction");
  if (["FROM", "MAINTAINER", "ONBUILD"].includes(keyword.toUpperCase())) {
    throw new InstructionError(`ONBUILD ${keyword.toUpperCase()} is not allowed`);
  }
  return parseInstruction(line, keyword, rest!, following);
}
