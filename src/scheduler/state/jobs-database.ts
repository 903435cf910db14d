/**
 * The database of jobs: all statements on `jobs.db`, for the threads that hold it
 * (`jobs-thread.ts`). Everything here waits for the disk.
 *
 * Durability: WAL with synchronous FULL, so that what `commit` has returned from survives a power
 * cut. Moments are Unix seconds. Methods throw SQLite's errors; a `commit` that throws has changed
 * nothing.
 */
import { randomBytes } from "node:crypto";
import type { Database } from "better-sqlite3";
import { SQLite } from "../../system/sqlite.js";
import { OWN_ENDS } from "../jobs/types.js";
import { BatchTables } from "./batch-tables.js";
import { type ClientUse, ClientUses } from "./client-use.js";
import { EndedRuns, unpackRuns } from "./ended-runs.js";
import { SEAL, seal, unseal } from "./job-cipher.js";
import type {
  Changes,
  Duration,
  JobsQueries,
  JobWithAttempts,
  LogPiece,
  Page,
  PageQuery,
  RetriableContext,
  ThreadData,
  Unfinished,
  UnfinishedRow,
  Usage,
} from "./jobs-messages.js";
import {
  ATTEMPT_COLUMNS,
  type AttemptRow,
  CHANGING_ATTEMPT_COLUMNS,
  CHANGING_JOB_COLUMNS,
  FIRST_END,
  JOB_COLUMNS,
  type JobRow,
  MIGRATIONS,
  OUTCOMES,
  PLACE_COLUMNS,
  type Row,
  STATES,
} from "./jobs-schema.js";
import { PACKED_COLUMNS, type PackedRow, pack } from "./packed-jobs.js";
import { UsageBooks } from "./usage-books.js";

/** How many records one call removes at most: some ms of work. */
const REMOVED_AT_ONCE = 500;

/**
 * By how much, in seconds, the clock may have been set back while jobs were submitted, and they are
 * still found by time.
 */
const CLOCK_SLACK = 3600;

/** How long a statement waits for another program's lock, in ms. */
const BUSY_TIMEOUT_MS = 5000;

/** Where in a row of `JOB_COLUMNS` what a change takes is: what is set, then where. */
const JOB_CHANGE = [...CHANGING_JOB_COLUMNS, ...PLACE_COLUMNS].map((name) =>
  JOB_COLUMNS.indexOf(name),
);
const ATTEMPT_CHANGE = [...CHANGING_ATTEMPT_COLUMNS, "job" as const, "attempt" as const].map(
  (name) => ATTEMPT_COLUMNS.indexOf(name),
);
const ATTEMPT_STARTED = ATTEMPT_COLUMNS.indexOf("started");
const ATTEMPT_ENDED = ATTEMPT_COLUMNS.indexOf("ended");

function parts(row: Row, places: readonly number[]): (string | number | null)[] {
  return places.map((place) => row[place]!);
}

export class JobsDatabase implements JobsQueries {
  private readonly db: Database;
  private readonly statements: ReturnType<typeof prepare>;
  private readonly uses: ClientUses;
  private readonly usageBooks: UsageBooks;
  private readonly endedRuns: EndedRuns;
  private readonly key: Uint8Array;
  readonly batches: BatchTables;

  /** Makes or migrates the database, unless it is to be read only. */
  constructor({ path, key, readonly }: ThreadData) {
    this.key = key;
    this.db = new SQLite(path, { readonly, timeout: BUSY_TIMEOUT_MS });
    try {
      if (!readonly) {
        this.db.pragma("journal_mode = WAL");
        this.db.pragma("synchronous = FULL");
        this.db.transaction(() => migrate(this.db, path)).immediate();
      }
      this.statements = prepare(this.db);
      this.uses = new ClientUses(this.db);
      this.usageBooks = new UsageBooks(this.db);
      this.endedRuns = new EndedRuns(this.db);
      this.batches = new BatchTables(this.db, key, this.uses);
    } catch (error) {
      this.db.close();
      throw error;
    }
  }

  /** Random bytes that tell these records from all others. */
  get book(): Uint8Array {
    return this.statements.meta.get("book") as Uint8Array;
  }

  get lastId(): number {
    return this.statements.meta.get("last_id") as number;
  }

  /** Leaves so many numbers of jobs out. */
  skipIds(count: number): void {
    this.statements.setLastId.run(this.lastId + count);
  }

  close(): void {
    this.db.close();
  }

