/** Where the last lines of a log begin. */
import { JobRecords } from "../../api/index.js";
import type { Capability } from "../../rpc/index.js";
import type { LogPosition } from "./log-reader.js";

/** Bytes that are looked at, from the end backwards, at a time. */
const STEP = 64 * 1024;

const NEWLINE = 10;

/** The byte of an attempt's log, as it is now, where its last `lines` lines begin. */
export async function lastLines(
  records: Capability,
  { attempt, job }: Pick<JobRecords.LogRange, "job" | "attempt">,
  lines: number,
): Promise<LogPosition> {
  const range = { job, attempt };
  const last = await JobRecords.log(records, { ...range, start: -1, follow: false });
  // The newline at the very end does not begin a line.
  let left = last.data.at(-1) === NEWLINE ? lines + 1 : lines;
  if (lines === 0) return { attempt, start: last.next };
  for (let end = last.next; end > 0; ) {
    const start = Math.max(0, end - STEP);
    const piece = await readRange(records, range, start, end);
    for (let at = piece.length - 1; at >= 0; at--) {
      if (piece[at] === NEWLINE && --left === 0) return { attempt, start: start + at + 1 };
    }
    end = start;
  }
  return { attempt, start: 0 };
}

async function readRange(
  records: Capability,
  range: Pick<JobRecords.LogRange, "job" | "attempt">,
  start: number,
  end: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let at = start; at < end; ) {
    const { data, next } = await JobRecords.log(records, { ...range, start: at, follow: false });
    if (data.length === 0) break;
    parts.push(data.subarray(0, end - at));
    at = next;
  }
  return Buffer.concat(parts);
}
