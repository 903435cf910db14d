/** Rows of a CSV or TSV file, whose first line names the columns. */
import { type Info, type Parser, parse } from "csv-parse";
import { BatchInputError } from "../template-error.js";
import { type RowSource, type SourceRow, textOfBytes } from "./row-source.js";

/** Rows that are handed on at a time. */
const AT_ONCE = 1000;

type Parsed = { readonly record: string[]; readonly info: Info };

/** Resolves when the columns are known. Rejects with `BatchInputError`. */
export async function csvRows(
  file: string,
  input: AsyncIterable<Buffer>,
  delimiter: "," | "\t",
): Promise<RowSource> {
  const parser = parse({
    // Bytes are what counts, and all of them are of this encoding.
    encoding: "latin1",
    delimiter,
    info: true,
    skip_empty_lines: true,
    max_record_size: 64 * 1024 * 1024,
  });
  const rows = parsedRows(file, withoutBom(input), parser)[Symbol.asyncIterator]();
  const first = await rows.next();
  if (first.done) {
    throw new BatchInputError(
      { file, line: 1, column: 1 },
      "the first line is to name the columns, and there is none",
    );
  }
  const [header, ...more] = first.value;
  const columns = header!.values.map(textOfBytes);
  return { file, columns, rows: resumed(more, rows) };
}

async function* resumed(
  more: readonly SourceRow[],
  rest: AsyncIterator<readonly SourceRow[]>,
): AsyncGenerator<readonly SourceRow[]> {
  if (more.length > 0) yield more;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

async function* parsedRows(
  file: string,
  input: AsyncIterable<Buffer>,
  parser: Parser,
): AsyncGenerator<SourceRow[]> {
  let failure: (Error & { lines?: number; column?: number }) | undefined;
  parser.on("error", (error) => {
    failure = error;
  });
  let rows: SourceRow[] = [];
  const check = (): void => {
    if (!failure) return;
    const line = failure.lines ?? 1;
    throw new BatchInputError({ file, line, column: 1 }, failure.message);
  };
  const drain = (): void => {
    for (let got = parser.read() as Parsed | null; got; got = parser.read() as Parsed | null) {
      rows.push({ values: got.record, line: got.info.lines });
    }
    check();
  };
  for await (const piece of input) {
    await new Promise<void>((resolve) => {
      parser.once("error", () => resolve());
      parser.write(piece, () => resolve());
      drain();
    });
    drain();
    if (rows.length >= AT_ONCE) {
      yield rows;
      rows = [];
    }
  }
  await new Promise<void>((resolve) => {
    parser.once("error", () => resolve());
    parser.on("readable", drain).on("end", () => resolve());
    parser.end();
    drain();
  });
  check();
  if (rows.length > 0) yield rows;
}

/**
 * Some programs put a byte order mark before UTF-8, which is no part of the first column's name.
 */
async function* withoutBom(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let isFirst = true;
  for await (const piece of input) {
    const hasBom = isFirst && piece[0] === 0xef && piece[1] === 0xbb && piece[2] === 0xbf;
    isFirst = false;
    yield hasBom ? piece.subarray(3) : piece;
  }
}
