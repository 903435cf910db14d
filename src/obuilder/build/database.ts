/*
 * What the store knows about its layers besides their being there: when they were made and last
 * used, and from which other layer. An SQLite file, shared with the reference down to the schema's
 * text.
 *
 * Whether a layer exists is decided by the store alone; a row may be missing for a moment (or,
 * after a crash, until `reconcile`), which costs the layer its place in the order of use and
 * nothing else.
 *
 * While the disk is full the rows are kept in memory, and written by the first change for which
 * there is space again.
 */

import { dirname } from "node:path";
import type Database from "better-sqlite3";
import type { LayerId, StoredLayer } from "../contracts.js";
import {
  allRows,
  inMemory,
  openFile,
  type RawRow,
  replaceRows,
  rowsOnDisk,
} from "./database-file.js";
import { isNoSpace } from "./no-space.js";

/** A layer's row. Times are UTC. */
export interface LayerRow {
  readonly id: LayerId;
  readonly created: Date;
  readonly used: Date;
  /** How many layers were made from it. */
  readonly children: number;
  readonly parent: LayerId | undefined;
}

/** The rows of a database that another process may have open; they may be a moment old. */
export function readRows(path: string): LayerRow[] {
  return rowsOnDisk(path).map(layerRow);
}

export class LayerDatabase {
  readonly #path: string;
  #sql: Statements;
  /** Whether the rows are in memory only, for want of space on the disk. */
  #detached = false;

