/**
 * Which workers have names that do not come back, in a table of our own in the state database. It
 * is made when the first of them comes: until then the database is as the reference's scheduler has
 * it.
 */
import type { Database } from "better-sqlite3";

const TABLE = "ephemeral_workers";

/** All methods throw SQLite's errors. A change takes some 30 µs, and is not synced. */
export class EphemeralTable {
  private exists: boolean;

  constructor(private readonly db: Database) {
    const found = db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
    this.exists = found.get(TABLE) !== undefined;
  }

  list(pool: string): string[] {
    if (!this.exists) return [];
    return this.db
      .prepare<[string], { id: string }>(`SELECT id FROM ${TABLE} WHERE pool = ?`)
      .all(pool)
      .map(({ id }) => id);
  }

  add(pool: string, worker: string): void {
    if (!this.exists) {
      const columns = "pool TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (pool, id)";
      this.db.exec(`CREATE TABLE IF NOT EXISTS ${TABLE} (${columns})`);
      this.exists = true;
    }
    this.db.prepare(`INSERT OR IGNORE INTO ${TABLE} (pool, id) VALUES (?, ?)`).run(pool, worker);
  }

  remove(pool: string, worker: string): void {
    if (!this.exists) return;
    this.db.prepare(`DELETE FROM ${TABLE} WHERE pool = ? AND id = ?`).run(pool, worker);
  }

  /** Gives all of a pool to another one; or removes them, if `to` is null. */
  move(pool: string, to: string | null): void {
    if (!this.exists) return;
    if (to !== null) {
      this.db
        .prepare(
          `INSERT OR IGNORE INTO ${TABLE} (pool, id) SELECT ?, id FROM ${TABLE} WHERE pool = ?`,
        )
        .run(to, pool);
    }
    this.db.prepare(`DELETE FROM ${TABLE} WHERE pool = ?`).run(pool);
  }
}