  commit(changes: Changes): ClientUse[] {
    return this.counted(() => {
      const ended = unpackRuns(changes.ended);
      const isNew = this.usageBooks.note(changes, ended);
      this.uses.note(changes, isNew);
      for (const run of ended) this.uses.addRecord(run);
      this.endedRuns.save(ended);
      for (const row of changes.jobs) this.saveJob(row, isNew.has(row[0] as number));
      for (const row of changes.attempts) this.saveAttempt(row);
      for (const [job, bytes] of changes.descriptions) {
        this.statements.saveDescription.run(job, seal(this.key, job, bytes));
      }
      for (const job of changes.erased) this.statements.eraseDescription.run(job);
      for (const piece of changes.pieces) this.statements.savePiece.run(...pieceRow(piece));
      this.statements.setLastId.run(changes.lastId);
    });
  }

  clientUses(): ClientUse[] {
    return this.uses.all();
  }

  /** A transaction with what it adds to what clients have; returns what those have now. */
  private counted(change: () => void): ClientUse[] {
    try {
      return this.db
        .transaction(() => {
          change();
          return this.uses.save();
        })
        .immediate();
    } catch (error) {
      this.uses.forget();
      throw error;
    }
  }

  /** Most are there already: to change a row is half the work of putting another in its place. */
  private saveJob(row: Row, isNew: boolean): void {
    const changed = isNew ? 0 : this.statements.changeJob.run(...parts(row, JOB_CHANGE)).changes;
    if (changed === 0) this.statements.saveJob.run(...row);
  }

  private saveAttempt(row: Row): void {
    const isNew = row[ATTEMPT_STARTED] === null && row[ATTEMPT_ENDED] === null;
    const changed = isNew
      ? 0
      : this.statements.changeAttempt.run(...parts(row, ATTEMPT_CHANGE)).changes;
    if (changed === 0) this.statements.saveAttempt.run(...row);
  }

  description(job: number): Uint8Array | null {
    const sealed = this.statements.description.get(job) as Uint8Array | undefined;
    return sealed ? unseal(this.key, job, sealed) : null;
  }

  manyDescriptions(jobs: readonly number[]): [number, Uint8Array | string][] {
    const found: [number, Uint8Array | string][] = [];
    for (const job of jobs) {
      try {
        const bytes = this.description(job);
        if (bytes) found.push([job, bytes]);
      } catch (error) {
        if (error instanceof SQLite.SqliteError) throw error;
        found.push([job, String(error)]);
      }
    }
    return found;
  }

  job(id: number): JobWithAttempts | null {
    const job = this.statements.job.get(id);
    return job ? { job, attempts: this.statements.attempts.all(id) } : null;
  }

  /** Newest first. */
  page(query: PageQuery): Page {
    const from = query.since === undefined ? 0 : this.firstSubmitted(query.since - CLOCK_SLACK);
    const to =
      query.until === undefined
        ? Number.MAX_SAFE_INTEGER
        : this.firstSubmitted(query.until + CLOCK_SLACK);
    const { parameters, sql } = pageStatement(query, from, to);
    const jobs = this.db.prepare<unknown[], JobRow>(sql).all(...parameters);
    const page = jobs.slice(0, query.limit);
    return {
      jobs: page.map((job) => ({ job, attempts: this.statements.attempts.all(job.id) })),
      before: jobs.length > query.limit ? page.at(-1)!.id : null,
    };
  }

