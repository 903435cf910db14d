/**
 * Placeholders in the values of options, such as `--key='{lat}_{lon}'`: values are put in as they
 * are.
 */
import type { Template } from "../../batch/index.js";
import { UsageError } from "../../console/index.js";
import { toBytes } from "../../text/index.js";
import type { Columns } from "./columns.js";
import { placeholdersIn, UnknownFilter } from "./placeholders.js";

/** @param flag of the option whose value this is. Throws a `UsageError`. */
export function compileText(text: string, flag: string, columns: Columns): Template {
  const bytes = toBytes(text).toString("latin1");
  try {
    return placeholdersIn(bytes).map((part) => {
      if (part.kind === "text") return part.text;
      const { filter, name, source } = part;
      const column = columns.use(name);
      if (column === null) {
        throw new UsageError(`option '${flag}': ${source}: ${columns.unknown(name)}`);
      }
      const writing = filter === "sh" ? "word" : "plain";
      columns.useAs(column, writing);
      return { column, escape: writing };
    });
  } catch (error) {
    if (!(error instanceof UnknownFilter)) throw error;
    throw new UsageError(`option '${flag}': ${error.source}: ${error.message}`);
  }
}
