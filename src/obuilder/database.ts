/*
 * What the store knows about its layers besides their being there: when they were made and last used,
 * and from which other layer. An SQLite file, shared with the reference down to the schema's text.
 *
 * Whether a layer exists is decided by the store alone; a row may be missing for a moment (or, after a
 * crash, until `reconcile`), which costs the layer its place in the order of use and nothing else.
 */

import Database from "better-sqlite3";
import type { LayerId, StoredLayer } from "./contracts.js";

/** How long to wait for another process that writes, in ms. */
const BUSY_TIMEOUT = 1000;

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

/** A layer's row. Times are UTC. */
export interface LayerRow {
  readonly id: LayerId;
  readonly created: Date;
  readonly used: Date;
  /** How many layers were made from it. */
  readonly children: number;
  readonly parent: LayerId | undefined;
}

interface RawRow {
  id: string;
  created: string;
  used: string;
  rc: number;
  parent: string | null;
}

export class LayerDatabase {
  readonly #db: Database.Database;
  readonly #insert;
  readonly #addToRc;
  readonly #setUsed;
  readonly #setRc;
  readonly #get;
  readonly #childrenOf;
  readonly #delete;
  readonly #lru;
  readonly #count;
  readonly #all;

  /** Opens or makes the database; read-only needs one that is there. Rows of readers may be a moment old. */
  constructor(path: string, options: { readonly readOnly?: boolean } = {}) {
    const readonly = options.readOnly ?? false;
    const db = new Database(path, { timeout: BUSY_TIMEOUT, readonly });
    this.#db = db;
    try {
      if (!readonly) {
        db.pragma("journal_mode = WAL");
        db.pragma("synchronous = NORMAL");
        // The reference does not enforce them: a replaced layer may have children.
        db.pragma("foreign_keys = OFF");
        db.exec(CREATE_TABLE);
        db.exec(CREATE_INDEX);
      }
      this.#insert = db.prepare<[string, string, string, number, string | null]>(
        "INSERT OR REPLACE INTO builds (id, created, used, rc, parent) VALUES (?, ?, ?, ?, ?)",
      );
      this.#addToRc = db.prepare<[number, string]>("UPDATE builds SET rc = rc + ? WHERE id = ?");
      this.#setUsed = db.prepare<[string, string]>("UPDATE builds SET used = ? WHERE id = ?");
      this.#setRc = db.prepare<[number, string]>("UPDATE builds SET rc = ? WHERE id = ?");
      this.#get = db.prepare<[string], RawRow>("SELECT * FROM builds WHERE id = ?");
      this.#childrenOf = db.prepare<[string], { id: string }>(
        "SELECT id FROM builds WHERE parent = ?",
      );
      this.#delete = db.prepare<[string]>("DELETE FROM builds WHERE id = ?");
      this.#lru = db.prepare<[string], { id: string }>(
        "SELECT id FROM builds WHERE rc = 0 AND used < ? ORDER BY used ASC",
      );
      this.#count = db.prepare<[], { n: number }>("SELECT COUNT(*) AS n FROM builds");
      this.#all = db.prepare<[], RawRow>("SELECT * FROM builds");
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** Records a layer that was just made. */
  add(id: LayerId, parent: LayerId | undefined, now: Date): void {
    this.#db.transaction(() => {
      const known = this.#get.get(id);
      // Only a layer that was lost and made again has a row, and perhaps children.
      const children = known ? this.#childrenOf.all(id).length : 0;
      const time = formatTime(now);
      this.#insert.run(id, time, time, children, parent ?? null);
      if (parent === (known?.parent ?? undefined)) return;
      if (known?.parent) this.#addToRc.run(-1, known.parent);
      if (parent !== undefined) this.#addToRc.run(1, parent);
    })();
  }

  /** Records a layer's use; false if it has no row. */
  markUsed(id: LayerId, now: Date): boolean {
    return this.#setUsed.run(formatTime(now), id).changes > 0;
  }

  has(id: LayerId): boolean {
    return this.#get.get(id) !== undefined;
  }

  children(id: LayerId): LayerId[] {
    return this.#childrenOf.all(id).map((row) => row.id);
  }

  delete(id: LayerId): void {
    this.#db.transaction(() => {
      const parent = this.#get.get(id)?.parent;
      this.#delete.run(id);
      if (parent) this.#addToRc.run(-1, parent);
    })();
  }

  /** The first layer, of those without children and last used before that second, that is not excluded: the longest unused one. */
  leastRecentlyUsed(before: Date, excluded: (id: LayerId) => boolean): LayerId | undefined {
    for (const { id } of this.#lru.iterate(formatTime(before))) {
      if (!excluded(id)) return id;
    }
    return undefined;
  }

  count(): number {
    return this.#count.get()!.n;
  }

  rows(): LayerRow[] {
    return this.#all.all().map((row) => ({
      id: row.id,
      created: parseTime(row.created),
      used: parseTime(row.used),
      children: row.rc,
      parent: row.parent ?? undefined,
    }));
  }

  /**
   * Makes the rows agree with the layers there are: a process that was killed may have left a layer without its row,
   * and an engine may have removed layers on its own. Counts of children are put right as well.
   */
  reconcile(layers: readonly StoredLayer[], now: Date): void {
    this.#db.transaction(() => {
      const rows = new Map(this.#all.all().map((row) => [row.id, row]));
      const there = new Set(layers.map((layer) => layer.id));
      for (const id of rows.keys()) {
        if (there.has(id)) continue;
        this.#delete.run(id);
        rows.delete(id);
      }
      const time = formatTime(now);
      for (const { id, parent } of layers) {
        if (rows.has(id)) continue;
        const row = { id, created: time, used: time, rc: 0, parent: parent ?? null };
        this.#insert.run(row.id, row.created, row.used, row.rc, row.parent);
        rows.set(id, row);
      }
      const children = new Map<string, number>();
      for (const { parent } of rows.values()) {
        if (parent) children.set(parent, (children.get(parent) ?? 0) + 1);
      }
      for (const { id, rc } of rows.values()) {
        const actual = children.get(id) ?? 0;
        if (actual !== rc) this.#setRc.run(actual, id);
      }
    })();
  }

  close(): void {
    this.#db.close();
  }
}

/** `YYYY-MM-DD HH:MM:SS`, UTC: compared as text, so a second is the finest difference. */
function formatTime(time: Date): string {
  return time.toISOString().slice(0, 19).replace("T", " ");
}

function parseTime(text: string): Date {
  return new Date(`${text.replace(" ", "T")}Z`);
}