  /**
   * The id of the first job that was submitted then or later, as ids and times of submission grow
   * together.
   */
  private firstSubmitted(moment: number): number {
    let low = 0;
    let high = this.lastId + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const found = this.statements.submittedFrom.get(middle);
      if (!found || found.submitted >= moment) high = middle;
      else low = found.id + 1;
    }
    return low;
  }

  keyed(client: string, key: string): number | null {
    return (this.statements.keyed.get(client, key) as number | undefined) ?? null;
  }

  ends(ids: readonly number[]): [number, string, number][] {
    const found: [number, string, number][] = [];
    for (const id of ids) {
      const row = this.statements.end.get(id);
      if (row) found.push([id, row.client, row.state]);
    }
    return found;
  }

  descriptionSize(job: number): number {
    return this.statements.descriptionSize.get(job) ?? 0;
  }

  unfinished(state: number, after: number, limit: number): Unfinished {
    const rows = this.unfinishedStatement(state).all(after, limit);
    const { others, packed } = pack(rows);
    const jobs = others.map((id) => this.statements.unfinished.get(id)!);
    const attempts: AttemptRow[] = [];
    for (const { id, attempts: number } of jobs) {
      const attempt = number > 0 ? this.statements.attempt.get(id, number) : undefined;
      if (attempt?.outcome !== null) continue;
      // What there is of its log grew on disk without a change of the attempt.
      attempts.push({ ...attempt, log_size: this.statements.logLength.get(id, number) ?? 0 });
    }
    const last = rows.length === limit ? (rows.at(-1)![0] as number) : null;
    return { jobs, attempts, packed, after: last };
  }

  /**
   * The number of the state has to stand in it, so that the index of what has not ended is used.
   */
  private unfinishedStatement(state: number) {
    return this.db
      .prepare<[number, number], PackedRow>(
        `SELECT ${PACKED_COLUMNS} FROM job WHERE state = ${Number(state)} AND id > ? AND attached = 0 ORDER BY id LIMIT ?`,
      )
      .raw();
  }

  attachedRunning(): JobWithAttempts[] {
    const jobs = this.statements.attachedRunning.all(STATES.indexOf("running"));
    return jobs.map((job) => ({ job, attempts: this.statements.attempts.all(job.id) }));
  }

  endedInBatch(batch: number, after: number, limit: number): JobWithAttempts[] {
    const jobs = this.statements.endedInBatch.all(batch, after, limit);
    return jobs.map((job) => ({ job, attempts: this.statements.attempts.all(job.id) }));
  }

  usage(since: number, until: number): Usage[] {
    return this.usageBooks.between(since, until);
  }

  durations(limit: number): Duration[] {
    return this.statements.durations.all(limit);
  }

  retriableContexts(since: number): RetriableContext[] {
    return this.statements.retriableContexts.all(since);
  }

  pieces(job: number, attempt: number, start: number, limit: number): LogPiece[] {
    return this.statements.pieces.all(job, attempt, start, limit);
  }

  removeBefore(ended: number): boolean {
    return this.inSteps(this.statements.endedBefore.all(ended, REMOVED_AT_ONCE), (id) => {
      this.uses.removeRecord(id);
      this.statements.removeJob.run(id);
      this.statements.removeAttempts.run(id);
      this.statements.eraseDescription.run(id);
      this.statements.removeJobPieces.run(id);
    });
  }

  eraseDescriptionsBefore(ended: number): boolean {
    return this.inSteps(this.statements.describedBefore.all(ended, REMOVED_AT_ONCE), (id) => {
      this.uses.eraseDescription(id);
      this.statements.eraseDescription.run(id);
      this.statements.undescribe.run(id);
    });
  }

  private inSteps(ids: readonly number[], remove: (id: number) => void): boolean {
    this.counted(() => ids.forEach(remove));
    return ids.length === REMOVED_AT_ONCE;
  }

  segmentSizes(): [number, number][] {
    return this.statements.segmentSizes.all().map(({ bytes, segment }) => [segment, bytes]);
  }

  segmentPieces(segment: number): (LogPiece & { ended: boolean })[] {
    return this.statements.segmentPieces
      .all(segment)
      .map(({ ended, ...piece }) => ({ ...piece, ended: ended !== 0 }));
  }

  dropLogs(logs: readonly (readonly [number, number])[]): void {
    this.counted(() => {
      for (const log of logs) {
        this.uses.dropLog(...log);
        this.statements.removeLog.run(...log);
      }
    });
  }

  movePieces(pieces: readonly LogPiece[], from: number): void {
    this.db.transaction(() => {
      for (const { attempt, job, position, segment, start } of pieces) {
        this.statements.movePiece.run(segment, position, job, attempt, start, from);
      }
    })();
  }
}

function migrate(db: Database, path: string): void {
  const version = db.pragma("user_version", { simple: true }) as number;
  if (version > MIGRATIONS.length) {
    throw new Error(
      `"${path}" is of version ${version}, which a later release of ocluster has made; this one knows ` +
        `${MIGRATIONS.length} at most. Use that release, or move the file away to start with no records`,
    );
  }
  for (const step of MIGRATIONS.slice(version)) db.exec(step);
  db.pragma(`user_version = ${MIGRATIONS.length}`);
  const insert = db.prepare("INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)");
  insert.run("book", randomBytes(16));
  insert.run("last_id", 0);
}

/**
 * The statement for a page and its parameters. One row more than the page has is asked for. `from`
 * and `to` are the ids between which jobs of the wanted time can be.
 */
