/**
 * Logs of a batch's rows as files, fetched as rows end. A log appears whole or not at all, and one
 * that is there is not fetched again: its file has the time of the attempt's end.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import type { Capability } from "../../rpc/index.js";
import { LogReader } from "../index.js";
import type { EndedRow } from "./batch-json.js";
import type { PathTemplate } from "./file-name.js";

/** Rejects with an `RpcError`, and the system's errors. */
export async function fetchLog(
  records: Capability,
  row: EndedRow,
  paths: PathTemplate,
): Promise<void> {
  const attempt = row.job.attempts.at(-1);
  if (!attempt) return;
  const path = paths.path(row);
  const ended = Math.floor(attempt.ended ?? 0);
  if (isThere(path, attempt.logSize, ended)) return;
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.partial`;
  const file = openSync(partial, "w");
  try {
    const from = { attempt: attempt.attempt, start: 0 };
    const reader = new LogReader(row.job.job, from, async (data) => {
      for (let done = 0; done < data.length; ) done += writeSync(file, data, done);
    });
    await reader.readAll(records, { follow: false });
  } finally {
    closeSync(file);
  }
  utimesSync(partial, ended, ended);
  renameSync(partial, path);
}

function isThere(path: string, size: number, ended: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && found.size === size && Math.floor(found.mtimeMs / 1000) === ended;
}
