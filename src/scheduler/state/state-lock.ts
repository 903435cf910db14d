/**
 * Keeps a second scheduler out of a state directory: each holds in memory what it has read, and would overwrite the other's.
 */
import { join } from "node:path";
import { takeLock } from "../../system/lock.js";
import { SQLite } from "../../system/sqlite.js";

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
  let unlock: (() => void) | undefined;
  try {
    unlock = takeLock(join(directory, "scheduler.lock"));
  } catch (error) {
    if (!(error instanceof SQLite.SqliteError)) throw error;
    onUnable(error.message);
    return () => {};
  }
  if (unlock === undefined) throw new StateInUse(directory);
  return unlock;
}
