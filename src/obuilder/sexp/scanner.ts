/*
 * Finds the next S-expression in a text, in one pass and without recursion, so that hostile text
 * can neither exhaust the call stack nor, by the limits below, the memory.
 */

import { fromBytes } from "../../text/index.js";
import { SexpError } from "./errors.js";
import { decodeQuoted, endOfBare, endOfBlockComment, endOfQuoted } from "./lexer.js";
import { atom, type Sexp } from "./sexp.js";

/**
 * Atoms and lists in one expression, and lines of atoms, which people are shown one by one. Each
 * takes about 100 bytes of memory.
 */
const MAX_PARTS = 1_000_000;

const LF = 0x0a;

/** Open parentheses. A nested build needs three; whoever works on expressions may recurse. */
const MAX_DEPTH = 1000;

/** What was being read when the text ended, in the reference's words. */
export type State =
  | "Parsing_toplevel_whitespace"
  | "Parsing_nested_whitespace"
  | "Parsing_atom"
  | "Parsing_list"
  | "Parsing_sexp_comment"
  | "Parsing_block_comment";

/** An expression and the offset behind it, or what was being read when the text ended. */
export type Scanned =
  | { readonly sexp: Sexp; readonly end: number }
  | { readonly sexp?: undefined; readonly state: State };

/**
 * The first expression in `text[start, end)`. A bare atom must have something behind it. Yields
 * where it can be interrupted.
 */
export function scan(text: Buffer, start: number, end: number): Generator<void, Scanned> {
  return new Scanner(text, start, end).scan();
}

/** Tokens from one place where it can be interrupted to the next. */
const TOKENS = 1024;

class Scanner {
  readonly #text: Buffer;
  readonly #end: number;
  #pos: number;
  #parts = 0;
  /** The lists that are open, without those in dropped expressions. */
  readonly #lists: { items: Sexp[]; at: number }[] = [];
  /** Open parentheses, with those in dropped expressions. */
  #depth = 0;
  /** For each `#;` whose expression has not ended: the depth where it stands. */
  readonly #drops: number[] = [];

  constructor(text: Buffer, start: number, end: number) {
    this.#text = text;
    this.#pos = start;
    this.#end = end;
  }

  *scan(): Generator<void, Scanned> {
    const text = this.#text;
    for (let tokens = 1; this.#pos < this.#end; tokens++) {
      if (tokens % TOKENS === 0) yield;
      const at = this.#pos;
      let sexp: Sexp | undefined;
      switch (text[at]) {
        case 0x20: // space, tab, line feed, form feed
        case 0x09:
        case 0x0a:
        case 0x0c:
          this.#pos++;
          continue;
        case 0x0d: // carriage return
          if (at + 1 === this.#end) return this.#stopped("Parsing_nested_whitespace");
          if (text[at + 1] !== 0x0a) {
            throw parseError("unexpected character after carriage return", at + 1);
          }
          this.#pos += 2;
          continue;
        case 0x3b: // ;
          this.#skipLine();
          continue;
        case 0x28: // (
          this.#open(at);
          continue;
        case 0x29: // )
          sexp = this.#close(at);
          break;
        case 0x22: {
          // "
          const end = endOfQuoted(text, at + 1, this.#end);
          if (end === undefined) return this.#stopped("Parsing_atom");
          this.#pos = end;
          sexp = this.#ended() ? this.#quotedAtom(at, end) : undefined;
          break;
        }
        default: {
          const marked = text[at] === 0x23 && at + 1 < this.#end ? text[at + 1] : undefined;
          if (marked === 0x3b) {
            // #;
            this.#drops.push(this.#depth);
            this.#pos += 2;
            continue;
          }
          if (marked === 0x7c) {
            // #|
            const end = endOfBlockComment(text, at + 2, this.#end);
            if (end === undefined) return this.#stopped("Parsing_block_comment");
            this.#pos = end;
            continue;
          }
          this.#pos = endOfBare(text, at, this.#end);
          if (this.#pos === this.#end) return this.#stopped("Parsing_atom");
          sexp = this.#ended() ? atom(fromBytes(text.subarray(at, this.#pos)), at) : undefined;
        }
      }
      if (!sexp) continue;
      const list = this.#lists.at(-1);
      if (!list) return { sexp, end: this.#pos };
      list.items.push(sexp);
    }
    return this.#stopped("Parsing_toplevel_whitespace");
  }

  #open(at: number): void {
    if (++this.#depth > MAX_DEPTH) {
      throw new SexpError("Failure", `S-expression is nested more than ${MAX_DEPTH} deep`, { at });
    }
    if (this.#drops.length === 0) this.#lists.push({ items: [], at });
    this.#pos++;
  }

  #close(at: number): Sexp | undefined {
    if (this.#depth === 0) throw parseError("unexpected character: ')'", at);
    this.#depth--;
    const list = this.#drops.length === 0 ? this.#lists.pop() : undefined;
    const counts = this.#ended();
    this.#pos++;
    return counts ? list : undefined;
  }

  /** An expression ended at the present depth. Whether it counts. */
  #ended(): boolean {
    const drop = this.#drops.at(-1);
    if (drop === undefined) {
      this.#countPart();
      return true;
    }
    if (drop > this.#depth) throw parseError("unterminated sexp comment", this.#pos);
    if (drop === this.#depth) this.#drops.pop();
    return false;
  }

  #countPart(): void {
    if (++this.#parts <= MAX_PARTS) return;
    const message = `S-expression has more than ${MAX_PARTS} parts`;
    throw new SexpError("Failure", message, { at: this.#pos });
  }

  /** The atom between the quotes at `at` and before `end`. */
  #quotedAtom(at: number, end: number): Sexp {
    const bytes = decodeQuoted(this.#text, at + 1, end - 1);
    for (let lf = bytes.indexOf(LF); lf >= 0; lf = bytes.indexOf(LF, lf + 1)) this.#countPart();
    return atom(fromBytes(bytes), at);
  }

  #skipLine(): void {
    while (this.#pos < this.#end) {
      const byte = this.#text[this.#pos];
      if (byte === 0x0a || byte === 0x0d) break;
      this.#pos++;
    }
  }

  #stopped(state: State): Scanned {
    if (this.#drops.length > 0) return { state: "Parsing_sexp_comment" };
    const inList = state === "Parsing_toplevel_whitespace" && this.#depth > 0;
    return { state: inList ? "Parsing_list" : state };
  }
}

function parseError(message: string, at: number): SexpError {
  return new SexpError("Parse_error", message, { at });
}
