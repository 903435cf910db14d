/*
 * Keeps a second process out of a store: opening one removes what is in the making there.
 *
 * A file beside the lock says who has it; if that is there although nobody has, its writer was
 * killed, and programs that it started may still be at work in the store.
 */

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { endOrphans, OWNER_MARK, takeLock } from "../../system/index.js";
import { StoreError } from "../errors.js";

/**
 * Takes the lock, and ends what its last owner may have left running; the result gives it back.
 * Throws `StoreError` if another process has it.
 */
export async function lockStore(stateDir: string): Promise<() => void> {
  const ownerFile = join(stateDir, "lock-owner");
  const unlock = takeLock(join(stateDir, "lock.sqlite"));
  if (unlock === undefined) {
    const owner = readOwner(ownerFile);
    throw new StoreError(
      `The store is in use by ${owner ? `process ${owner.pid}` : "another process"} (${stateDir}); stop that process, or use another store`,
    );
  }
  try {
    const last = readOwner(ownerFile);
    if (last?.mark !== undefined && last.mark !== OWNER_MARK) await endOrphans(last.mark);
    // Not before: if we are killed, too, the next one must know of those that are left.
    writeOwner(ownerFile);
  } catch (error) {
    unlock();
    throw error;
  }
  return () => {
    // Not that of another one, who has made the directory again after we removed it.
    if (readOwner(ownerFile)?.mark === OWNER_MARK) rmSync(ownerFile, { force: true });
    unlock();
  };
}

/** On a full disk a store must open nevertheless, or nobody could make room. */
function writeOwner(ownerFile: string): void {
  try {
    writeFileSync(ownerFile, `${process.pid} ${OWNER_MARK}\n`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}

/** Who wrote the file; undefined if it is not there or empty, as a full disk may leave it. */
function readOwner(ownerFile: string): { pid: string; mark: string | undefined } | undefined {
  try {
    const [pid, mark] = readFileSync(ownerFile, "utf8").trim().split(" ");
    return pid ? { pid, mark } : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
