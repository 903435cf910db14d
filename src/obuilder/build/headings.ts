/*
 * The lines of a build's log that are not output of its steps. People and scripts search for
 * these texts, so they are the reference's to the byte, unless a spec makes them far longer than
 * itself: its author pays for what is printed neither in memory nor in time.
 */

import { quoted } from "../../text/index.js";
import { Layout } from "../sexp/layout.js";
import { layHuman } from "../sexp/printer.js";
import { atom, isAtom, list, type Sexp } from "../sexp/sexp.js";
import type { Op } from "../spec/spec.js";
import { layItem, sexpOfOp } from "../spec/spec-printer.js";

/** Before a nested build: `(build "NAME" …)` */
export function buildHeading(name: string): string {
  return `(build ${quoted(name)} …)`;
}

/** Before the base image: `(from IMAGE)` */
export function fromHeading(image: string): string {
  const layout = new Layout().text("(from ");
  layHuman(layout, atom(image));
  return layout.text(")").finish();
}

/**
 * Before an operation: `WORKDIR: OP`, with the work directory as it is before the operation, not
 * quoted. The fields of a `run`, and of a `copy` longer than a line, are on lines of their own.
 */
export function opHeading(workdir: string, op: Op): string {
  const layout = new Layout().open("vertical", 2).text(workdir).text(": ");
  layItem(layout, abridged(sexpOfOp(op)));
  return layout.close().finish();
}

/** Characters of a work directory that any heading has room for … */
const SHORT_WORKDIR = 100;

/** … and of longer ones in all headings of a build: each repeats the whole of it. */
const MAX_WORKDIRS = 1024 * 1024;

/** The headings of one build, or of the plan of one. */
export class OpHeadings {
  #room = MAX_WORKDIRS;

  /**
   * `opHeading`; when long work directories have been shown very often, only the ends of them are.
   */
  of(workdir: string, op: Op): string {
    if (workdir.length > SHORT_WORKDIR) this.#room -= workdir.length;
    return opHeading(this.#room < 0 ? shortened(workdir) : workdir, op);
  }
}

function shortened(workdir: string): string {
  return workdir.length <= SHORT_WORKDIR ? workdir : `…${workdir.slice(1 - SHORT_WORKDIR)}`;
}

/** Characters of an operation that are shown. */
const MAX_SHOWN = 256 * 1024;

/** What a line costs: it may be indented. */
const LINE_COST = 70;

/** An operation as it is or, if nobody could read all of it, its beginning. */
function abridged(op: Sexp): Sexp {
  let room = MAX_SHOWN;
  const abridge = (part: Sexp): Sexp => {
    if (isAtom(part)) {
      const cost = part.atom.length + LINE_COST * occurrences("\n", part.atom);
      room -= cost;
      if (room >= 0) return part;
      const share = Math.max(0, room + cost) / cost;
      return atom(`${part.atom.slice(0, share * part.atom.length)}…`);
    }
    const items: Sexp[] = [];
    for (const item of part.items) {
      room--;
      if (room < 0) return list([...items, "…"]);
      items.push(abridge(item));
    }
    return list(items);
  };
  return abridge(op);
}

function occurrences(part: string, text: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) count++;
  return count;
}

/** After a nested build. */
export function finishedNote(name: string): string {
  return `--> finished ${quoted(name)}`;
}

/** After a step that was run, whoever asked for it first. */
export function savedNote(id: string): string {
  return `---> saved as ${quoted(id)}`;
}

/** After a step whose layer was in the store. */
export function cachedNote(id: string): string {
  return `---> using ${quoted(id)} from cache`;
}

/** While the same step, cancelled by those who had asked for it before, comes to its end. */
export const WAITING_NOTE = "Waiting for previous build to finish cancelling";
