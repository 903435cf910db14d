/** Where rows come from. */

/** Values are bytes, a character for each (Latin-1). */
export interface SourceRow {
  readonly values: readonly string[];
  /** In its file, from 1. */
  readonly line: number;
}

export interface RowSource {
  /** For messages. */
  readonly file: string;
  readonly columns: readonly string[];
  /** All rows in order, some at a time; to be read once. Rejects with `BatchInputError`. */
  readonly rows: AsyncIterable<readonly SourceRow[]>;
}

/** The bytes of a text. */
export function bytesOfText(text: string): string {
  return /[^\x00-\x7f]/.test(text) ? Buffer.from(text).toString("latin1") : text;
}

/** The other way; what is no UTF-8 is U+FFFD. */
export function textOfBytes(bytes: string): string {
  return /[^\x00-\x7f]/.test(bytes) ? Buffer.from(bytes, "latin1").toString() : bytes;
}
