/**
 * What a pool remembers, in the state database. See `PoolStore` for the meaning of the methods.
 *
 * The known workers and the rates are in memory as a whole, the hints as far as they were used
 * lately, so that only what is new is written and a job whose hint is known to be held costs no
 * statement at all.
 */

import type { Database } from "better-sqlite3";
import { findName } from "../../text/index.js";
import type { KnownWorker, PoolStore } from "../pool/types.js";
import type { EphemeralTable } from "./ephemeral-table.js";
import { StoreError } from "./store-error.js";
import { syncedWrite } from "./synced-write.js";

/**
 * How many hints are held in memory: some tens of megabytes at most, for hints and names of usual
 * length.
 */
const HINTS_IN_MEMORY = 50_000;

/**
 * For how long hints are not written after one could not be, in milliseconds. Each attempt may wait
 * for a lock, and everything else waits with it.
 */
const RETRY_HINTS_AFTER_MS = 10_000;

/**
 * How many hints of an ephemeral worker are noted; they are in memory alone, and go with it.
 */
const EPHEMERAL_HINTS = 10_000;

/** The holders of a hint, by name, and for each the date in its record. */
interface HintRecord {
  readonly workers: string[];
  readonly dates: string[];
}

interface PoolStoreOptions {
  readonly pool: string;
  readonly ephemeral: EphemeralTable;
  /** Of the database, for errors. */
  readonly path: string;
  /** The date of records. */
  readonly today: () => string;
  /** The time in milliseconds. */
  readonly now: () => number;
  readonly onWarning: (warning: StoreError) => void;
}

export class SqlitePoolStore implements PoolStore {
  /** In the order of their last use. */
  private readonly hints = new Map<string, HintRecord>();
  private readonly rates = new Map<string, number>();
  /** Sorted by name. */
  private readonly workerNames: string[] = [];
  private readonly pausedWorkers = new Set<string>();
  /** The ephemeral workers, with the hints that they hold. */
  private readonly ephemeral = new Map<string, Set<string>>();
  private readonly statements: ReturnType<typeof prepare>;
  private hintsFailedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly db: Database,
    private readonly options: PoolStoreOptions,
  ) {
    this.statements = prepare(db);
    this.reload();
  }

  /** Reads anew what is in memory, as it was written by others. */
  reload(): void {
    const { ephemeral, path, pool } = this.options;
    this.hints.clear();
    this.rates.clear();
    this.workerNames.length = 0;
    this.pausedWorkers.clear();
    this.ephemeral.clear();
    StoreError.guard(path, () => {
      for (const { user, rate } of this.statements.rates.all(pool)) {
        if (rate > 0) this.rates.set(user, rate);
      }
      for (const { id, paused } of this.statements.workers.all(pool)) {
        this.workerNames.push(id);
        if (paused) this.pausedWorkers.add(id);
      }
      for (const id of ephemeral.list(pool)) this.ephemeral.set(id, new Set());
    });
  }

  holders(hint: string): readonly string[] {
    return this.recordOf(hint).workers;
  }

  /**
   * Writes if the worker is new for the hint, or was last recorded on another day, as the record's
   * date is that of the last use. A write takes some 30 µs.
   */
  markCached(hint: string, worker: string): void {
    const { workers, dates } = this.recordOf(hint);
    const today = this.options.today();
    let index = findName(workers, worker);
    const held = this.ephemeral.get(worker);
    if (index >= 0 && (held || dates[index] === today)) return;
    if (held && held.size >= EPHEMERAL_HINTS) return;
    held?.add(hint);
    const kept = !held && this.writeHint(hint, worker, today);
    if (index < 0) {
      index = -1 - index;
      workers.splice(index, 0, worker);
      dates.splice(index, 0, "");
    }
    if (kept) dates[index] = today;
  }

  *cached(): Generator<readonly [hint: string, workers: readonly string[]]> {
    const { pool, path } = this.options;
    const hints = StoreError.guard(path, () => this.statements.hints.all(pool));
    for (const { cache_hint: hint } of hints) {
      yield [hint, this.shown(hint)?.workers ?? []];
    }
  }

  rate(client: string): number {
    return this.rates.get(client) ?? 1;
  }

  setRate(client: string, rate: number): void {
    this.decide(() => this.statements.setRate.run(this.options.pool, client, rate));
    this.rates.set(client, rate);
  }

  removeRate(client: string): void {
    this.decide(() => this.statements.removeRate.run(this.options.pool, client));
    this.rates.delete(client);
  }

  knownWorkers(): KnownWorker[] {
    return this.workerNames.map((name) => ({ name, paused: this.pausedWorkers.has(name) }));
  }

  isKnown(worker: string): boolean {
    return findName(this.workerNames, worker) >= 0;
  }

  isPaused(worker: string): boolean {
    return this.pausedWorkers.has(worker);
  }

  addWorker(worker: string): void {
    const index = findName(this.workerNames, worker);
    if (index >= 0) return;
    this.write(() => this.statements.addWorker.run(this.options.pool, worker));
    this.workerNames.splice(-1 - index, 0, worker);
  }

  setPaused(worker: string, paused: boolean): void {
    if (!this.isKnown(worker) || this.isPaused(worker) === paused) return;
    this.decide(() => this.statements.setPaused.run(paused ? 1 : 0, this.options.pool, worker));
    if (paused) this.pausedWorkers.add(worker);
    else this.pausedWorkers.delete(worker);
  }

  removeWorker(worker: string): void {
    const index = findName(this.workerNames, worker);
    if (index < 0) return;
    const { ephemeral, pool } = this.options;
    const held = this.ephemeral.get(worker);
    if (held) {
      // Nobody waits for it to be on disk.
      this.write(() => {
        this.statements.removeWorker.run(pool, worker);
        ephemeral.remove(pool, worker);
      });
      for (const hint of held) this.letGo(hint, worker);
      this.ephemeral.delete(worker);
    } else {
      this.decide(() => this.statements.removeWorker.run(pool, worker));
    }
    this.workerNames.splice(index, 1);
    this.pausedWorkers.delete(worker);
  }

  ephemeralWorkers(): readonly string[] {
    return [...this.ephemeral.keys()];
  }

  setEphemeral(worker: string): void {
    if (!this.isKnown(worker) || this.ephemeral.has(worker)) return;
    const { ephemeral, pool } = this.options;
    this.write(() => ephemeral.add(pool, worker));
    this.ephemeral.set(worker, new Set());
  }

  /** Of an ephemeral worker, that it holds a hint is noted in memory alone. */
  private letGo(hint: string, worker: string): void {
    const record = this.hints.get(hint);
    const index = record ? findName(record.workers, worker) : -1;
    if (index < 0) return;
    record!.workers.splice(index, 1);
    record!.dates.splice(index, 1);
  }

  /** To show a hint is no use of it: the others stay in memory. */
  private shown(hint: string): HintRecord | undefined {
    const known = this.hints.get(hint);
    if (known) return known;
    const record = this.read(hint);
    if (record && this.hints.size < HINTS_IN_MEMORY) this.hints.set(hint, record);
    return record;
  }

  private recordOf(hint: string): HintRecord {
    const known = this.hints.get(hint);
    const record = known ?? this.read(hint);
    if (!record) return { workers: [], dates: [] };
    if (known) {
      this.hints.delete(hint);
    } else if (this.hints.size >= HINTS_IN_MEMORY) {
      const [leastLately] = this.hints.keys();
      this.hints.delete(leastLately!);
    }
    this.hints.set(hint, record);
    return record;
  }

  /** Undefined if it cannot be read now: as if nobody held it, until the next time. */
  private read(hint: string): HintRecord | undefined {
    // While the process ends, connections still let go of what they held.
    if (!this.db.open) return undefined;
    const { path, pool, onWarning } = this.options;
    const record: HintRecord = { workers: [], dates: [] };
    try {
      const found = StoreError.guard(path, () => this.statements.holders.all(pool, hint));
      for (const { worker, created } of found) {
        record.workers.push(worker);
        record.dates.push(created);
      }
      return record;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      onWarning(error);
      return undefined;
    }
  }

  /** Returns whether that worked. */
  private writeHint(hint: string, worker: string, date: string): boolean {
    if (!this.db.open) return false;
    const { now, onWarning, pool } = this.options;
    if (now() < this.hintsFailedAt + RETRY_HINTS_AFTER_MS) return false;
    try {
      this.write(() => this.statements.mark.run(pool, hint, worker, date));
      return true;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.hintsFailedAt = now();
      onWarning(error);
      return false;
    }
  }

  /** An administrator's decision, which is answered for: it is on disk when this returns. */
  private decide(statement: () => void): void {
    this.write(() => syncedWrite(this.db, statement));
  }

  private write(statement: () => void): void {
    StoreError.guard(this.options.path, statement);
  }
}

