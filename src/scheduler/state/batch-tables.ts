/**
 * Batches in `jobs.db`: what was said of each at its beginning, its rows as they came, and where it
 * stands; all else is read off its jobs. For the threads that hold the database. Rows and templates
 * are encrypted, as they may hold secrets. Throws SQLite's errors.
 */
import type { Database } from "better-sqlite3";
import { Batches } from "../../api/index.js";
import { RowChunk } from "../../batch/index.js";
import { detachedFromBytes } from "../../rpc/index.js";
import type { ClientUses } from "./client-use.js";
import { SEAL, seal, unseal } from "./job-cipher.js";
import { FIRST_END, STATES } from "./jobs-schema.js";

/** A row of `batch`. */
export interface BatchRow {
  readonly id: number;
  readonly client: string;
  readonly name: string;
  readonly pool: string;
  readonly urgent: number;
  readonly digest: Uint8Array;
  readonly submitted: number;
  readonly rows: number;
  readonly closed: number;
  /** 0: goes on; 1: stopped by its rules; 2: cancelled. */
  readonly halt: number;
  readonly reason: string;
  /** What has ended before that without success is tried again. */
  readonly again: number;
  readonly ended: number | null;
  readonly successor: number | null;
  /** JSON: what its rows came to, if it has ended. */
  readonly counts: string;
}

const COLUMNS = [
  "id",
  "client",
  "name",
  "pool",
  "urgent",
  "digest",
  "submitted",
  "rows",
  "closed",
  "halt",
  "reason",
  "again",
  "ended",
  "successor",
  "counts",
] as const satisfies readonly (keyof BatchRow)[];

/** Rows that came together. */
export interface RowsPiece {
  readonly first: number;
  readonly count: number;
  /** In the form of src/batch/rows.ts. */
  readonly bytes: Uint8Array;
}

/** The jobs of a batch, one after the other. */
export interface BatchJobs {
  readonly rows: Uint32Array;
  /** Numbers of `STATES`. */
  readonly states: Uint8Array;
  /** Whether they ended after the batch went on for the last time. */
  readonly recent: Uint8Array;
  /** The number of the last end. */
  readonly last: number;
  /** What its rows take on disk. */
  readonly bytes: number;
}

/** What can be asked of a thread about batches. */
export interface BatchQueries {
  /** Begins a batch, which has its name from then on. */
  openBatch(row: BatchRow, template: Uint8Array): void;
  saveBatch(row: BatchRow): void;
  addBatchRows(batch: number, piece: RowsPiece): void;
  batch(id: number): BatchRow | null;
  batchNamed(client: string, name: string): BatchRow | null;
  /** Newest first, without those that gave up their names. Client null: of all. */
  batchPage(client: string | null, before: number, limit: number): readonly BatchRow[];
  unfinishedBatches(): readonly BatchRow[];
  /** The one that gave up its name for this one; null if none has. */
  batchBefore(batch: number): number | null;
  batchTemplate(batch: number): Uint8Array | null;
  /** The rows that came together with this one. */
  batchRows(batch: number, row: number): RowsPiece | null;
  batchJobs(batch: number, again: number): BatchJobs;
  /** Rows that have ended, in the order of their ends, from behind that one on. */
  batchEnds(batch: number, after: number, limit: number): readonly EndedJob[];
  /** Jobs that ended before that, and not well. */
  batchFailures(batch: number, before: number): readonly number[];
  /** Of these keys. */
  batchKeyed(batch: number, keys: readonly string[]): readonly number[];
  /**
   * Jobs of another batch that are those of rows of this one: they have succeeded, or go on. Rows
   * whose descriptions have texts of more than `limit` bytes have none.
   */
  matchRows(previous: number, batch: number, first: number, limit: number): readonly MatchedRow[];
  /** Gives succeeded jobs of another batch to this one, as these rows, and these ends. */
  moveJobs(batch: number, moves: readonly MovedJob[]): void;
  /** Removes some of what belongs to batches that ended before; returns whether there is more. */
  removeBatchesBefore(ended: number): boolean;
}

