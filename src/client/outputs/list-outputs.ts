/** `outputs`: which files are kept of a job. Names come from others, and are made visible here. */
import type { OutputStream } from "../../api/index.js";
import { type Column, Table } from "../../console/index.js";
import { isoMoment, visible, visibleJson, writeMoment, writeSize } from "../../text/index.js";
import { writeLines } from "../jobs/lines.js";
import { type RecordsOptions, withRecords } from "../jobs/records-session.js";
import { OutputSource } from "./output-source.js";

export interface ListOutputs extends RecordsOptions {
  readonly job: number;
  /** Undefined: the newest of which files are kept. */
  readonly attempt?: number | undefined;
  readonly json: boolean;
}

/** Lines that are made at once. */
const AT_ONCE = 1000;

/** Rejects with `CommandFailed`. */
export async function listOutputs(options: ListOutputs): Promise<void> {
  const { attempt, job, json } = options;
  const source = await withRecords(options, (records) => OutputSource.open(records, job, attempt));
  const { entries } = source.list;
  const table = new Table(COLUMNS);
  for (let at = 0; at === 0 || at < entries.length; at += AT_ONCE) {
    const some = entries.slice(at, at + AT_ONCE);
    const lines = json
      ? some.map((entry) => entryJson(source, entry))
      : table.lines(some.map((entry) => COLUMNS.map(({ cell }) => cell(entry))));
    await writeLines(lines);
  }
}

const COLUMNS: readonly (Column & { cell(entry: OutputStream.OutputEntry): string })[] = [
  { head: "MODE", cell: modeText },
  {
    head: "SIZE",
    align: "right",
    cell: (entry) => (entry.type === "file" ? writeSize(entry.size) : ""),
  },
  { head: "CHANGED", align: "right", cell: ({ mtime }) => writeMoment(mtime) },
  {
    head: "PATH",
    cell: (entry) => {
      const target = entry.type === "link" ? ` -> ${visible(entry.target)}` : "";
      return `/${visible(entry.path)}${entry.type === "dir" ? "/" : ""}${target}`;
    },
  },
];

/** As `ls` shows it: `-rw-r--r--` */
function modeText({ mode, type }: OutputStream.OutputEntry): string {
  const kind = type === "file" ? "-" : type === "dir" ? "d" : "l";
  const bits = Array.from("rwxrwxrwx", (letter, i) => (mode & (0o400 >> i) ? letter : "-"));
  return kind + bits.join("");
}

function entryJson({ attempt, job }: OutputSource, entry: OutputStream.OutputEntry): string {
  return visibleJson({ id: job, attempt, ...entryFields(entry) });
}

/** As far as dates go, in seconds: what workers say may be anything. */
const MAX_MOMENT = 8.64e12;

/** A file for programs. */
export function entryFields(entry: OutputStream.OutputEntry) {
  const { mode, mtime, path, type } = entry;
  return {
    path: `/${path}`,
    type,
    mode: mode.toString(8).padStart(4, "0"),
    mtime: isoMoment(Math.min(Math.max(mtime, -MAX_MOMENT), MAX_MOMENT)),
    size: entry.type === "file" ? entry.size : null,
    sha256: entry.type === "file" ? entry.sha256 : null,
    target: entry.type === "link" ? entry.target : null,
  };
}
