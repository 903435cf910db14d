/**
 * Batches, and their rows as a grid: what each has come to. Ends of rows are taken in once, however
 * many look.
 */
import { Batches as Api, JobRecords } from "../../api/index.js";
import { sleep } from "../../async/index.js";
import { batchFields } from "../../client/batch/index.js";
import type { AgedCache } from "./aged-cache.js";
import type { Cluster } from "./cluster.js";
import { ApiError } from "./errors.js";
import { WEB_LIMITS } from "./limits.js";

const AGE_MS = 1000;

/** Ends that are asked for at a time, and times that one look at a grid asks. */
const ENDS = 20_000;
const MAX_CALLS = 50;

/** Running rows that are shown. */
const MAX_RUNNING = 500;

/** Grids that are kept. */
const MAX_GRIDS = 16;

const NONE = ".".charCodeAt(0);
const RUNNING = "r".charCodeAt(0);
const LETTERS: Readonly<Record<string, number>> = {
  succeeded: "s".charCodeAt(0),
  failed: "f".charCodeAt(0),
  cancelled: "c".charCodeAt(0),
};

/** What is known of a batch's rows. */
interface Grid {
  /** A letter of each. */
  states: Uint8Array;
  /** The number of each one's job; 0: not known. */
  jobs: Float64Array;
  /** What the next call asks for what is behind. */
  next: number;
  running: readonly number[];
}

export class Batches {
  private readonly grids = new Map<number, Grid>();

  constructor(
    private readonly cluster: Cluster,
    private readonly cache: AgedCache,
  ) {
    cluster.onChange((isTheSame) => {
      if (!isTheSame) this.grids.clear();
    });
  }

  async list(cursor: string, limit: number) {
    const page = await this.cache.get(`batches ${cursor} ${limit}`, AGE_MS, () =>
      this.cluster.ask((records) => Api.list(records, cursor, limit), "conflict"),
    );
    return { batches: page.batches.map(batchJson), cursor: page.cursor || null };
  }

  get(batch: number): Promise<Api.BatchRecord> {
    return this.cache.get(`batch ${batch}`, AGE_MS, () => this.now(batch));
  }

  /** Tells of each new state of a batch, until `signal` is aborted. */
  async follow(batch: number, say: (batch: unknown) => void, signal: AbortSignal): Promise<void> {
    for (let record = await this.now(batch); ; ) {
      say(batchJson(record));
      await sleep(record.ended === null ? AGE_MS : AGE_MS * 10, signal);
      const { ended, revision } = record;
      record = await (ended === null
        ? this.cluster.wait((records) => Api.get(records, batch, revision, { signal }))
        : this.get(batch));
    }
  }

  async rows(batch: number, after: number, limit: number) {
    const [{ columns }, page] = await Promise.all([
      this.get(batch),
      this.cluster.ask((records) => Api.rows(records, batch, after, limit)),
    ]);
    return { columns, page };
  }

  /** All rows, a letter each. */
  async grid(batch: number) {
    const record = await this.get(batch);
    if (record.rows > WEB_LIMITS.gridRows) {
      throw new ApiError(
        "too_large",
        `The batch has ${record.rows} rows: a grid shows ${WEB_LIMITS.gridRows}. Look at its jobs by state.`,
      );
    }
    const grid = await this.cache.get(`grid ${batch}`, AGE_MS, () => this.take(record));
    const letters = Buffer.from(grid.states);
    for (const row of grid.running) if (row < letters.length) letters[row] = RUNNING;
    return { rows: letters.length, states: letters.toString("latin1"), seen: grid.next };
  }

  async row(batch: number, row: number) {
    const { states } = await this.grid(batch);
    if (row >= states.length) throw new ApiError("not_found", `The batch has no row ${row}.`);
    return { row, state: states[row]!, job: this.grids.get(batch)?.jobs[row] || null };
  }

  private now(batch: number): Promise<Api.BatchRecord> {
    return this.cluster.ask((records) => Api.get(records, batch));
  }

  private async take({ batch, rows, running }: Api.BatchRecord): Promise<Grid> {
    const grid = this.gridOf(batch, rows);
    for (let call = 0; call < MAX_CALLS; call++) {
      const { ends, next } = await this.cluster.ask((records) =>
        Api.ends(records, batch, grid.next, ENDS),
      );
      for (const { job, row, state } of ends) {
        if (row >= grid.states.length) continue;
        grid.states[row] = LETTERS[state] ?? NONE;
        grid.jobs[row] = job;
      }
      grid.next = next;
      if (ends.length < ENDS) break;
    }
    grid.running = running === 0 ? [] : await this.running(batch, grid);
    return grid;
  }

  private async running(batch: number, grid: Grid): Promise<number[]> {
    const filter: JobRecords.JobFilter = { batch: String(batch), states: ["running"] };
    const page = await this.cluster.ask((records) =>
      JobRecords.list(records, { filter, limit: MAX_RUNNING }),
    );
    return page.jobs.flatMap(({ job, row }) => {
      if (row === undefined || row >= grid.states.length) return [];
      grid.jobs[row] = job;
      return [row];
    });
  }

  private gridOf(batch: number, rows: number): Grid {
    const known = this.grids.get(batch);
    const grid = known ?? {
      states: new Uint8Array(0),
      jobs: new Float64Array(0),
      next: 0,
      running: [],
    };
    if (grid.states.length < rows) {
      // They come in thousands while the batch is being sent.
      const states = new Uint8Array(rows).fill(NONE);
      states.set(grid.states);
      const jobs = new Float64Array(rows);
      jobs.set(grid.jobs);
      grid.states = states;
      grid.jobs = jobs;
    }
    this.grids.delete(batch);
    this.grids.set(batch, grid);
    if (this.grids.size > MAX_GRIDS) {
      const [oldest] = this.grids.keys();
      this.grids.delete(oldest!);
    }
    return grid;
  }
}

export function batchJson(batch: Api.BatchRecord) {
  const { client, columns } = batch;
  return { ...batchFields(batch), client: client || null, columns, eta: etaOf(batch) };
}

/** Seconds until it ends, if it goes on as it did; null: nobody can tell. */
function etaOf({
  cancelled,
  closed,
  ended,
  failed,
  queued,
  running,
  submitted,
  succeeded,
}: Api.BatchRecord) {
  const done = succeeded + failed + cancelled;
  if (ended !== null || !closed || done === 0) return null;
  const each = Math.max(0, Date.now() / 1000 - submitted) / done;
  return Math.round(each * (queued + running));
}
