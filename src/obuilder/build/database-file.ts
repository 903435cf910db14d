/*
 * The database of a store as a file, and copies of it in memory: for those who look at it while
 * another process has it, and for when its disk is full. Layers can be removed only by who knows
 * which are unused, so the database must work above all when there is no space for it.
 */

import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Database } from "better-sqlite3";
import { SQLite } from "../../system/sqlite.js";

// The white space is part of what both programs write.
const CREATE_TABLE = `CREATE TABLE IF NOT EXISTS builds (
                       id       TEXT PRIMARY KEY,
                       created  DATETIME NOT NULL,
                       used     DATETIME NOT NULL,
                       rc       INTEGER NOT NULL,
                       parent   TEXT,
                       FOREIGN KEY (parent) REFERENCES builds (id) ON DELETE RESTRICT
                     )`;
const CREATE_INDEX = `CREATE INDEX IF NOT EXISTS lru
                     ON builds (rc, used) `;

/** A row as it is in the database. */
export interface RawRow {
  id: string;
  created: string;
  used: string;
  rc: number;
  parent: string | null;
}

/**
 * Opens or makes the file, for this process alone. Sharing it would take a file that all have
 * mapped into their memory, and whoever writes to that when the disk is full is killed (SIGBUS),
 * sooner or later, on btrfs sooner.
 */
export function openFile(path: string): Database {
  const db = new SQLite(path);
  try {
    db.pragma("locking_mode = EXCLUSIVE");
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = NORMAL");
    createTable(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** A database in memory with these rows. */
export function inMemory(rows: readonly RawRow[]): Database {
  const db = new SQLite(":memory:");
  createTable(db);
  replaceRows(db, rows);
  return db;
}

export function allRows(db: Database): RawRow[] {
  return db.prepare<[], RawRow>("SELECT * FROM builds").all();
}

/** Makes the rows of a database those of another. */
export function replaceRows(db: Database, rows: readonly RawRow[]): void {
  const insert = db.prepare<RawRow>(
    "INSERT INTO builds VALUES (@id, @created, @used, @rc, @parent)",
  );
  db.transaction(() => {
    db.exec("DELETE FROM builds");
    for (const row of rows) insert.run(row);
  })();
}

/**
 * The rows of the file as they are on the disk, whether or not a process has it open; none if it is
 * not there.
 */
export function rowsOnDisk(path: string): RawRow[] {
  if (!existsSync(path)) return [];
  const db = existsSync(wal(path)) ? openCopy(path) : openImage(readFileSync(path));
  try {
    return hasTable(db) ? allRows(db) : [];
  } finally {
    db.close();
  }
}

/** Without a write-ahead log the file is all, and must not say in memory that there is one. */
function openImage(image: Buffer): Database {
  image.subarray(FORMAT_VERSIONS, FORMAT_VERSIONS + 2).fill(ROLLBACK_JOURNAL);
  return new SQLite(image);
}

/**
 * Offset in the header of the versions for writing and for reading
 * (https://www.sqlite.org/fileformat.html).
 */
const FORMAT_VERSIONS = 18;
const ROLLBACK_JOURNAL = 1;

/** With its write-ahead log, which its process may just be adding to, or has just emptied. */
function openCopy(path: string): Database {
  const dir = mkdtempSync(join(tmpdir(), "obuilder-db-"));
  try {
    const copy = join(dir, "db.sqlite");
    let before: string;
    do {
      before = versions(path);
      copyFileSync(path, copy);
      if (existsSync(wal(path))) copyFileSync(wal(path), wal(copy));
      else rmSync(wal(copy), { force: true });
    } while (versions(path) !== before);
    const db = new SQLite(copy);
    db.pragma("locking_mode = EXCLUSIVE");
    hasTable(db); // opens what has been copied, which then needs no names
    return db;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function wal(path: string): string {
  return `${path}-wal`;
}

/** Changes when one of the two files does. */
function versions(path: string): string {
  return [path, wal(path)]
    .map((file) => statSync(file, { bigint: true, throwIfNoEntry: false }))
    .map((stats) => `${stats?.ino} ${stats?.size} ${stats?.mtimeNs}`)
    .join();
}

function hasTable(db: Database): boolean {
  return db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'builds'").get() !== undefined;
}

function createTable(db: Database): void {
  // The reference does not enforce them: a replaced layer may have children.
  db.pragma("foreign_keys = OFF");
  db.exec(CREATE_TABLE);
  db.exec(CREATE_INDEX);
}