  /** Opens or makes the database, which no other process has open. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#sql = new Statements(openFile(path));
    } catch (error) {
      if (!isNoSpace(error, dirname(path))) throw error;
      this.#detached = true;
      this.#sql = new Statements(inMemory(rowsOnDisk(path)));
    }
  }

  /** Records a layer that was just made. */
  add(id: LayerId, parent: LayerId | undefined, now: Date): void {
    this.#write((sql) => {
      const known = sql.get.get(id);
      // Only a layer that was lost and made again has a row, and perhaps children.
      const children = known ? sql.childrenOf.all(id).length : 0;
      const time = formatTime(now);
      sql.insert.run(id, time, time, children, parent ?? null);
      if (parent === (known?.parent ?? undefined)) return;
      if (known?.parent) sql.addToRc.run(-1, known.parent);
      if (parent !== undefined) sql.addToRc.run(1, parent);
    });
  }

  /** Records a layer's use; false if it has no row. */
  markUsed(id: LayerId, now: Date): boolean {
    return this.#write((sql) => sql.setUsed.run(formatTime(now), id).changes > 0);
  }

  has(id: LayerId): boolean {
    return this.#sql.get.get(id) !== undefined;
  }

  children(id: LayerId): LayerId[] {
    return this.#sql.childrenOf.all(id).map((row) => row.id);
  }

  delete(id: LayerId): void {
    this.#write((sql) => {
      const parent = sql.get.get(id)?.parent;
      sql.delete.run(id);
      if (parent) sql.addToRc.run(-1, parent);
    });
  }

  /**
   * The first layer, of those without children and last used before that second, that is not
   * excluded: the longest unused one.
   */
  leastRecentlyUsed(before: Date, excluded: (id: LayerId) => boolean): LayerId | undefined {
    for (const { id } of this.#sql.lru.iterate(formatTime(before))) {
      if (!excluded(id)) return id;
    }
    return undefined;
  }

  count(): number {
    return this.#sql.count.get()!.n;
  }

  rows(): LayerRow[] {
    return allRows(this.#sql.db).map(layerRow);
  }

  /**
   * Makes the rows agree with the layers there are: a process that was killed may have left a layer
   * without its row, and an engine may have removed layers on its own. Counts of children are put
   * right as well.
   */
  reconcile(layers: readonly StoredLayer[], now: Date): void {
    this.#write((sql) => {
      const rows = new Map(allRows(sql.db).map((row) => [row.id, row]));
      const there = new Set(layers.map((layer) => layer.id));
      for (const id of rows.keys()) {
        if (there.has(id)) continue;
        sql.delete.run(id);
        rows.delete(id);
      }
      const time = formatTime(now);
      for (const { id, parent } of layers) {
        if (rows.has(id)) continue;
        const row = { id, created: time, used: time, rc: 0, parent: parent ?? null };
        sql.insert.run(row.id, row.created, row.used, row.rc, row.parent);
        rows.set(id, row);
      }
      const children = new Map<string, number>();
      for (const { parent } of rows.values()) {
        if (parent) children.set(parent, (children.get(parent) ?? 0) + 1);
      }
      for (const { id, rc } of rows.values()) {
        const actual = children.get(id) ?? 0;
        if (actual !== rc) sql.setRc.run(actual, id);
      }
    });
  }

  close(): void {
    this.#sql.db.close();
  }

  /** One transaction, in the file if there is space for it. */
  #write<T>(change: (sql: Statements) => T): T {
    if (this.#detached) this.#reattach();
    try {
      return this.#sql.transaction(change);
    } catch (error) {
      if (this.#detached || !isNoSpace(error, dirname(this.#path))) throw error;
      const file = this.#sql.db;
      this.#sql = new Statements(inMemory(allRows(file)));
      this.#detached = true;
      file.close();
      return this.#sql.transaction(change);
    }
  }

  /** Writes the rows to the file if there is space by now. */
  #reattach(): void {
    let file: Database.Database | undefined;
    try {
      file = openFile(this.#path);
      replaceRows(file, allRows(this.#sql.db));
    } catch (error) {
      file?.close();
      if (!isNoSpace(error, dirname(this.#path))) throw error;
      return;
    }
    this.#sql.db.close();
    this.#sql = new Statements(file);
    this.#detached = false;
  }
}

/** The statements of one connection. */
class Statements {
  readonly db: Database.Database;
  readonly insert;
  readonly addToRc;
  readonly setUsed;
  readonly setRc;
  readonly get;
  readonly childrenOf;
  readonly delete;
  readonly lru;
  readonly count;

  constructor(db: Database.Database) {
    this.db = db;
    this.insert = db.prepare<[string, string, string, number, string | null]>(
      "INSERT OR REPLACE INTO builds (id, created, used, rc, parent) VALUES (?, ?, ?, ?, ?)",
    );
    this.addToRc = db.prepare<[number, string]>("UPDATE builds SET rc = rc + ? WHERE id = ?");
    this.setUsed = db.prepare<[string, string]>("UPDATE builds SET used = ? WHERE id = ?");
    this.setRc = db.prepare<[number, string]>("UPDATE builds SET rc = ? WHERE id = ?");
    this.get = db.prepare<[string], RawRow>("SELECT * FROM builds WHERE id = ?");
    this.childrenOf = db.prepare<[string], { id: string }>(
      "SELECT id FROM builds WHERE parent = ?",
    );
    this.delete = db.prepare<[string]>("DELETE FROM builds WHERE id = ?");
    this.lru = db.prepare<[string], { id: string }>(
      "SELECT id FROM builds WHERE rc = 0 AND used < ? ORDER BY used ASC",
    );
    this.count = db.prepare<[], { n: number }>("SELECT COUNT(*) AS n FROM builds");
  }

  transaction<T>(change: (sql: Statements) => T): T {
    return this.db.transaction(() => change(this))();
  }
}

function layerRow(row: RawRow): LayerRow {
  return {
    id: row.id,
    created: parseTime(row.created),
    used: parseTime(row.used),
    children: row.rc,
    parent: row.parent ?? undefined,
  };
}

/** `YYYY-MM-DD HH:MM:SS`, UTC: compared as text, so a second is the finest difference. */
function formatTime(time: Date): string {
  return time.toISOString().slice(0, 19).replace("T", " ");
}

function parseTime(text: string): Date {
  return new Date(`${text.replace(" ", "T")}Z`);
}