/** `state`: a number of `STATES`. */
export interface EndedJob {
  readonly row: number;
  readonly job: number;
  readonly state: number;
  readonly end: number;
}

export interface MatchedRow {
  readonly row: number;
  readonly key: string;
  readonly job: number;
  readonly succeeded: boolean;
}

export interface MovedJob {
  readonly job: number;
  readonly row: number;
  readonly key: string;
  readonly end: number;
}

interface KnownJobs {
  readonly batch: number;
  readonly jobs: Map<string, { readonly job: number; readonly succeeded: boolean }>;
}

const SUCCEEDED = STATES.indexOf("succeeded");

/** Pieces of rows that one call removes at most. */
const REMOVED_AT_ONCE = 20;

export class BatchTables implements BatchQueries {
  private readonly statements: ReturnType<typeof prepare>;
  /** The jobs of the batch that was last looked into, by what tells them apart. */
  private known: KnownJobs | undefined;

  /** @param key 32 bytes */
  constructor(
    private readonly db: Database,
    private readonly key: Uint8Array,
    private readonly uses: ClientUses,
  ) {
    this.statements = prepare(db);
  }

  openBatch(row: BatchRow, template: Uint8Array): void {
    this.db
      .transaction(() => {
        if (row.name !== "") this.statements.giveUp.run(row.id, row.client, row.name);
        this.save(row);
        this.statements.setLastId.run(row.id);
        this.statements.saveTemplate.run(row.id, seal(this.key, row.id, template));
        this.uses.addToBatch(row.id, template.length);
        this.uses.save();
      })
      .immediate();
  }

  saveBatch(row: BatchRow): void {
    this.db.transaction(() => this.save(row)).immediate();
  }

  addBatchRows(batch: number, { bytes, count, first }: RowsPiece): void {
    this.db
      .transaction(() => {
        this.statements.saveRows.run(batch, first, count, seal(this.key, batch, bytes));
        this.statements.setRows.run(first + count, batch);
        this.uses.addToBatch(batch, bytes.length);
        this.uses.save();
      })
      .immediate();
  }

  batch(id: number): BatchRow | null {
    return this.statements.batch.get(id) ?? null;
  }

  batchNamed(client: string, name: string): BatchRow | null {
    return this.statements.named.get(client, name) ?? null;
  }

  batchPage(client: string | null, before: number, limit: number): BatchRow[] {
    if (client === null) return this.statements.pageOfAll.all(before, limit);
    return this.statements.page.all(client, before, limit);
  }

  unfinishedBatches(): BatchRow[] {
    return this.statements.unfinished.all();
  }

  batchBefore(batch: number): number | null {
    return this.statements.before.get(batch) ?? null;
  }

  batchTemplate(batch: number): Uint8Array | null {
    const sealed = this.statements.template.get(batch);
    return sealed ? unseal(this.key, batch, sealed) : null;
  }

  batchRows(batch: number, row: number): RowsPiece | null {
    const found = this.statements.rows.get(batch, row);
    if (!found || row >= found.first + found.count) return null;
    const { count, first, sealed } = found;
    return { first, count, bytes: unseal(this.key, batch, sealed) };
  }

  batchJobs(batch: number, again: number): BatchJobs {
    const found = this.statements.jobs.all(batch) as [number, number, number | null][];
    const rows = new Uint32Array(found.length);
    const states = new Uint8Array(found.length);
    const recent = new Uint8Array(found.length);
    for (const [index, [row, state, ended]] of found.entries()) {
      rows[index] = row;
      states[index] = state;
      recent[index] = ended !== null && ended >= again ? 1 : 0;
    }
    const last = this.statements.lastEnd.get(batch) ?? 0;
    return { rows, states, recent, last, bytes: this.statements.rowBytes.get(batch) ?? 0 };
  }

  batchEnds(batch: number, after: number, limit: number): EndedJob[] {
    return this.statements.ends.all(batch, after, limit);
  }

  batchFailures(batch: number, before: number): number[] {
    return this.statements.failures.all(batch, before);
  }

  batchKeyed(batch: number, keys: readonly string[]): number[] {
    return this.statements.keyed.all(batch, JSON.stringify(keys));
  }

