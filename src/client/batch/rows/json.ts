/**
 * Rows of JSON: a line each, or the elements of one array. An object's members are columns,
 * anything else is the column `item`. Numbers keep their text: 0.10 is not 0.1.
 */
import { quoted } from "../../../text/index.js";
import { BatchInputError } from "../template-error.js";
import { lines } from "./lines.js";
import { bytesOfText, type RowSource, type SourceRow } from "./row-source.js";

/** Bytes of a file with one array: all of it has to be read before the first row is known. */
const MAX_ARRAY = 512 * 1024 * 1024;

/** The column of what is no object. */
export const ITEM = "item";

/** Rejects with `BatchInputError`. */
export async function jsonLineRows(file: string, input: AsyncIterable<Buffer>): Promise<RowSource> {
  return await fromValues(file, lineValues(file, input));
}

export async function jsonArrayRows(
  file: string,
  input: AsyncIterable<Buffer>,
): Promise<RowSource> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of input) {
    size += piece.length;
    if (size > MAX_ARRAY) {
      throw fail(file, 1, `the array has more than ${MAX_ARRAY} bytes: use JSON lines (.jsonl)`);
    }
    pieces.push(piece);
  }
  const array = parsed(file, 1, Buffer.concat(pieces).toString());
  if (!Array.isArray(array)) throw fail(file, 1, "this is to be an array of rows");
  async function* values(): AsyncGenerator<Value[]> {
    yield (array as unknown[]).map((value, index) => ({ value, line: index + 1 }));
  }
  return await fromValues(file, values());
}

interface Value {
  readonly value: unknown;
  readonly line: number;
}

async function* lineValues(file: string, input: AsyncIterable<Buffer>): AsyncGenerator<Value[]> {
  for await (const some of lines(input)) {
    yield some
      .filter(({ bytes }) => bytes.trim() !== "")
      .map(({ bytes, line }) => {
        const text = Buffer.from(bytes, "latin1").toString();
        return { value: parsed(file, line, text), line };
      });
  }
}

async function fromValues(file: string, values: AsyncGenerator<Value[]>): Promise<RowSource> {
  let first = await values.next();
  while (!first.done && first.value.length === 0) first = await values.next();
  if (first.done) return { file, columns: [], rows: nothing() };
  const columns = columnsOf(first.value[0]!.value);
  async function* rows(): AsyncGenerator<SourceRow[]> {
    for (let next = first; !next.done; next = await values.next()) {
      yield next.value.map(({ line, value }) => ({
        line,
        values: rowOf(file, line, value, columns),
      }));
    }
  }
  return { file, columns, rows: rows() };
}

async function* nothing(): AsyncGenerator<SourceRow[]> {}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function columnsOf(value: unknown): string[] {
  return isObject(value) ? Object.keys(value) : [ITEM];
}

function rowOf(file: string, line: number, value: unknown, columns: readonly string[]): string[] {
  const row = isObject(value) ? value : { [ITEM]: value };
  const extra = Object.keys(row).find((name) => !columns.includes(name));
  if (extra !== undefined) {
    throw fail(file, line, `the first row has no column ${quoted(extra)}, and this one has`);
  }
  return columns.map((name) => {
    const found = Object.hasOwn(row, name) ? row[name] : null;
    if (found === null) throw fail(file, line, `there is no value for ${quoted(name)}`);
    if (typeof found === "object") {
      throw fail(file, line, `the value of ${quoted(name)} is to be a text or a number`);
    }
    return bytesOfText(String(found));
  });
}

const SCALARS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** The value, with numbers as their text. */
function parsed(file: string, line: number, text: string): unknown {
  try {
    JSON.parse(text);
  } catch (error) {
    throw fail(file, line, `this is no JSON: ${(error as Error).message}`);
  }
  return JSON.parse(text.replace(SCALARS, (each) => (each.startsWith('"') ? each : `"${each}"`)));
}

function fail(file: string, line: number, problem: string): BatchInputError {
  return new BatchInputError({ file, line, column: 1 }, problem);
}
