/**
 * The scheduler's state on disk: one SQLite database, `scheduler.db` in the state directory.
 *
 * Its schema is shared with OCluster's scheduler in OCaml, text for text, so that a state directory
 * can be moved from one to the other and back. What only we need must go into tables of our own.
 *
 * Durability is that of the other scheduler: each write is a transaction of its own in WAL mode
 * with synchronous NORMAL. It survives the process being killed; a power cut may cost the last
 * ones, but not the database. What an administrator decides is on disk when it is answered
 * (synced-write.ts): clients, rates, pauses, forgotten workers. The scheduler must be the only one
 * to write to it: what was read once is kept in memory.
 */

import { statSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { SQLite } from "../../system/sqlite.js";
import { EphemeralTable } from "./ephemeral-table.js";
import { KeptPools } from "./kept-pools.js";
import { SqlitePoolStore } from "./pool-store.js";
import { StoreError } from "./store-error.js";
import { SturdyRefs } from "./sturdy-refs.js";
import { WriteQueue } from "./write-queue.js";

/** The database's name in the state directory. */
export const SCHEDULER_DATABASE = "scheduler.db";

/** How long a statement waits for another program's lock, in ms, while the database is opened. */
const OPEN_TIMEOUT_MS = 1000;

/**
 * The same from then on, as the whole process waits with it. Writes that matter are tried again:
 * see `writes`.
 */
const BUSY_TIMEOUT_MS = 10;

const SCHEMA = [
  "CREATE TABLE IF NOT EXISTS cached ( \
pool       TEXT NOT NULL, \
cache_hint TEXT NOT NULL, \
worker     TEXT NOT NULL, \
created    DATETIME NOT NULL, \
PRIMARY KEY (pool, cache_hint, worker))",
  "CREATE TABLE IF NOT EXISTS pool_user_rate ( \
pool       TEXT NOT NULL, \
user       TEXT NOT NULL, \
rate       REAL NOT NULL, \
PRIMARY KEY (pool, user))",
  "CREATE TABLE IF NOT EXISTS workers ( \
pool       TEXT NOT NULL, \
id         TEXT NOT NULL, \
paused     BOOLEAN DEFAULT 0, \
PRIMARY KEY (pool, id))",
  "CREATE TABLE IF NOT EXISTS sturdy_refs ( \
hash       BLOB NOT NULL, \
type       TEXT NOT NULL, \
args       BLOB NOT NULL, \
created    DATETIME NOT NULL, \
PRIMARY KEY (hash))",
  "CREATE INDEX IF NOT EXISTS sturdy_refs_rev ON sturdy_refs (type, args)",
];

export interface StoreOptions {
  /**
   * Is told when something fails that the scheduler can do without: reading or writing who holds a
   * hint.
   */
  readonly onWarning?: (warning: StoreError) => void;
  /** The time in milliseconds since the Unix epoch, for the dates of records. */
  readonly now?: () => number;
}

export class Store {
  readonly sturdyRefs: SturdyRefs;
  readonly kept: KeptPools;
  /**
   * Through which writes go that must not be lost when another program has locked the database for
   * a while.
   */
  readonly writes = new WriteQueue();
  private readonly ephemeral: EphemeralTable;

  private constructor(
    private readonly db: Database,
    private readonly path: string,
    private readonly onWarning: (warning: StoreError) => void,
    private readonly now: () => number,
    private readonly today = dateOf(now),
  ) {
    this.sturdyRefs = new SturdyRefs(db, path, today);
    this.ephemeral = new EphemeralTable(db);
    this.kept = new KeptPools(db, path, this.ephemeral);
  }

  /**
   * Opens the database, or makes it if the file does not exist or is empty. `:memory:` is one that
   * is not kept. Throws a `StoreError`, having written nothing, if the database is damaged or
   * locked or is something else. Reads all of an existing database once, to know that.
   */
  static open(path: string, { onWarning = () => {}, now = Date.now }: StoreOptions = {}): Store {
    return StoreError.guard(path, () => {
      if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0) checkHealth(path);
      const db = new SQLite(path, { timeout: OPEN_TIMEOUT_MS });
      try {
        db.pragma("journal_mode = WAL");
        db.pragma("synchronous = NORMAL");
        // Takes the lock for writing even if there is nothing to write, to find out now whether we
        // can.
        db.transaction(() => {
          for (const statement of SCHEMA) db.exec(statement);
        }).immediate();
        db.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
        return new Store(db, path, onWarning, now);
      } catch (error) {
        db.close();
        throw error;
      }
    });
  }

  /**
   * What is kept for the pool of that name. Make one at a time for each: it holds much of it in
   * memory.
   */
  pool(name: string): SqlitePoolStore {
    const { ephemeral, path, today, now, onWarning } = this;
    return new SqlitePoolStore(this.db, { pool: name, ephemeral, path, today, now, onWarning });
  }

  close(): void {
    this.db.close();
  }
}

/**
 * The date as SQLite's `date('now')` gives it, in UTC. Asked for with every job, so it is made once
 * a day.
 */
function dateOf(now: () => number): () => string {
  let day = Number.NaN;
  let date = "";
  return () => {
    const today = Math.floor(now() / 86_400_000);
    if (today !== day) {
      day = today;
      date = new Date(now()).toISOString().slice(0, 10);
    }
    return date;
  };
}

/**
 * Throws if there is something wrong. The connection only reads, so a damaged file stays as it is,
 * to be rescued.
 */
function checkHealth(path: string): void {
  const db = new SQLite(path, { readonly: true, timeout: OPEN_TIMEOUT_MS });
  try {
    const [finding] = db.pragma("quick_check(1)") as { readonly quick_check: string }[];
    const complaint = finding?.quick_check ?? "no answer to the check";
    if (complaint !== "ok") {
      throw new StoreError("damaged", path, complaint.replaceAll("\n", " "));
    }
  } finally {
    db.close();
  }
}