function prepare(db: Database) {
  return {
    holders: db.prepare<[string, string], { worker: string; created: string }>(
      "SELECT worker, created FROM cached WHERE pool = ? AND cache_hint = ? ORDER BY worker",
    ),
    hints: db.prepare<[string], { cache_hint: string }>(
      "SELECT DISTINCT cache_hint FROM cached WHERE pool = ? ORDER BY cache_hint",
    ),
    // Replaces: the date of a record is that of its last use.
    mark: db.prepare<[string, string, string, string]>(
      "INSERT OR REPLACE INTO cached (pool, cache_hint, worker, created) VALUES (?, ?, ?, ?)",
    ),
    rates: db.prepare<[string], { user: string; rate: number }>(
      "SELECT user, rate FROM pool_user_rate WHERE pool = ?",
    ),
    setRate: db.prepare<[string, string, number]>(
      "INSERT OR REPLACE INTO pool_user_rate (pool, user, rate) VALUES (?, ?, ?)",
    ),
    removeRate: db.prepare<[string, string]>(
      "DELETE FROM pool_user_rate WHERE pool = ? AND user = ?",
    ),
    workers: db.prepare<[string], { id: string; paused: number | null }>(
      "SELECT id, paused FROM workers WHERE pool = ? ORDER BY id",
    ),
    addWorker: db.prepare<[string, string]>(
      "INSERT OR IGNORE INTO workers (pool, id) VALUES (?, ?)",
    ),
    setPaused: db.prepare<[number, string, string]>(
      "UPDATE workers SET paused = ? WHERE pool = ? AND id = ?",
    ),
    removeWorker: db.prepare<[string, string]>("DELETE FROM workers WHERE pool = ? AND id = ?"),
  };
}
