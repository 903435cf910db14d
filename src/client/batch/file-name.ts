/**
 * Names of files that are made of rows' keys and values. A name is the key where that is safe:
 * letters and digits of any script, and `_ - + = , @ .` but for a dot at the beginning; each byte
 * of all else is `%` and two hexadecimal digits, as in URLs. So different keys have different
 * names, and none leads out of its directory.
 */
import { createHash } from "node:crypto";
import { UsageError } from "../../console/index.js";
import type { Columns } from "./columns.js";
import { placeholdersIn, UnknownFilter } from "./placeholders.js";
import { textOfBytes } from "./rows/row-source.js";

/**
 * Bytes that a name may have in all usual file systems, less what is put behind it while it is
 * written.
 */
const LONGEST = 240;

export function fileNameOf(key: string): string {
  const safe = key.replace(/[^\p{L}\p{N}_+=,@.-]/gu, percent).replace(/^\./, "%2E");
  if (Buffer.byteLength(safe) <= LONGEST) return safe;
  // Too long for a file: what tells it from others is kept.
  const hash = createHash("sha256").update(key).digest("hex").slice(0, 16);
  return `${Buffer.from(safe)
    .subarray(0, LONGEST - 17)
    .toString()
    .replace(/\ufffd+$/, "")}~${hash}`;
}

function percent(character: string): string {
  return [...Buffer.from(character)]
    .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)
    .join("");
}

/** A path with `{key}` and columns in it, from an option. */
export class PathTemplate {
  private constructor(private readonly pieces: readonly (string | number)[]) {}

  /** @param columns of the rows. Throws a `UsageError` for a placeholder that is none of them. */
  static parse(text: string, flag: string, columns: Columns): PathTemplate {
    try {
      const pieces = placeholdersIn(Buffer.from(text).toString("latin1")).map((part) => {
        if (part.kind === "text") return textOfBytes(part.text);
        if (part.name === "key") return KEY;
        const column = columns.use(part.name);
        if (column !== null) return column;
        throw new UsageError(`option '${flag}': ${part.source}: ${columns.unknown(part.name)}`);
      });
      return new PathTemplate(pieces);
    } catch (error) {
      if (!(error instanceof UnknownFilter)) throw error;
      throw new UsageError(`option '${flag}': ${error.source}: ${error.message}`);
    }
  }

  /** Whether rows have paths of their own by their keys. */
  get hasKey(): boolean {
    return this.pieces.includes(KEY);
  }

  /** @param values bytes, a character for each */
  path({ key, values }: { readonly key: string; readonly values: readonly string[] }): string {
    return this.pieces
      .map((piece) => {
        if (typeof piece === "string") return piece;
        return fileNameOf(piece === KEY ? key : textOfBytes(values[piece]!));
      })
      .join("");
  }
}

/** Instead of a column's number. */
const KEY = -1;
