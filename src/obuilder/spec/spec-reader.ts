/*
 * Reads a build spec: bytes, then an S-expression, then this grammar.
 *
 *     SPEC    = ((build NAME SPEC)* (from IMAGE) OP*)
 *     OP      = (comment TEXT) | (workdir PATH) | (shell WORD*) | (env KEY VALUE)
 *             | (user (uid N) (gid N)) | (user (name NAME))
 *             | (run  [(cache MOUNT*)] [(network NAME*)] [(secrets MOUNT*)] (shell COMMAND))
 *             | (copy [(from SOURCE)] (src PATH*) (dst PATH) [(exclude NAME*)])
 *     SOURCE  = context | (build NAME)
 *     MOUNT   = (ID (target PATH) [(buildkit_options ((KEY VALUE)*))])
 *
 * The reference reads specs with generated code for OCaml types, and some of its inner forms show:
 * an op's name may begin with a capital, which for `Run`, `Copy`, `User` and `Env` takes what
 * follows in parentheses of its own; and what a message quotes is the inner form.
 */

import { inOneGo } from "../../async/index.js";
import { SexpError } from "../sexp/errors.js";
import { Layout } from "../sexp/layout.js";
import { layHuman, toMachine } from "../sexp/printer.js";
import { readingSexp } from "../sexp/reader.js";
import { isAtom, isList, type List, list, type Sexp } from "../sexp/sexp.js";
import { parseOcamlInt } from "./ocaml-int.js";
import type { Cache, ChildBuild, CopyOp, DataSource, Op, RunOp, Spec, User } from "./spec.js";
import {
  conversionError,
  listOf,
  optional,
  readPair,
  readRecord,
  readString,
  required,
} from "./spec-record.js";
import { checkScope } from "./spec-scope.js";

/**
 * The spec in a text; `file` is the name of the file it is from, if it is from one.
 *
 * Throws `SexpError` with the position and, where it is known, what was expected instead.
 */
export function readSpec(text: Uint8Array | string, file?: string): Spec {
  return inOneGo(readingSpec(text, file));
}

/** `readSpec`, which yields where it can be interrupted: a spec can be large. */
export function* readingSpec(text: Uint8Array | string, file?: string): Generator<void, Spec> {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  const sexp = yield* readingSexp(bytes, file);
  const places = new Map<Op, number | undefined>();
  try {
    const spec = yield* readBody(sexp, places);
    checkScope(spec, (op) => places.get(op));
    return spec;
  } catch (error) {
    if (error instanceof SexpError) error.locate(bytes);
    throw error;
  }
}

const SPEC_FORM = "((build NAME SPEC)* (from IMAGE) OP*)";
const ITEM_FORM = "(build NAME SPEC) or (from IMAGE), before any operation";
const USER_FORM = "(user (uid N) (gid N)) or (user (name NAME))";
const SOURCE_FORM = "context or (build NAME)";

const OP_FORMS: Record<string, string> = {
  Comment: "(comment TEXT)",
  Workdir: "(workdir PATH)",
  Shell: "(shell WORD…)",
  Run: "(run (cache …) (network …) (secrets …) (shell COMMAND)), of which only shell is required",
  Copy: "(copy (from …) (src PATH…) (dst PATH) (exclude NAME…)), of which src and dst are required",
  User: USER_FORM,
  Env: "(env KEY VALUE)",
};

/** Operations from one place where reading can be interrupted to the next. */
const OPS = 256;

function* readBody(sexp: Sexp, places: Map<Op, number | undefined>): Generator<void, Spec> {
  if (isAtom(sexp)) throw invalid("spec", sexp, SPEC_FORM);
  const children: ChildBuild[] = [];
  for (const [index, item] of sexp.items.entries()) {
    const [keyword, name, child, ...more] = isList(item) ? item.items : [];
    if (keyword && name && isAtom(keyword) && isAtom(name) && more.length === 0) {
      if (keyword.atom === "build" && child) {
        children.push({ name: name.atom, spec: yield* readBody(child, places) });
        if (children.length % OPS === 0) yield;
        continue;
      }
      if (keyword.atom === "from" && !child) {
        const ops: Op[] = [];
        for (const op of sexp.items.slice(index + 1)) {
          ops.push(readOp(op, places));
          if (ops.length % OPS === 0) yield;
        }
        return { children, from: name.atom, ops };
      }
    }
    throw invalid("spec item", item, ITEM_FORM);
  }
  throw new SexpError("Failure", "Invalid spec: missing (from)", {
    at: sexp.at,
    about: toMachine(sexp),
    expected: SPEC_FORM,
  });
}

/** Ops whose fields follow the name without parentheses of their own. */
const INLINE = new Set(["run", "copy", "user", "env"]);

function readOp(sexp: Sexp, places: Map<Op, number | undefined>): Op {
  const [keyword, ...args] = isList(sexp) ? sexp.items : [];
  if (!keyword || !isAtom(keyword)) {
    throw invalid("op", sexp, `one of ${Object.values(OP_FORMS).join(", ")}`);
  }
  const tag = capitalize(keyword.atom);
  const inner = list(
    [tag, ...(INLINE.has(keyword.atom) ? [list(args, args[0]?.at ?? sexp.at)] : args)],
    sexp.at,
  );
  try {
    const op = readTagged(tag, inner);
    places.set(op, sexp.at);
    return op;
  } catch (error) {
    if (error instanceof SexpError) error.expected ??= OP_FORMS[tag];
    throw error;
  }
}

