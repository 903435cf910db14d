/**
 * Keeps a second process out of a state directory: a scheduler would overwrite what the other holds
 * in memory, and a worker would end the programs that the other has started.
 */
import { join } from "node:path";
import { takeLock } from "./lock.js";
import { SQLite } from "./sqlite.js";

/**
 * Whose directory it is, the name of the lock's file in it, and what one who comes second should
 * do.
 */
export interface StateOwner {
  readonly program: "scheduler" | "worker";
  readonly directory: string;
  readonly advice: string;
}

export class StateInUse extends Error {
  override readonly name = "StateInUse";

  constructor({ advice, directory, program }: StateOwner) {
    super(`The state directory "${directory}" is in use by another ${program}. ${advice}`);
  }
}

/**
 * Takes the lock of a directory, `PROGRAM.lock` in it; the result gives it back. Throws
 * `StateInUse`. Where nobody can lock, as on a file system that is read-only or knows no locks,
 * `onUnable` is told so, and there is no lock.
 */
export function lockState(owner: StateOwner, onUnable: (warning: string) => void): () => void {
  const { directory, program } = owner;
  let unlock: (() => void) | undefined;
  try {
    unlock = takeLock(join(directory, `${program}.lock`));
  } catch (error) {
    if (!(error instanceof SQLite.SqliteError)) throw error;
    onUnable(`Cannot lock "${directory}" against a second ${program}: ${error.message}`);
    return () => {};
  }
  if (unlock === undefined) throw new StateInUse(owner);
  return unlock;
}
