/*
 * Reads the one S-expression that a text or a file holds, with the reference's error texts.
 *
 * The reference's parser reads one expression and stops right behind it; whether anything else
 * follows is found out by reading on. It needs to see the byte behind a bare atom, so at the end
 * of a text it is fed a space. Of a file's rest, as the reference has it, it is not.
 */

import { inOneGo } from "../../async/index.js";
import { fromBytes } from "../../text/index.js";
import { SexpError } from "./errors.js";
import { scan } from "./scanner.js";
import type { Sexp } from "./sexp.js";

/** Bytes. Real specs have a few KB; this leaves room for a program or two pasted into a `run`. */
const MAX_TEXT = 16 * 1024 * 1024;

/**
 * The one expression in the text.
 *
 * `file` is the name of the file the text was read from, if it was: some messages name it, and
 * what follows the expression is judged a little differently.
 *
 * Throws `SexpError`, kinds `Failure` and `Parse_error`. Nodes hold their offset in the text.
 */
export function readSexp(text: Uint8Array, file?: string): Sexp {
  return inOneGo(readingSexp(text, file));
}

/** `readSexp`, which yields where it can be interrupted. */
export function* readingSexp(text: Uint8Array, file?: string): Generator<void, Sexp> {
  if (text.length > MAX_TEXT) {
    const message = `S-expression of ${text.length} bytes is too long, the limit is ${MAX_TEXT}`;
    throw new SexpError("Failure", message);
  }
  const fed = Buffer.alloc(text.length + 1, " ");
  fed.set(text);
  try {
    return yield* file === undefined ? readString(fed) : readFile(fed, file);
  } catch (error) {
    if (error instanceof SexpError) error.locate(text);
    throw error;
  }
}

function* readString(fed: Buffer): Generator<void, Sexp> {
  const fail = (what: string, at: number | undefined) =>
    new SexpError("Failure", `Sexplib.Sexp.of_string: ${what}`, { at });
  const first = yield* scan(fed, 0, fed.length);
  if (!first.sexp) {
    const text = fromBytes(fed.subarray(0, -1));
    const what = `incomplete S-expression while in state ${first.state}: ${text}`;
    throw fail(what, fed.length - 1);
  }
  const next = yield* scan(fed, first.end, fed.length);
  if (next.sexp) {
    throw fail("got multiple S-expressions where only one was expected.", next.sexp.at);
  }
  if (next.state !== "Parsing_toplevel_whitespace") {
    throw fail(`S-expression followed by data at position ${first.end}...`, first.end);
  }
  return first.sexp;
}

function* readFile(fed: Buffer, file: string): Generator<void, Sexp> {
  const fail = (what: string, at: number | undefined) =>
    new SexpError("Failure", `Sexplib.Sexp.gen_load_sexp: ${what}`, { at });
  const first = yield* scan(fed, 0, fed.length);
  if (!first.sexp) {
    throw fail(`EOF in ${file} while in state ${first.state}`, fed.length - 1);
  }
  const next = yield* scan(fed, first.end, fed.length - 1);
  if (next.sexp) throw fail(`more than one S-expression in file ${file}`, next.sexp.at);
  if (next.state !== "Parsing_toplevel_whitespace") {
    const what = `additional incomplete data in state ${next.state} loading file ${file}`;
    throw fail(what, first.end);
  }
  return first.sexp;
}
