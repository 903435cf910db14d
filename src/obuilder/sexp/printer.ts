/*
 * Writes S-expressions: the machine form, which layer ids are hashes of, and the human form, for
 * files and messages that people read.
 */

import { inOneGo } from "../../async/index.js";
import { escaped, mustQuote, quoted } from "../../text/index.js";
import { Layout } from "./layout.js";
import { isAtom, type List, type Sexp } from "./sexp.js";

/**
 * On one line, with a space only between two bare atoms: `(a(b"c d")e f)`.
 *
 * Without recursion: a manifest is as deep as the directories of whoever wrote them.
 */
export function toMachine(sexp: Sexp): string {
  return inOneGo(writingMachine(sexp));
}

/** Parts from one place where writing can be interrupted to the next. */
const PARTS = 4096;

/** `toMachine`, which yields where it can be interrupted. */
export function* writingMachine(sexp: Sexp): Generator<void, string> {
  const out: string[] = [];
  /** Lists that are open, with the index of the next item. */
  const open: { list: List; next: number }[] = [];
  let afterBare = false;
  for (let item: Sexp | undefined = sexp; ; ) {
    if (out.length % PARTS === PARTS - 1) yield;
    if (!item) {
      out.push(")");
      open.pop();
      afterBare = false;
    } else if (isAtom(item)) {
      const bare = !mustQuote(item.atom);
      if (bare && afterBare) out.push(" ");
      out.push(bare ? item.atom : quoted(item.atom));
      afterBare = bare;
    } else {
      out.push("(");
      open.push({ list: item, next: 0 });
      afterBare = false;
    }
    const top = open.at(-1);
    if (!top) return out.join("");
    item = top.list.items[top.next++];
  }
}

/** Laid out on lines of at most 78 bytes where that is possible. */
export function toHuman(sexp: Sexp): string {
  if (isAtom(sexp) && !sexp.atom.includes("\n")) {
    return mustQuote(sexp.atom) ? quoted(sexp.atom) : sexp.atom;
  }
  const layout = new Layout();
  layHuman(layout, sexp);
  return layout.finish();
}

/** Adds the human form to a layout. */
export function layHuman(layout: Layout, sexp: Sexp): void {
  if (isAtom(sexp)) {
    layAtom(layout, sexp.atom);
  } else if (sexp.items.length === 0) {
    layout.text("()");
  } else {
    layout.open("box", 1).text("(");
    sexp.items.forEach((item, i) => {
      if (i > 0) layout.hint();
      layHuman(layout, item);
    });
    layout.text(")").close();
  }
}

/**
 * An atom with a line feed before its end is spread over lines, each begun by the `\n` of the line
 * feed before it, after a backslash and a line break that the reader drops. A space before the
 * opening quote sets the following lines one column to the left of the text.
 */
function layAtom(layout: Layout, text: string): void {
  if (!mustQuote(text)) {
    layout.text(text);
    return;
  }
  const newline = text.indexOf("\n");
  if (newline < 0 || newline === text.length - 1) {
    layout.text(quoted(text));
    return;
  }
  layout.open("box").text(' "');
  text.split("\n").forEach((line, i) => {
    if (i > 0) layout.text("\\").newline().text("\\n");
    layout.text(escaped(line));
  });
  layout.text('"').close();
}
