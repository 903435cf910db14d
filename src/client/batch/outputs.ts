/**
 * Files of rows' results, fetched as rows end: `--output='/out/tile.tif:tiles/{key}.tif'`. They
 * appear whole or not at all, and what is there already is not fetched again.
 */
import { existsSync } from "node:fs";
import { CommandFailed, UsageError } from "../../console/index.js";
import type { Capability } from "../../rpc/index.js";
import { OutputFetch, readOutputSpec } from "../index.js";
import type { EndedRow } from "./batch-json.js";
import { Columns } from "./columns.js";
import { PathTemplate } from "./file-name.js";

/** Something in the result, and where each row's is to be put. */
export interface OutputTemplate {
  readonly remote: string;
  readonly local: PathTemplate;
}

/** @param outputs `REMOTE:LOCAL`. Throws a `UsageError`. */
export function outputTemplates(
  outputs: readonly string[],
  columns: readonly string[],
): OutputTemplate[] {
  return outputs.map((text) => {
    const at = /^((?:\\.|[^\\:])*):(.+)$/s.exec(text);
    if (!at) throw new UsageError(`option '--output': '${text}' is not REMOTE:LOCAL`);
    const local = PathTemplate.parse(at[2]!, "--output", new Columns(columns));
    if (!local.hasKey) {
      throw new UsageError(`option '--output': all rows would go to '${at[2]}': put {key} into it`);
    }
    const sample = readOutputSpec(`${at[1]}:${local.path({ key: "key", values: columns })}`);
    if (typeof sample === "string") throw new UsageError(`option '--output': ${sample}`);
    return { remote: at[1]!, local };
  });
}

/** Rejects with an `RpcError`, and with a `CommandFailed` that names the row. */
export async function fetchOutputs(
  records: Capability,
  row: EndedRow,
  outputs: readonly OutputTemplate[],
): Promise<void> {
  const { job } = row;
  const last = job.attempts.at(-1);
  if (outputs.length === 0 || !last || last.outputSize === 0) return;
  const missing = outputs.flatMap(({ local, remote }) => {
    const path = local.path(row);
    if (existsSync(path.replace(/\/$/, ""))) return [];
    const spec = readOutputSpec(`${remote}:${path}`);
    return typeof spec === "string" ? [] : [spec];
  });
  if (missing.length === 0) return;
  const fetch = new OutputFetch({ job: job.job, attempt: last.attempt, outputs: missing });
  await fetch.run(records).catch((error) => {
    if (!(error instanceof CommandFailed)) throw error;
    throw new CommandFailed(`Row ${row.key}: ${error.message}`, { cause: error });
  });
}
