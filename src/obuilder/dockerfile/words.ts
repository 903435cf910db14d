/*
 * Words of instructions: quotes, escapes and variables, as Docker's parser treats them. (A command
 * of RUN is not touched: the shell does all that.)
 */

import { edit } from "./edits.js";
import { InstructionError } from "./errors.js";

/** A variable's value: undefined if it has none. Throws if that cannot be known. */
export type Lookup = (name: string) => string | undefined;

export interface WordRules {
  readonly escape: string;
  readonly lookup: Lookup;
  /** Whether quotes are more than characters; they are unless this says otherwise. */
  readonly quotes?: boolean;
}

/**
 * Splits at blanks and nothing else, as Docker does for FROM and COPY: quotes do not hold words
 * together there.
 */
export function splitBlanks(text: string): string[] {
  return text.split(/[ \t\v\f\r]+/).filter((word) => word !== "");
}

/**
 * Splits at blanks outside of quotes; quotes and escapes stay in the words, but for an escape at
 * the very end.
 */
export function splitWords(text: string, escapeWith: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === escapeWith && quote !== "'") {
      if (i + 1 < text.length) word = (word ?? "") + c + text[++i];
    } else if (quote === "" && /\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + c;
      if (quote === "" && (c === '"' || c === "'")) quote = c;
      else if (c === quote) quote = "";
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** A word's meaning: quotes removed, escapes and variables resolved. */
export function expandWord(word: string, rules: WordRules): string {
  return new Expander(word, rules).until("");
}

/** The word without its quotes and escapes; variables stay as they are written. */
export function unquoted(word: string, escapeWith: string): string {
  return new Expander(word, { escape: escapeWith, lookup: undefined }).until("");
}

/** Substitutions within substitutions: far more than anyone can read. */
const MAX_DEPTH = 100;

/**
 * A variable's name: letters, digits and `_`; only digits, if it begins with one; or one of the
 * shell's own.
 */
const NAME = /\p{Nd}+|[\p{L}_][\p{L}\p{Nd}_]*|[@*#?$!-]/uy;

interface ExpanderRules extends Omit<WordRules, "lookup"> {
  readonly lookup: Lookup | undefined;
}

class Expander {
  readonly #text: string;
  readonly #rules: ExpanderRules;
  #pos = 0;
  #depth = 0;

  /** Without a `lookup`, `$` is a character like others. */
  constructor(text: string, rules: ExpanderRules) {
    this.#text = text;
    this.#rules = rules;
  }

  /** Up to the closing character (which is consumed), or to the end if it is empty. */
  until(close: string): string {
    const { quotes = true } = this.#rules;
    let out = "";
    while (this.#pos < this.#text.length) {
      const c = this.#text[this.#pos++]!;
      if (c === close) return out;
      if (quotes && c === "'") out += this.#single();
      else if (quotes && c === '"') out += this.#double();
      else if (c === "$") out += this.#variable();
      else if (c === this.#rules.escape) {
        // An escape with nothing behind it is nothing.
        if (this.#pos < this.#text.length) out += this.#character();
      } else out += c;
    }
    if (close !== "") throw new InstructionError(`missing ${close} in ${this.#text}`);
    return out;
  }

  #single(): string {
    const end = this.#text.indexOf("'", this.#pos);
    if (end < 0) throw new InstructionError(`missing ' in ${this.#text}`);
    const out = this.#text.slice(this.#pos, end);
    this.#pos = end + 1;
    return out;
  }

  #double(): string {
    let out = "";
    while (this.#pos < this.#text.length) {
      const c = this.#text[this.#pos++]!;
      if (c === '"') return out;
      if (c === "$") {
        out += this.#variable();
      } else if (c === this.#rules.escape) {
        if (this.#pos === this.#text.length) break;
        const next = this.#character();
        const special = next === '"' || next === "$" || next === this.#rules.escape;
        out += special ? next : c + next;
      } else {
        out += c;
      }
    }
    throw new InstructionError(`missing " in ${this.#text}`);
  }

  /** One character, which may be two units long. */
  #character(): string {
    const character = String.fromCodePoint(this.#text.codePointAt(this.#pos)!);
    this.#pos += character.length;
    return character;
  }

  /** Behind a `$`. */
  #variable(): string {
    const { lookup } = this.#rules;
    if (!lookup) return "$";
    if (this.#text[this.#pos] !== "{") {
      const name = this.#match(NAME);
      return name ? (lookup(name[0]) ?? "") : "$";
    }
    this.#pos++;
    const name = this.#match(NAME)?.[0];
    const operator = this.#match(/\}|:?[-+?]|##?|%%?|\/\/?/y)?.[0];
    if (name === undefined || operator === undefined) {
      throw new InstructionError(`unsupported substitution in ${this.#text}`);
    }
    const value = () => lookup(name);
    if (operator === "}") return value() ?? "";
    if (/[#%/]/.test(operator)) return this.#edited(value(), operator);
    const word = this.#nested();
    const isSet = (v: string | undefined) => (operator.startsWith(":") ? !!v : v !== undefined);
    switch (operator.at(-1)) {
      case "-":
        return isSet(value()) ? value()! : word;
      case "+":
        return isSet(value()) ? word : "";
      default:
        if (isSet(value())) return value()!;
        throw new InstructionError(`${name}: ${word || "is not set"}`);
    }
  }

  /** `${NAME#PATTERN}` and its like, behind the operator. */
  #edited(value: string | undefined, operator: string): string {
    const pattern = this.#nested(operator.startsWith("/") ? "/" : "}");
    const replacement = operator.startsWith("/") ? this.#nested() : "";
    return edit(value ?? "", operator, { pattern, replacement });
  }

  /** The word in `${NAME:-WORD}`. */
  #nested(close = "}"): string {
    if (++this.#depth > MAX_DEPTH) {
      throw new InstructionError(`substitutions are nested more than ${MAX_DEPTH} deep`);
    }
    const word = this.until(close);
    this.#depth--;
    return word;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#pos;
    const match = pattern.exec(this.#text);
    if (match) this.#pos = pattern.lastIndex;
    return match;
  }
}

/**
 * The JSON array of strings that the text begins with, as in exec forms; undefined if there is
 * none. What stands behind it counts for nothing, as in Docker's parser. Throws `InstructionError`
 * for an array of anything else, as that does.
 */
export function parseJsonWords(text: string): string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text.slice(0, endOfArray(text)));
  } catch {
    return undefined;
  }
  if (Array.isArray(value) && value.every((word) => typeof word === "string")) return value;
  throw new InstructionError(`a list must have strings in double quotes only: ${text}`);
}

/** The position behind the `]` that closes the first `[`; brackets in strings do not count. */
function endOfArray(text: string): number {
  let inString = false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (inString && c === "\\") i++;
    else if (c === '"') inString = !inString;
    else if (!inString && c === "[") depth++;
    else if (!inString && c === "]" && --depth === 0) return i + 1;
  }
  return text.length;
}
