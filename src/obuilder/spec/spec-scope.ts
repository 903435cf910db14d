/*
 * Which nested builds a `copy` may read from: those written before it in the same spec, and those
 * in scope where the enclosing build stands. So an uncle is in scope; the build itself, its later
 * siblings, nephews and grandchildren are not.
 */

import { compareBytes } from "../../text/index.js";
import { SexpError } from "../sexp/errors.js";
import { Layout } from "../sexp/layout.js";
import { Scope } from "./scope.js";
import type { CopyOp, Op, Spec } from "./spec.js";
import { layOp } from "./spec-printer.js";

/**
 * Throws a `SexpError` of kind `Failure` for the first `copy` from a build that is not in scope.
 * `placeOf` tells an operation's byte offset in the text, if there is one.
 */
export function checkScope(
  spec: Spec,
  placeOf: (op: Op) => number | undefined = () => undefined,
  outer?: Scope<true>,
): void {
  const scope = new Scope<true>(outer);
  for (const { name, spec: child } of spec.children) {
    checkScope(child, placeOf, scope);
    scope.set(name, true);
  }
  for (const op of spec.ops) {
    if (op.op !== "copy" || op.from.from !== "build" || scope.has(op.from.name)) continue;
    throw unknownBuild(op, op.from.name, scope, placeOf(op));
  }
}

function unknownBuild(op: CopyOp, name: string, scope: Scope<true>, at?: number): SexpError {
  const hints = [...scope.names()].sort(compareBytes);
  const layout = new Layout().open("box").text("Unknown build ");
  layQuoted(layout, name);
  layout.text(" in ");
  layOp(layout, op);
  layout.text(".");
  if (hints.length > 0) {
    layout.hint().text("Did you mean ");
    layAlternatives(layout, hints);
    layout.text(" ?");
  }
  const message = layout.close().finish();
  const expected =
    hints.length > 0
      ? `the name of a build in scope: ${hints.join(", ")}`
      : "the name of a (build …) written before this build's (from …)";
  return new SexpError("Failure", message, { at, about: name, expected });
}

/** `"a"`, `either "a" or "b"`, `one of "a", "b", or "c"` */
function layAlternatives(layout: Layout, names: readonly string[]): void {
  const [first, second] = names;
  if (names.length === 1) {
    layQuoted(layout, first!);
    return;
  }
  layout.open("box");
  if (names.length === 2) {
    layout.text("either ");
    layQuoted(layout, first!);
    layout.text(" or").hint();
    layQuoted(layout, second!);
  } else {
    layout.text("one of").hint();
    for (const [i, name] of names.entries()) {
      if (i > 0) layout.text(",").hint();
      if (i === names.length - 1) layout.text("or").hint();
      layQuoted(layout, name);
    }
  }
  layout.close();
}

/** The name between quotes, as it is. */
function layQuoted(layout: Layout, name: string): void {
  layout.open("box", 1).text('"').text(name).text('"').close();
}
