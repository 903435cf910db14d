/**
 * A lock by which one process has something for itself.
 *
 * It is SQLite's, on a database of its own that stays empty. The kernel takes it back from a
 * process that dies, however it does, and other programs do not mind the file.
 */
import { SQLite } from "./sqlite.js";

/**
 * Takes the lock, making its file if need be; the result gives it back. Undefined if it is taken.
 * Throws SQLite's error where nobody can lock, as on a file system that is read-only or knows no
 * locks.
 */
export function takeLock(file: string): (() => void) | undefined {
  const db = new SQLite(file, { timeout: 0 });
  try {
    // Nothing is ever written: not even a full disk is in the way.
    db.pragma("journal_mode = MEMORY");
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if ((error as { code?: string }).code?.startsWith("SQLITE_BUSY")) return undefined;
    throw error;
  }
  return () => db.close();
}
