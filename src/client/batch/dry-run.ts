/**
 * What a batch would be, for who wants to see it before: the first jobs in full, and how much of
 * them is shared.
 */
import { expand } from "../../batch/index.js";
import { readSexp, toHuman } from "../../obuilder/language.js";
import { visible, visibleLines } from "../../text/index.js";
import { type PreparedBatch, specOf } from "./prepare.js";
import { textOfBytes } from "./rows/row-source.js";

/** Rows that are shown. */
const SHOWN = 3;

const LONGEST = 16 * 1024 * 1024;

/** Lines. */
export function dryRun(prepared: PreparedBatch): string[] {
  const { count, sample, steps, template } = prepared;
  const lines = sample.slice(0, SHOWN).flatMap((row, index) => {
    const head = `; row ${index + 1}: ${visible(row.key)}`;
    if (steps) return [head, visibleLines(toHuman(readSexp(specOf(template, row)))), ""];
    const args = template.buildArgs.map((pieces) =>
      textOfBytes(expand(pieces, row.values, LONGEST)),
    );
    return [head, ...args.map((arg) => `--build-arg ${visible(arg)}`), ""];
  });
  const shared = steps
    ? ` The first ${steps.shared} of ${steps.all} steps are the same in all rows: each worker makes their layers once.`
    : "";
  return [...lines, `${count} rows.${shared} Nothing was submitted (--dry-run).`];
}