function pageStatement(
  query: PageQuery,
  from: number,
  to: number,
): { sql: string; parameters: (string | number)[] } {
  const where = ["job.id >= ?", "job.id < ?"];
  const parameters: (string | number)[] = [
    from,
    Math.min(query.before ?? Number.MAX_SAFE_INTEGER, to),
  ];
  const add = (condition: string, value: string | number | undefined): void => {
    if (value === undefined) return;
    where.push(condition);
    parameters.push(value);
  };
  add("job.client = ?", query.client);
  add("job.pool = ?", query.pool);
  add("job.hint <> '' AND job.hint = ?", query.hint);
  add("job.key <> '' AND job.key = ?", query.key);
  add("job.name = ?", query.name);
  add("job.batch = ?", query.batch);
  add("job.submitted >= ?", query.since);
  add("job.submitted < ?", query.until);
  add("attempt.worker = ?", query.worker);
  if (query.states) where.push(`job.state IN (${query.states.map(Number).join(", ")})`);
  const columns = JOB_COLUMNS.map((name) => `job.${name}`).join(", ");
  // Of a worker's jobs, its attempts are walked: all jobs would be too many where it had few.
  const [tables, order] =
    query.worker === undefined
      ? ["job", "ORDER BY job.id DESC"]
      : [
          "attempt CROSS JOIN job ON job.id = attempt.job",
          "GROUP BY attempt.job ORDER BY attempt.job DESC",
        ];
  return {
    sql: `SELECT ${columns} FROM ${tables} WHERE ${where.join(" AND ")} ${order} LIMIT ${query.limit + 1}`,
    parameters,
  };
}

function pieceRow({ attempt, job, length, position, segment, start }: LogPiece): number[] {
  return [job, attempt, start, length, segment, position];
}

