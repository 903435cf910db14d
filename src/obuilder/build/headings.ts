/*
 * The lines of a build's log that are not output of its steps. People and scripts search for
 * these texts, so they are the reference's to the byte.
 */

import { quoted } from "../../text/quoting.js";
import { Layout } from "../sexp/layout.js";
import { layHuman } from "../sexp/printer.js";
import { atom } from "../sexp/sexp.js";
import type { Op } from "../spec/spec.js";
import { layOp } from "../spec/spec-printer.js";

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
  layOp(layout, op);
  return layout.close().finish();
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
