/**
 * Writes of `scheduler.db` that survive a power cut. The database's others need not, as those of
 * the reference: they cost no sync, and what they say is found out again.
 */
import type { Database } from "better-sqlite3";

/**
 * Returns when what `write` writes is on disk, with all that was written before; some milliseconds.
 * Throws what `write` throws.
 */
export function syncedWrite<R>(db: Database, write: () => R): R {
  db.pragma("synchronous = FULL");
  try {
    return write();
  } finally {
    db.pragma("synchronous = NORMAL");
  }
}
