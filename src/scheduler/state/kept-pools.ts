/**
 * What is in the state database of pools, whether or not the scheduler has them: for those that
 * were renamed or given up.
 *
 * There may be a million hints, and each statement holds the scheduler up: rows are moved or
 * removed so many at a time.
 */
import type { Database } from "better-sqlite3";
import type { EphemeralTable } from "./ephemeral-table.js";
import { StoreError } from "./store-error.js";

/** What there is of a pool. */
export interface KeptPool {
  readonly workers: number;
  readonly rates: number;
  readonly hints: number;
}

/**
 * The tables with a pool's name first in their primary keys; the other columns, those of the key
 * first.
 */
const TABLES = [
  { table: "workers", key: ["id"], others: ["paused"] },
  { table: "pool_user_rate", key: ["user"], others: ["rate"] },
  { table: "cached", key: ["cache_hint", "worker"], others: ["created"] },
] as const;

/** Rows of each table in one transaction: some milliseconds. */
const AT_ONCE = 1000;

export class KeptPools {
  constructor(
    private readonly db: Database,
    private readonly path: string,
    private readonly ephemeral: EphemeralTable,
  ) {}

  /** The names of all pools that there is something of. */
  names(): string[] {
    return StoreError.guard(this.path, () => {
      const found = TABLES.flatMap(({ table }) =>
        // From one name to the next, by the key: not through all rows.
        this.db
          .prepare<[], { pool: string }>(
            `WITH RECURSIVE next (pool) AS (
               SELECT min(pool) FROM ${table}
               UNION ALL
               SELECT (SELECT min(pool) FROM ${table} WHERE ${table}.pool > next.pool)
               FROM next WHERE next.pool IS NOT NULL
             ) SELECT pool FROM next WHERE pool IS NOT NULL`,
          )
          .all()
          .map(({ pool }) => pool),
      );
      return [...new Set(found)];
    });
  }

  count(pool: string): KeptPool {
    return StoreError.guard(this.path, () => {
      const [workers, rates, hints] = TABLES.map(
        ({ table }) =>
          this.db
            .prepare<[string], { n: number }>(`SELECT count(*) AS n FROM ${table} WHERE pool = ?`)
            .get(pool)!.n,
      );
      return { workers: workers!, rates: rates!, hints: hints! };
    });
  }

  /**
   * Gives some of what there is of a pool to another one, where it changes nothing that is there;
   * or removes it, if `to` is null. Returns whether there is more.
   */
  takeSome(pool: string, to: string | null): boolean {
    return StoreError.guard(this.path, () =>
      this.db
        .transaction(() => {
          this.ephemeral.move(pool, to);
          return TABLES.map((each) => this.takeRows(each, pool, to)).includes(true);
        })
        .immediate(),
    );
  }

  private takeRows(
    { key, others, table }: (typeof TABLES)[number],
    pool: string,
    to: string | null,
  ): boolean {
    const some = `FROM ${table} WHERE pool = ? ORDER BY ${key.join(", ")} LIMIT ${AT_ONCE}`;
    if (to !== null) {
      const rest = [...key, ...others].join(", ");
      this.db
        .prepare(`INSERT OR IGNORE INTO ${table} (pool, ${rest}) SELECT ?, ${rest} ${some}`)
        .run(to, pool);
    }
    const { changes } = this.db
      .prepare(`DELETE FROM ${table} WHERE rowid IN (SELECT rowid ${some})`)
      .run(pool);
    return changes === AT_ONCE;
  }
}
