/**
 * What a scheduler has in an object store: `artefacts.db` in its state directory. To ask the store
 * for a list of a million objects would take minutes at each start.
 *
 * Of each stream, one row: *open*, from before anything of it is in the store until it is whole;
 * *kept*, until its object is removed. So whatever is in the store has a row here, and what was
 * left by a kill is found.
 */
import type { Database, Statement } from "better-sqlite3";
import { SQLite } from "../../system/sqlite.js";
import type { Kept } from "./kept-outputs.js";
import { StoreError } from "./store-error.js";

/** A stream on its way into the store. */
export interface OpenStream {
  readonly job: number;
  readonly attempt: number;
  readonly size: number;
  /** "": in one piece. */
  readonly upload: string;
  /** Bytes of each part but the last. */
  readonly part: number;
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS streams (
  place   TEXT NOT NULL,
  job     INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  size    INTEGER NOT NULL,
  upload  TEXT,
  part    INTEGER NOT NULL,
  since   REAL NOT NULL,
  PRIMARY KEY (place, job, attempt)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS streams_open ON streams (place) WHERE upload IS NOT NULL`;

/** Bytes of the log of writes, after which it is put into the database. */
const CHECKPOINT_PAGES = 256;

/** All methods throw a `StoreError` if the database fails; a change is on disk when they return. */
export class BucketIndex {
  private readonly insert: Statement<
    [string, number, number, number, string | null, number, number]
  >;
  private readonly byId: Statement<[string, number, number], Row>;
  private readonly allKept: Statement<[string], Row>;
  private readonly allOpen: Statement<[string], Row & { upload: string }>;
  private readonly erase: Statement<[string, number, number]>;

  private constructor(
    private readonly db: Database,
    private readonly path: string,
    /** Which store and records the rows are of. */
    private readonly place: string,
  ) {
    this.insert = db.prepare("INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?, ?, ?, ?)");
    this.byId = db.prepare("SELECT * FROM streams WHERE place = ? AND job = ? AND attempt = ?");
    const all = "SELECT * FROM streams WHERE place = ? AND upload IS";
    this.allKept = db.prepare(`${all} NULL ORDER BY since`);
    this.allOpen = db.prepare(`${all} NOT NULL`);
    this.erase = db.prepare("DELETE FROM streams WHERE place = ? AND job = ? AND attempt = ?");
  }

  static open(path: string, place: string): BucketIndex {
    return StoreError.guard(path, () => {
      const db = new SQLite(path);
      db.pragma("journal_mode = WAL");
      db.pragma("synchronous = FULL");
      db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
      db.exec(SCHEMA);
      return new BucketIndex(db, path, place);
    });
  }

  /** Kept ones, the oldest first: there may be very many. */
  kept(): Kept[] {
    const rows = this.guard(() => this.allKept.all(this.place));
    return rows.map(({ attempt, job, since, size }) => ({ job, attempt, size, since }));
  }

  /** Open ones: there are but a few, and no more than these are looked at. */
  open(): OpenStream[] {
    const rows = this.guard(() => this.allOpen.all(this.place));
    return rows.map(({ attempt, job, part, size, upload }) => ({
      ...{ job, attempt, size, upload, part },
    }));
  }

  /** An open one. */
  find(job: number, attempt: number): OpenStream | undefined {
    const row = this.guard(() => this.byId.get(this.place, job, attempt));
    if (!row || row.upload === null) return undefined;
    return { job, attempt, size: row.size, upload: row.upload, part: row.part };
  }

  begin({ attempt, job, part, size, upload }: OpenStream): void {
    this.put({ job, attempt, size, upload, part, since: Date.now() / 1000 });
  }

  keep({ attempt, job, since, size }: Kept): void {
    this.put({ job, attempt, size, upload: null, part: 0, since });
  }

  remove({ attempt, job }: Pick<Kept, "job" | "attempt">): void {
    this.guard(() => this.erase.run(this.place, job, attempt));
  }

  close(): void {
    this.db.close();
  }

  private put({ attempt, job, part, since, size, upload }: Row): void {
    this.guard(() => this.insert.run(this.place, job, attempt, size, upload, part, since));
  }

  private guard<R>(use: () => R): R {
    return StoreError.guard(this.path, use);
  }
}

interface Row {
  readonly job: number;
  readonly attempt: number;
  readonly size: number;
  /** Null: it is kept. */
  readonly upload: string | null;
  readonly part: number;
  readonly since: number;
}
