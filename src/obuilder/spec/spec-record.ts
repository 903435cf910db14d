/*
 * Reads records in S-expressions: `((FIELD VALUE)…)`, each field at most once, in any order.
 *
 * What is reported when several things are wrong is settled by the reference's generated readers,
 * and kept. They read fields as long as these come in the order declared, then fall back to a
 * slower way for the rest, in which the whole rest is judged before any value is read: things that
 * are no fields, then duplicates, then unknown ones; then values, and, if these are all well,
 * fields of another shape than (FIELD VALUE), then missing ones. The values read at first are
 * converted only when all that follows is found well, the last one first.
 */

import { SexpError } from "../sexp/errors.js";
import { toMachine } from "../sexp/printer.js";
import { isAtom, isList, type List, type Sexp } from "../sexp/sexp.js";

export interface Field<T> {
  readonly read: (value: Sexp) => T;
  /** The value when the field is absent; without it, the field is required. */
  readonly absent?: () => T;
}

type Fields = Record<string, Field<unknown>>;
type Values<F extends Fields> = { [K in keyof F]: F[K] extends Field<infer T> ? T : never };

export function required<T>(read: (value: Sexp) => T): Field<T> {
  return { read };
}

export function optional<T>(read: (value: Sexp) => T, absent: T): Field<T> {
  return { read, absent: () => absent };
}

/** A list, empty if absent. */
export function listOf<T>(read: (value: Sexp) => T): Field<readonly T[]> {
  return optional((value) => readList(value, read), []);
}

/** An error with the offending expression, as the reference's conversions make it. */
export function conversionError(reason: string, about: Sexp): SexpError {
  const text = toMachine(about);
  return new SexpError("Of_sexp_error", `${reason}: ${text}`, { at: about.at, about: text });
}

export function readString(sexp: Sexp): string {
  if (isAtom(sexp)) return sexp.atom;
  throw conversionError("string_of_sexp: atom needed", sexp);
}

export function readList<T>(sexp: Sexp, read: (item: Sexp) => T): T[] {
  if (isList(sexp)) return sexp.items.map(read);
  throw conversionError("list_of_sexp: list needed", sexp);
}

export function readPair(sexp: Sexp): [string, string] {
  if (isList(sexp) && sexp.items.length === 2) {
    return [readString(sexp.items[0]!), readString(sexp.items[1]!)];
  }
  throw conversionError("tuple of size 2 expected", sexp);
}

/** Reads the record; the order of `fields` is that of their declaration. */
export function readRecord<F extends Fields>(record: List, fields: F): Values<F> {
  const names = Object.keys(fields);
  const values = new Map<string, unknown>();
  let inOrder = 0;
  for (const name of names) {
    const item = record.items[inOrder];
    if (!item || fieldName(item) !== name || (item as List).items.length !== 2) break;
    inOrder++;
  }
  if (inOrder < names.length || inOrder < record.items.length) {
    readRest(record, inOrder, fields, values);
  }
  for (const name of names.slice(0, inOrder).reverse()) {
    const item = record.items[names.indexOf(name)] as List;
    values.set(name, fields[name]!.read(item.items[1]!));
  }
  return Object.fromEntries(values) as Values<F>;
}

/** Reads the fields that come behind the first `inOrder` ones. */
function readRest(record: List, inOrder: number, fields: Fields, values: Map<string, unknown>) {
  const names = Object.keys(fields);
  const seen = new Map<string, List | undefined>();
  for (const name of names.slice(0, inOrder)) seen.set(name, undefined);
  const duplicates: string[] = [];
  const extras: string[] = [];
  for (const item of record.items.slice(inOrder)) {
    const name = fieldName(item);
    if (name === undefined) throw notAPair(item);
    if (seen.has(name)) duplicates.push(name);
    else if (!Object.hasOwn(fields, name)) extras.push(name);
    else seen.set(name, item as List);
  }
  if (duplicates.length > 0) {
    throw conversionError(`duplicate fields: ${duplicates.join(" ")}`, record);
  }
  if (extras.length > 0) throw conversionError(`extra fields: ${extras.join(" ")}`, record);

  let malformed: SexpError | undefined;
  const missing: string[] = [];
  for (const name of names.slice(inOrder)) {
    const field = fields[name]!;
    const item = seen.get(name);
    if (!item) {
      if (field.absent) values.set(name, field.absent());
      else missing.push(name);
    } else if (item.items.length === 2) {
      values.set(name, field.read(item.items[1]!));
    } else {
      malformed ??= notAPair(item.items.length > 2 ? item : record);
    }
  }
  if (malformed) throw malformed;
  if (missing.length > 0) {
    const reason = "the following record elements were undefined";
    throw conversionError(`${reason}: ${missing.join(" ")}`, record);
  }
}

function fieldName(item: Sexp): string | undefined {
  if (!isList(item)) return undefined;
  const [name] = item.items;
  return name && isAtom(name) ? name.atom : undefined;
}

function notAPair(about: Sexp): SexpError {
  const reason = "record conversion: only pairs expected, their first element must be an atom";
  return conversionError(reason, about);
}
