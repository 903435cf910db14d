/*
 * S-expressions: the form of build specs, of the text under every layer id, and of the `env` file
 * in the store. An expression is an atom (a byte string, see `../bytes.ts`) or a list.
 */

export type Sexp = Atom | List;

export interface Atom {
  readonly atom: string;
  /** Byte offset of the first byte in the text it was read from. */
  readonly at?: number | undefined;
}

export interface List {
  readonly items: readonly Sexp[];
  /** Byte offset of the opening parenthesis in the text it was read from. */
  readonly at?: number | undefined;
}

export function isAtom(sexp: Sexp): sexp is Atom {
  return "atom" in sexp;
}

export function isList(sexp: Sexp): sexp is List {
  return "items" in sexp;
}

export function atom(text: string, at?: number): Atom {
  return { atom: text, at };
}

/** A list; plain strings become atoms. */
export function list(items: readonly (Sexp | string)[], at?: number): List {
  return { items: items.map((item) => (typeof item === "string" ? atom(item) : item)), at };
}
