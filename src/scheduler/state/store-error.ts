/**
 * What can be wrong with the state database, told to the person who has to put it right.
 */

import { SQLite } from "../../system/sqlite.js";

export type StoreErrorKind = "damaged" | "locked" | "inaccessible" | "foreign" | "failed";

const ADVICE: Readonly<Record<StoreErrorKind, string>> = {
  damaged:
    "It has been left as it is. Restore it from a backup, or move it away to start with an empty one " +
    "(clients' capabilities, rates and pauses are lost then).",
  locked: "Another program is using it, perhaps another scheduler: stop that, then try again.",
  inaccessible: "Check that the directory exists and that both may be read and written.",
  foreign: "It is not a scheduler's database, or of another version; it has been left as it is.",
  failed: "Check that the disk is not full and works.",
};

/**
 * A failure of the state database. `message` names the file, the cause as SQLite gives it, and what
 * to do.
 */
export class StoreError extends Error {
  override readonly name = "StoreError";

  constructor(
    readonly kind: StoreErrorKind,
    readonly path: string,
    cause: string,
    options?: ErrorOptions,
  ) {
    super(`Cannot use the state database "${path}": ${cause}. ${ADVICE[kind]}`, options);
  }

  /** For a failure with SQLite's code, such as `SQLITE_FULL`. */
  static of(path: string, code: string, cause: string, options?: ErrorOptions): StoreError {
    return new StoreError(kindOf(code), path, cause, options);
  }

  /** Runs a function, turning SQLite's errors into this one. */
  static guard<R>(path: string, use: () => R): R {
    try {
      return use();
    } catch (error) {
      if (!(error instanceof SQLite.SqliteError)) throw error;
      throw StoreError.of(path, error.code, error.message, { cause: error });
    }
  }
}

/** By the primary result code, https://sqlite.org/rescode.html. */
function kindOf(code: string): StoreErrorKind {
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) return "damaged";
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return "locked";
  if (/^SQLITE_(CANTOPEN|READONLY|PERM|AUTH)/.test(code)) return "inaccessible";
  if (code === "SQLITE_ERROR") return "foreign";
  return "failed";
}