function readTagged(tag: string, op: List): Op {
  const args = op.items.slice(1);
  const one = (): Sexp => {
    if (args.length === 1) return args[0]!;
    const reason = `polymorphic variant tag "${tag}" has incorrect number of arguments`;
    throw conversionError(reason, op);
  };
  switch (tag) {
    case "Comment":
      return { op: "comment", text: readString(one()) };
    case "Workdir":
      return { op: "workdir", path: readString(one()) };
    case "Shell":
      return { op: "shell", words: args.map(readString) };
    case "Run":
      return readRun(one());
    case "Copy":
      return readCopy(one());
    case "User":
      return { op: "user", user: readUser(one()) };
    case "Env": {
      const [key, value] = readPair(one());
      return { op: "env", key, value };
    }
    default: {
      const error = conversionError("no matching variant found", op);
      error.expected = "one of comment, workdir, shell, run, copy, user, env";
      throw error;
    }
  }
}

function readRun(sexp: Sexp): RunOp {
  const fields = readRecord(withLists(sexp, ["cache", "network", "secrets"]), {
    cache: listOf((item) => readMount("cache", item)),
    network: listOf(readString),
    secrets: listOf((item) => readMount("secret", item)),
    shell: required(readString),
  });
  return { op: "run", ...fields };
}

function readCopy(sexp: Sexp): CopyOp {
  const fields = readRecord(withLists(sexp, ["src", "exclude"]), {
    from: optional(readSource, { from: "context" }),
    src: required((value) => (value as List).items.map(readString)),
    dst: required(readString),
    exclude: listOf(readString),
  });
  return { op: "copy", ...fields };
}

function readSource(sexp: Sexp): DataSource {
  if (isAtom(sexp)) {
    if (sexp.atom === "context") return { from: "context" };
  } else if (sexp.items.length === 2) {
    const [keyword, name] = sexp.items as [Sexp, Sexp];
    if (isAtom(keyword) && keyword.atom === "build" && isAtom(name)) {
      return { from: "build", name: name.atom };
    }
  }
  throw invalid("data source", sexp, SOURCE_FORM);
}

/** A cache or a secret: both have the same form. */
function readMount(what: "cache" | "secret", sexp: Sexp): Cache {
  const form = "(ID (target PATH) (buildkit_options ((KEY VALUE)…))), the last part if wanted";
  const [id, ...fields] = isList(sexp) ? sexp.items : [];
  if (!id || !isAtom(id)) throw invalid(what, sexp, form);
  const record = list([list(["id", id], id.at), ...fields], sexp.at);
  try {
    const { buildkit_options, ...mount } = readRecord(record, {
      id: required(readString),
      target: required(readString),
      buildkit_options: listOf(readPair),
    });
    return { ...mount, buildkitOptions: buildkit_options };
  } catch (error) {
    if (error instanceof SexpError) error.expected ??= form;
    throw error;
  }
}

/** Exactly the two shapes, in this order; whatever else is an invalid op. */
function readUser(sexp: Sexp): User {
  const items = isList(sexp) ? sexp.items : [];
  const names = items.map((field) => {
    const [name] = isList(field) && field.items.length === 2 ? field.items : [];
    return name && isAtom(name) ? name.atom : undefined;
  });
  if (names.length === 1 && names[0] === "name") {
    return readRecord(sexp as List, { name: required(readString) });
  }
  if (names.length === 2 && names[0] === "uid" && names[1] === "gid") {
    return readRecord(sexp as List, { uid: required(readInt), gid: required(readInt) });
  }
  throw invalid("op", sexp, USER_FORM);
}

function readInt(sexp: Sexp): bigint {
  if (isList(sexp)) throw conversionError("int_of_sexp: atom needed", sexp);
  const value = parseOcamlInt(sexp.atom);
  if (value === undefined) throw conversionError("int_of_sexp: (Failure int_of_string)", sexp);
  return value;
}

/** Turns fields written `(NAME VALUE…)` into `(NAME (VALUE…))`. */
function withLists(sexp: Sexp, names: readonly string[]): List {
  if (isAtom(sexp)) throw invalid("record field", sexp);
  const items = sexp.items.map((field) => {
    const [name, ...values] = isList(field) ? field.items : [];
    if (!name || !isAtom(name) || !names.includes(name.atom)) return field;
    return list([name, list(values, field.at)], field.at);
  });
  return list(items, sexp.at);
}

function invalid(what: string, sexp: Sexp, expected?: string): SexpError {
  const layout = new Layout().text(`Invalid ${what}: `);
  layHuman(layout, sexp);
  const details = { at: sexp.at, about: toMachine(sexp), expected };
  return new SexpError("Failure", layout.finish(), details);
}

/** ASCII only, as the reference does. */
function capitalize(name: string): string {
  return name.replace(/^[a-z]/, (letter) => letter.toUpperCase());
}
