/*
 * Words of instructions: quotes, escapes and variables, as Docker's parser treats them. (A command
 * of RUN is not touched: the shell does all that.)
 */

import { InstructionError } from "./errors.js";

/** A variable's value: undefined if it has none. Throws if that cannot be known. */
export type Lookup = (name: string) => string | undefined;

export interface WordRules {
  readonly escape: string;
  readonly lookup: Lookup;
}

/** Splits at blanks outside of quotes; quotes and escapes stay in the words. */
export function splitWords(text: string, escapeWith: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === escapeWith && quote !== "'" && i + 1 < text.length) {
      word = (word ?? "") + c + text[++i];
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

/** Substitutions within substitutions: far more than anyone can read. */
const MAX_DEPTH = 100;

class Expander {
  readonly #text: string;
  readonly #rules: WordRules;
  #pos = 0;
  #depth = 0;

  constructor(text: string, rules: WordRules) {
    this.#text = text;
    this.#rules = rules;
  }

  /** Up to the closing character (which is consumed), or to the end if it is empty. */
  until(close: string): string {
    let out = "";
    while (this.#pos < this.#text.length) {
      const c = this.#text[this.#pos++]!;
      if (c === close) return out;
      if (c === "'") out += this.#single();
      else if (c === '"') out += this.#double();
      else if (c === "$") out += this.#variable();
      else if (c === this.#rules.escape && this.#pos < this.#text.length) {
        out += this.#text[this.#pos++];
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
      } else if (c === this.#rules.escape && this.#pos < this.#text.length) {
        const next = this.#text[this.#pos++]!;
        const special = next === '"' || next === "$" || next === this.#rules.escape;
        out += special ? next : c + next;
      } else {
        out += c;
      }
    }
    throw new InstructionError(`missing " in ${this.#text}`);
  }

  /** Behind a `$`. */
  #variable(): string {
    const plain = this.#match(/[A-Za-z_]\w*/y);
    if (plain) return this.#rules.lookup(plain[0]) ?? "";
    if (this.#text[this.#pos] !== "{") return "$";
    const braced = this.#match(/\{([A-Za-z_]\w*)(\}|:?[-+?])/y);
    if (!braced) throw new InstructionError(`unsupported substitution in ${this.#text}`);
    const [, name, operator] = braced;
    const value = () => this.#rules.lookup(name!);
    if (operator === "}") return value() ?? "";
    const word = this.#nested();
    const isSet = (v: string | undefined) => (operator!.startsWith(":") ? !!v : v !== undefined);
    switch (operator!.at(-1)) {
      case "-":
        return isSet(value()) ? value()! : word;
      case "+":
        return isSet(value()) ? word : "";
      default:
        if (isSet(value())) return value()!;
        throw new InstructionError(`${name}: ${word || "is not set"}`);
    }
  }

  /** The word in `${NAME:-WORD}`. */
  #nested(): string {
    if (++this.#depth > MAX_DEPTH) {
      throw new InstructionError(`substitutions are nested more than ${MAX_DEPTH} deep`);
    }
    const word = this.until("}");
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

/** A JSON array of strings, as in exec forms; undefined if the text is none. */
export function parseJsonWords(text: string): string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const isWords = Array.isArray(value) && value.every((word) => typeof word === "string");
  return isWords ? (value as string[]) : undefined;
}