  matchRows(previous: number, batch: number, first: number, limit: number): MatchedRow[] {
    if (this.known?.batch !== previous) this.known = this.jobsOf(previous, limit);
    const { jobs } = this.known;
    const opened = this.opened(batch);
    const piece = this.batchRows(batch, first);
    if (!opened || !piece || jobs.size === 0) return [];
    const identity = Batches.identities(opened, limit);
    const chunk = new RowChunk(piece.bytes, opened.template.columns.length);
    const matched: MatchedRow[] = [];
    for (let index = 0; index < chunk.count; index++) {
      const { key, values } = chunk.row(index);
      const name = identity(values);
      const found = name === null ? undefined : jobs.get(name);
      if (name === null || !found) continue;
      // One job is not two rows.
      jobs.delete(name);
      matched.push({ row: piece.first + index, key, ...found });
    }
    return matched;
  }

  private jobsOf(batch: number, limit: number): KnownJobs {
    const jobs: KnownJobs["jobs"] = new Map();
    const opened = this.opened(batch);
    if (!opened) return { batch, jobs };
    const identity = Batches.identities(opened, limit);
    const columns = opened.template.columns.length;
    let piece: RowsPiece | null = null;
    let chunk: RowChunk | null = null;
    for (const [job, row, state] of this.statements.goodJobs.iterate(batch) as Iterable<number[]>) {
      if (!chunk || row! >= piece!.first + piece!.count) {
        piece = this.batchRows(batch, row!);
        if (!piece) continue;
        chunk = new RowChunk(piece.bytes, columns);
      }
      const { values } = chunk.row(row! - piece!.first);
      const name = identity(values);
      if (name !== null) jobs.set(name, { job: job!, succeeded: state === SUCCEEDED });
    }
    return { batch, jobs };
  }

  private opened(batch: number): Batches.NewBatch | null {
    const template = this.batchTemplate(batch);
    if (!template) return null;
    using pointer = detachedFromBytes(template);
    return Batches.readNewBatch(pointer);
  }

  moveJobs(batch: number, moves: readonly MovedJob[]): void {
    this.db
      .transaction(() => {
        for (const { end, job, key, row } of moves) {
          this.statements.move.run(batch, row, key, end, job);
        }
      })
      .immediate();
  }

  removeBatchesBefore(ended: number): boolean {
    const id = this.statements.endedBefore.get(ended);
    if (id === undefined) return false;
    this.db
      .transaction(() => {
        const pieces = this.statements.removeRows.all(id, REMOVED_AT_ONCE);
        for (const bytes of pieces) this.uses.addToBatch(id, -bytes);
        if (pieces.length < REMOVED_AT_ONCE) {
          this.uses.addToBatch(id, -(this.statements.removeTemplate.get(id) ?? 0));
          this.statements.remove.run(id);
        }
        this.uses.save();
      })
      .immediate();
    return true;
  }

  private save(row: BatchRow): void {
    this.statements.save.run(...COLUMNS.map((name) => row[name]));
  }
}

