/*
 * Keeps a second process out of a store: opening one removes what is in the making there.
 *
 * The lock is SQLite's on an otherwise empty database, which the kernel takes back from a process that dies.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { StoreError } from "../errors.js";

/** Takes the lock; the result gives it back. Throws `StoreError` if another process has it. */
export function lockStore(stateDir: string): () => void {
  const ownerFile = join(stateDir, "lock-owner");
  const db = new Database(join(stateDir, "lock.sqlite"), { timeout: 0 });
  try {
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if ((error as { code?: string }).code !== "SQLITE_BUSY") throw error;
    throw new StoreError(
      `The store is in use by ${readOwner(ownerFile)} (${stateDir}); stop that process, or use another store`,
    );
  }
  writeFileSync(ownerFile, `${process.pid}\n`);
  return () => db.close();
}

function readOwner(ownerFile: string): string {
  try {
    return `process ${readFileSync(ownerFile, "utf8").trim()}`;
  } catch {
    return "another process";
  }
}