function prepare(db: Database) {
  const set = (columns: readonly string[]) => columns.map((name) => `${name} = ?`).join(", ");
  const same = (columns: readonly string[]) =>
    columns
      .map((name) => `${name} IS ?`)
      .join(" AND ")
      .replace("IS", "=");
  const replace = (table: string, columns: readonly string[]) =>
    `INSERT OR REPLACE INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`;
  const piece = "job, attempt, start, length, segment, position";
  const size = `length(sealed) - ${SEAL}`;
  return {
    meta: db.prepare<[string]>("SELECT value FROM meta WHERE name = ?").pluck(),
    setLastId: db.prepare<[number]>("UPDATE meta SET value = ? WHERE name = 'last_id'"),
    saveJob: db.prepare<(string | number | null)[]>(replace("job", JOB_COLUMNS)),
    saveAttempt: db.prepare<(string | number | null)[]>(replace("attempt", ATTEMPT_COLUMNS)),
    changeJob: db.prepare<(string | number | null)[]>(
      `UPDATE job SET ${set(CHANGING_JOB_COLUMNS)} WHERE ${same(PLACE_COLUMNS)}`,
    ),
    changeAttempt: db.prepare<(string | number | null)[]>(
      `UPDATE attempt SET ${set(CHANGING_ATTEMPT_COLUMNS)} WHERE job = ? AND attempt = ?`,
    ),
    saveDescription: db.prepare<[number, Uint8Array]>(
      "INSERT OR REPLACE INTO description (job, sealed) VALUES (?, ?)",
    ),
    eraseDescription: db.prepare<[number]>("DELETE FROM description WHERE job = ?"),
    description: db.prepare<[number]>("SELECT sealed FROM description WHERE job = ?").pluck(),
    undescribe: db.prepare<[number]>("UPDATE job SET described = 0 WHERE id = ?"),
    describedBefore: db
      .prepare<[number, number], number>(
        "SELECT id FROM job WHERE ended < ? AND described = 1 AND batch IS NULL LIMIT ?",
      )
      .pluck(),
    job: db.prepare<[number], JobRow>(`SELECT ${JOB_COLUMNS.join(", ")} FROM job WHERE id = ?`),
    keyed: db
      .prepare<[string, string]>(
        "SELECT id FROM job WHERE client = ? AND key = ? AND key <> '' AND batch IS NULL",
      )
      .pluck(),
    end: db.prepare<[number], { client: string; state: number }>(
      `SELECT client, state FROM job WHERE id = ? AND state >= ${FIRST_END}`,
    ),
    submittedFrom: db.prepare<[number], { id: number; submitted: number }>(
      "SELECT id, submitted FROM job WHERE id >= ? ORDER BY id LIMIT 1",
    ),
    descriptionSize: db
      .prepare<[number], number>(`SELECT ${size} FROM description WHERE job = ?`)
      .pluck(),
    unfinished: db.prepare<[number], UnfinishedRow>(
      `SELECT ${JOB_COLUMNS.join(", ")}, (SELECT ${size} FROM description WHERE job = id) AS size
        FROM job WHERE id = ?`,
    ),
    // The second condition lets it use the index of what has not ended.
    attachedRunning: db.prepare<[number], JobRow>(
      `SELECT ${JOB_COLUMNS.join(", ")} FROM job WHERE state = ? AND state < ${FIRST_END} AND attached = 1`,
    ),
    endedBefore: db
      .prepare<[number, number], number>(
        // Those of batches stay as long as these.
        `SELECT id FROM job WHERE ended < ?
           AND (batch IS NULL OR NOT EXISTS (SELECT 1 FROM batch WHERE batch.id = job.batch)) LIMIT ?`,
      )
      .pluck(),
    endedInBatch: db.prepare<[number, number, number], JobRow>(
      `SELECT ${JOB_COLUMNS.join(", ")} FROM job WHERE batch = ? AND batch_end > ? ORDER BY batch_end LIMIT ?`,
    ),
    removeJob: db.prepare<[number]>("DELETE FROM job WHERE id = ?"),
    attempt: db.prepare<[number, number], AttemptRow>(
      `SELECT ${ATTEMPT_COLUMNS.join(", ")} FROM attempt WHERE job = ? AND attempt = ?`,
    ),
    attempts: db.prepare<[number], AttemptRow>(
      `SELECT ${ATTEMPT_COLUMNS.join(", ")} FROM attempt WHERE job = ? ORDER BY attempt`,
    ),
    durations: db.prepare<[number], Duration>(
      `SELECT job.pool, job.client, job.hint, attempt.cached, attempt.ended - attempt.started AS seconds
        FROM attempt CROSS JOIN job ON job.id = attempt.job
        WHERE attempt.ended IS NOT NULL AND attempt.started IS NOT NULL AND attempt.cached IS NOT NULL
          AND attempt.outcome IN (${OWN_ENDS.map((outcome) => OUTCOMES.indexOf(outcome)).join(", ")})
        ORDER BY attempt.ended DESC LIMIT ?`,
    ),
    retriableContexts: db.prepare<[number], RetriableContext>(
      `SELECT client, json_extract(options, '$.context') AS context, ended FROM job
        WHERE ended > ? AND described = 1 AND batch IS NULL
          AND CASE WHEN options LIKE '%"context":%' THEN json_extract(options, '$.context') END IS NOT NULL`,
    ),
    removeAttempts: db.prepare<[number]>("DELETE FROM attempt WHERE job = ?"),
    savePiece: db.prepare<number[]>(
      `INSERT OR REPLACE INTO log_piece (${piece}) VALUES (?, ?, ?, ?, ?, ?)`,
    ),
    pieces: db.prepare<[number, number, number, number], LogPiece>(
      `SELECT ${piece} FROM log_piece WHERE job = ? AND attempt = ? AND start + length > ? ORDER BY start LIMIT ?`,
    ),
    logLength: db
      .prepare<[number, number], number | null>(
        "SELECT max(start + length) FROM log_piece WHERE job = ? AND attempt = ?",
      )
      .pluck(),
    removeJobPieces: db.prepare<[number]>("DELETE FROM log_piece WHERE job = ?"),
    removeLog: db.prepare<[number, number]>("DELETE FROM log_piece WHERE job = ? AND attempt = ?"),
    movePiece: db.prepare<number[]>(
      "UPDATE log_piece SET segment = ?, position = ? WHERE job = ? AND attempt = ? AND start = ? AND segment = ?",
    ),
    segmentSizes: db.prepare<[], { segment: number; bytes: number }>(
      "SELECT segment, sum(length) AS bytes FROM log_piece GROUP BY segment ORDER BY segment",
    ),
    segmentPieces: db.prepare<[number], LogPiece & { ended: number }>(
      `SELECT ${piece}, coalesce((SELECT attempt.outcome IS NOT NULL FROM attempt
         WHERE attempt.job = log_piece.job AND attempt.attempt = log_piece.attempt), 1) AS ended
       FROM log_piece WHERE segment = ? ORDER BY position`,
    ),
  };
}
