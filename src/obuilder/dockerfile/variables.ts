/*
 * The words of ARG and ENV. All words of one instruction are looked at before any variable of it is
 * set.
 */

import { InstructionError } from "./errors.js";
import { expandWord, splitWords, type WordRules } from "./words.js";

/** What follows the keyword. Throws `InstructionError` if nothing does. */
export function needed(text: string, keyword: string): string {
  if (text === "") throw new InstructionError(`${keyword} needs a value`);
  return text;
}

/** ARG's words as written: `NAME` or `NAME=VALUE`, several of them. Throws `InstructionError`. */
export function splitArgs(text: string, escapeWith: string): [string, string | undefined][] {
  return splitWords(needed(text, "ARG"), escapeWith).map((word) => {
    const [, name, value] = /^([A-Za-z_]\w*)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) throw new InstructionError(`ARG ${word} is not NAME or NAME=VALUE`);
    return [name, value];
  });
}

/** ARG's names and values. Throws `InstructionError`. */
export function parseArgs(text: string, rules: WordRules): [string, string | undefined][] {
  return splitArgs(text, rules.escape).map(([name, value]) => [
    name,
    value === undefined ? undefined : expandWord(value, rules),
  ]);
}

/**
 * ENV: `KEY=VALUE …`, or the old form `KEY VALUE` where the value is the rest of the line. Throws
 * `InstructionError`.
 */
export function parsePairs(text: string, rules: WordRules): [string, string][] {
  const words = splitWords(needed(text, "ENV"), rules.escape);
  if (words[0] === undefined || !words[0].includes("=")) {
    const [, key, value] = /^([^ \t\v\f\r]+)[ \t\v\f\r]+(.+)$/s.exec(text) ?? [];
    if (key === undefined) throw new InstructionError(`ENV ${text} has no value`);
    return [[expandWord(key, rules), expandWord(value!, rules)]];
  }
  return words.map((word) => {
    const equals = word.indexOf("=");
    if (equals < 1) throw new InstructionError(`ENV ${word} is not KEY=VALUE`);
    return [expandWord(word.slice(0, equals), rules), expandWord(word.slice(equals + 1), rules)];
  });
}
