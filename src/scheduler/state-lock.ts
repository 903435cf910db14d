/**
 * Keeps a second scheduler out of a state directory: each holds in memory what it has read, and would overwrite the other's.
 *
 * The lock is SQLite's on a database of its own that stays empty. The kernel takes it back from a process that dies, however
 * it does, and other programs do not mind the file.
 */
import { join } from "node:path";
import Database from "better-sqlite3";

export class StateInUse extends Error {
  override readonly name = "StateInUse";

  constructor(readonly directory: string) {
    super(
      `The state directory "${directory}" is in use by another scheduler. Stop that one, or start this one with another ` +
        "--state-dir (and --secrets-dir)",
    );
  }
}

/**
 * Takes the lock of a directory; the result gives it back. Throws `StateInUse`. Where nobody can lock, as on a file system that
 * is read-only or knows no locks, `onUnable` is told the cause, and there is none.
 */
export function lockState(directory: string, onUnable: (cause: string) => void): () => void {
  let db: Database.Database | undefined;
  try {
    db = new Database(join(directory, "scheduler.lock"), { timeout: 0 });
    // Nothing is ever written: not even a full disk can keep us from starting.
    db.pragma("journal_mode = MEMORY");
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db?.close();
    if (!(error instanceof Database.SqliteError)) throw error;
    if (error.code.startsWith("SQLITE_BUSY")) throw new StateInUse(directory);
    onUnable(error.message);
    return () => {};
  }
  return () => db.close();
}
