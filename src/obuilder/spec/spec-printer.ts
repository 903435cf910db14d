/*
 * Writes specs: as S-expressions in canonical form, and laid out for people.
 */

import { Layout } from "../sexp/layout.js";
import { layHuman } from "../sexp/printer.js";
import { isAtom, type List, list, type Sexp } from "../sexp/sexp.js";
import { type Cache, isUnixUser, type Op, type Spec, type User } from "./spec.js";

/**
 * The canonical form: fields in a fixed order, those that are empty or have their default left
 * out, numbers in decimal.
 */
export function sexpOfSpec(spec: Spec): List {
  return list([
    ...spec.children.map((child) => list(["build", child.name, sexpOfSpec(child.spec)])),
    list(["from", spec.from]),
    ...spec.ops.map(sexpOfOp),
  ]);
}

export function sexpOfOp(op: Op): List {
  switch (op.op) {
    case "comment":
      return list(["comment", op.text]);
    case "workdir":
      return list(["workdir", op.path]);
    case "shell":
      return list(["shell", ...op.words]);
    case "run":
      return list([
        "run",
        ...unlessEmpty("cache", op.cache.map(sexpOfMount)),
        ...unlessEmpty("network", op.network),
        ...unlessEmpty("secrets", op.secrets.map(sexpOfMount)),
        list(["shell", op.shell]),
      ]);
    case "copy":
      return list([
        "copy",
        ...(op.from.from === "build" ? [list(["from", list(["build", op.from.name])])] : []),
        list(["src", ...op.src]),
        list(["dst", op.dst]),
        ...unlessEmpty("exclude", op.exclude),
      ]);
    case "user":
      return list(["user", ...sexpOfUser(op.user).items]);
    case "env":
      return list(["env", op.key, op.value]);
  }
}

/** `((uid N)(gid N))` or `((name NAME))` */
export function sexpOfUser(user: User): List {
  if (!isUnixUser(user)) return list([list(["name", user.name])]);
  return list([list(["uid", user.uid.toString()]), list(["gid", user.gid.toString()])]);
}

function sexpOfMount(mount: Cache): List {
  const options = mount.buildkitOptions.map(([key, value]) => list([key, value]));
  return list([
    mount.id,
    list(["target", mount.target]),
    ...(options.length > 0 ? [list(["buildkit_options", list(options)])] : []),
  ]);
}

function unlessEmpty(name: string, values: readonly (Sexp | string)[]): List[] {
  return values.length > 0 ? [list([name, ...values])] : [];
}

/** A spec laid out as people write it, without a line feed at the end. */
export function formatSpec(spec: Spec): string {
  const layout = new Layout().text("(").open("vertical");
  layEach(layout, sexpOfSpec(spec).items, layItem, 0);
  return layout.close().hint(0).text(")").finish();
}

/** Adds an operation to a layout: in one line but for the fields of `run` and `copy`. */
export function layOp(layout: Layout, op: Op): void {
  layItem(layout, sexpOfOp(op));
}

/** Adds an item of a spec to a layout, in its canonical form. */
export function layItem(layout: Layout, item: Sexp): void {
  const [keyword, ...args] = isAtom(item) ? [] : item.items;
  const name = keyword && isAtom(keyword) ? keyword.atom : undefined;
  if (name === "run") {
    layout.text("(run ").open("vertical");
    layEach(layout, args, layOneLine, 0);
    layout.close().text(")");
  } else if (name === "copy") {
    layout.text("(copy ").open("all-or-none");
    layEach(layout, args, layOneLine, 1);
    layout.close().text(")");
  } else if (name === "build" && args.length === 2 && !isAtom(args[1]!)) {
    layout.text("(build ").open("vertical");
    layHuman(layout, args[0]!);
    layout.hint(0).text("(").open("vertical");
    layEach(layout, args[1]!.items, layItem, 0);
    layout.close().text(")").close().text(")");
  } else {
    layOneLine(layout, item);
  }
}

function layOneLine(layout: Layout, sexp: Sexp): void {
  layout.open("horizontal");
  layFlat(layout, sexp);
  layout.close();
}

function layFlat(layout: Layout, sexp: Sexp): void {
  if (isAtom(sexp)) {
    layHuman(layout, sexp);
  } else {
    layout.text("(");
    layEach(layout, sexp.items, layFlat, 1);
    layout.text(")");
  }
}

function layEach(
  layout: Layout,
  items: readonly Sexp[],
  lay: (layout: Layout, item: Sexp) => void,
  hint: number,
): void {
  for (const [i, item] of items.entries()) {
    if (i > 0) layout.hint(hint);
    lay(layout, item);
  }
}
