/** From `--each` and `--range` to where their rows come from. */
import { createReadStream } from "node:fs";
import { UsageError } from "../../../console/index.js";
import { csvRows } from "./csv.js";
import { ITEM, jsonArrayRows, jsonLineRows } from "./json.js";
import { lines } from "./lines.js";
import type { RowSource, SourceRow } from "./row-source.js";

export type RowFormat = "csv" | "tsv" | "json" | "jsonl" | "lines";

const FORMATS: readonly RowFormat[] = ["csv", "tsv", "json", "jsonl", "lines"];

/** The column of `--range`. */
export const NUMBER = "n";

export interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Rows of a file, or of standard input where it is `-`. `csv:FILE` says what is in it; else the
 * file's name does.
 */
export async function openSource(each: string): Promise<RowSource> {
  const format = FORMATS.find((name) => each.startsWith(`${name}:`));
  const file = format === undefined ? each : each.slice(format.length + 1);
  const input: AsyncIterable<Buffer> = file === "-" ? process.stdin : createReadStream(file);
  const name = file === "-" ? "standard input" : file;
  switch (format ?? formatOf(file)) {
    case "csv":
      return await csvRows(name, input, ",");
    case "tsv":
      return await csvRows(name, input, "\t");
    case "json":
      return await jsonArrayRows(name, input);
    case "jsonl":
      return await jsonLineRows(name, input);
    case "lines":
      return { file: name, columns: [ITEM], rows: lineRows(input) };
  }
}

function formatOf(file: string): RowFormat {
  const ending = file.slice(file.lastIndexOf(".") + 1).toLowerCase();
  if (ending === "ndjson") return "jsonl";
  return FORMATS.find((format) => format === ending) ?? "lines";
}

async function* lineRows(input: AsyncIterable<Buffer>): AsyncGenerator<SourceRow[]> {
  for await (const some of lines(input)) {
    yield some
      .filter(({ bytes }) => bytes !== "")
      .map(({ bytes, line }) => ({ values: [bytes], line }));
  }
}

/** The numbers from one to another, both included. */
export function rangeSource({ from, to }: Range): RowSource {
  async function* rows(): AsyncGenerator<SourceRow[]> {
    for (let n = from; n <= to; ) {
      const some: SourceRow[] = [];
      for (; some.length < 1000 && n <= to; n++) {
        some.push({ values: [String(n)], line: n - from + 1 });
      }
      yield some;
    }
  }
  return { file: "--range", columns: [NUMBER], rows: rows() };
}

/**
 * All combinations of the rows of several sources, those of the last one changing fastest. But for
 * the first source they are kept in memory. Throws a `UsageError` if a column is in two of them.
 */
export async function combined(sources: readonly RowSource[]): Promise<RowSource> {
  const [first, ...others] = sources;
  if (first === undefined)
    throw new UsageError("give --each=FILE or --range=FROM-TO: what there is a job for");
  const columns = sources.flatMap((source) => source.columns);
  const twice = columns.find((name, index) => columns.indexOf(name) !== index);
  if (twice !== undefined) throw new UsageError(`there are two columns "${twice}"`);
  if (others.length === 0) return first;
  const inner: SourceRow[][] = [];
  for (const { rows } of others) {
    const all: SourceRow[] = [];
    for await (const some of rows) all.push(...some);
    inner.push(all);
  }
  return { file: first.file, columns, rows: product(first, inner) };
}

async function* product(
  first: RowSource,
  inner: readonly (readonly SourceRow[])[],
): AsyncGenerator<SourceRow[]> {
  for await (const some of first.rows) {
    for (const row of some) {
      for (const rest of tuples(inner))
        yield [{ values: [...row.values, ...rest], line: row.line }];
    }
  }
}

function* tuples(lists: readonly (readonly SourceRow[])[]): Generator<readonly string[]> {
  const [list, ...rest] = lists;
  if (list === undefined) {
    yield [];
    return;
  }
  for (const { values } of list) for (const more of tuples(rest)) yield [...values, ...more];
}