function prepare(db: Database) {
  const columns = COLUMNS.join(", ");
  // Rows that came are there, whatever else is said of the batch meanwhile.
  const set = COLUMNS.slice(1).map((name) =>
    name === "rows" ? "rows = max(rows, excluded.rows)" : `${name} = excluded.${name}`,
  );
  const bad = `(${STATES.indexOf("failed")}, ${STATES.indexOf("cancelled")})`;
  return {
    giveUp: db.prepare<[number, string, string]>(
      "UPDATE batch SET successor = ? WHERE client = ? AND name = ? AND successor IS NULL",
    ),
    save: db.prepare<unknown[]>(
      `INSERT INTO batch (${columns}, options, rules) VALUES (${COLUMNS.map(() => "?").join(", ")}, '', '')
         ON CONFLICT (id) DO UPDATE SET ${set.join(", ")}`,
    ),
    setLastId: db.prepare<[number]>("UPDATE meta SET value = max(value, ?) WHERE name = 'last_id'"),
    setRows: db.prepare<[number, number]>("UPDATE batch SET rows = ? WHERE id = ?"),
    before: db.prepare<[number], number>("SELECT max(id) FROM batch WHERE successor = ?").pluck(),
    saveTemplate: db.prepare<[number, Uint8Array]>("INSERT INTO batch_template VALUES (?, ?)"),
    template: db
      .prepare<[number], Uint8Array>("SELECT sealed FROM batch_template WHERE batch = ?")
      .pluck(),
    saveRows: db.prepare<[number, number, number, Uint8Array]>(
      "INSERT OR REPLACE INTO batch_rows (batch, first, count, sealed) VALUES (?, ?, ?, ?)",
    ),
    rows: db.prepare<[number, number], { first: number; count: number; sealed: Uint8Array }>(
      "SELECT first, count, sealed FROM batch_rows WHERE batch = ? AND first <= ? ORDER BY first DESC LIMIT 1",
    ),
    batch: db.prepare<[number], BatchRow>(`SELECT ${columns} FROM batch WHERE id = ?`),
    named: db.prepare<[string, string], BatchRow>(
      `SELECT ${columns} FROM batch WHERE client = ? AND name = ? AND name <> '' AND successor IS NULL`,
    ),
    page: db.prepare<[string, number, number], BatchRow>(
      `SELECT ${columns} FROM batch WHERE client = ? AND id < ? AND successor IS NULL ORDER BY id DESC LIMIT ?`,
    ),
    pageOfAll: db.prepare<[number, number], BatchRow>(
      `SELECT ${columns} FROM batch WHERE id < ? AND successor IS NULL ORDER BY id DESC LIMIT ?`,
    ),
    ends: db.prepare<[number, number, number], EndedJob>(
      `SELECT row, id AS job, state, batch_end AS "end" FROM job
         WHERE batch = ? AND batch_end > ? ORDER BY batch_end LIMIT ?`,
    ),
    unfinished: db.prepare<[], BatchRow>(
      `SELECT ${columns} FROM batch WHERE ended IS NULL ORDER BY id`,
    ),
    jobs: db
      .prepare<[number]>("SELECT row, state, ended FROM job WHERE batch = ? ORDER BY row")
      .raw(),
    lastEnd: db
      .prepare<[number], number | null>(
        "SELECT max(batch_end) FROM job WHERE batch = ? AND batch_end IS NOT NULL",
      )
      .pluck(),
    rowBytes: db
      .prepare<[number], number>("SELECT total(length(sealed)) FROM batch_rows WHERE batch = ?")
      .pluck(),
    goodJobs: db
      .prepare<[number]>(
        `SELECT id, row, state FROM job
           WHERE batch = ? AND (state < ${FIRST_END} OR state = ${SUCCEEDED}) ORDER BY row`,
      )
      .raw(),
    failures: db
      .prepare<[number, number], number>(
        `SELECT id FROM job WHERE batch = ? AND state IN ${bad} AND ended < ? ORDER BY row`,
      )
      .pluck(),
    keyed: db
      .prepare<[number, string], number>(
        `SELECT id FROM job WHERE batch = ? AND state >= ${FIRST_END}
           AND key IN (SELECT value FROM json_each(?)) AND state IN ${bad} ORDER BY row`,
      )
      .pluck(),
    move: db.prepare<[number, number, string, number, number]>(
      "UPDATE job SET batch = ?, row = ?, key = ?, batch_end = ? WHERE id = ?",
    ),
    endedBefore: db
      .prepare<[number], number>("SELECT id FROM batch WHERE ended < ? LIMIT 1")
      .pluck(),
    removeRows: db
      .prepare<[number, number], number>(
        `DELETE FROM batch_rows WHERE id IN (SELECT id FROM batch_rows WHERE batch = ? LIMIT ?)
           RETURNING length(sealed) - ${SEAL}`,
      )
      .pluck(),
    removeTemplate: db
      .prepare<[number], number>(
        `DELETE FROM batch_template WHERE batch = ? RETURNING length(sealed) - ${SEAL}`,
      )
      .pluck(),
    remove: db.prepare<[number]>("DELETE FROM batch WHERE id = ?"),
  };
}
