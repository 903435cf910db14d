/** What is wanted of a batch on this machine: logs and results of its rows, as these end. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Batches } from "../../api/index.js";
import type { Capability } from "../../rpc/index.js";
import type { EndedRow } from "./batch-json.js";
import { Columns } from "./columns.js";
import { PathTemplate } from "./file-name.js";
import { fetchLog } from "./logs.js";
import { fetchOutputs, type OutputTemplate, outputTemplates } from "./outputs.js";
import { ResultsFile } from "./results.js";

export interface FetchOptions {
  /** A directory, or a path with `{key}`. */
  readonly logs?: string | undefined;
  /** A file that ends in .csv or is of JSON lines. */
  readonly results?: string | undefined;
  /** Files of rows' results, `REMOTE:LOCAL` with `{key}` and columns in LOCAL. */
  readonly outputs?: readonly string[] | undefined;
  /** Logs and results into a directory that is named after the batch, if nothing else is said. */
  readonly byDefault?: boolean | undefined;
}

/** Logs that are fetched at a time: enough to make up for the way there. */
const AT_ONCE = 8;

export class BatchFetcher {
  private logs: PathTemplate | null = null;
  private results: ResultsFile | null = null;
  private outputs: readonly OutputTemplate[] = [];
  private isReady = false;

  constructor(private readonly options: FetchOptions) {}

  /**
   * Rejects with an `RpcError`, and the system's errors. May be called again with the same rows.
   */
  async rows(
    records: Capability,
    rows: readonly EndedRow[],
    batch: Batches.BatchRecord,
  ): Promise<void> {
    this.prepare(batch);
    const { logs, outputs } = this;
    if (logs || outputs.length > 0) {
      const waiting = rows.values();
      const fetch = async (): Promise<void> => {
        for (const row of waiting) {
          if (logs) await fetchLog(records, row, logs);
          await fetchOutputs(records, row, outputs);
        }
      };
      const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, fetch));
      for (const end of ends) if (end.status === "rejected") throw end.reason;
    }
    // Last, so that a row that is in there is all there.
    this.results?.add(rows);
  }

  /** Opens files, so that a path that is of no use is known before any row has ended. */
  prepare(batch: Pick<Batches.BatchRecord, "batch" | "columns">): void {
    if (this.isReady) return;
    const { columns } = batch;
    const { logs, results } = this.options.byDefault ? usualPlaces(batch.batch) : this.options;
    if (logs !== undefined) this.logs = logPaths(logs, columns);
    this.outputs = outputTemplates(this.options.outputs ?? [], columns);
    if (results !== undefined) this.results = new ResultsFile(results, columns);
    this.isReady = true;
  }

  close(): void {
    this.results?.close();
    this.results = null;
  }
}

/** The directory for what is fetched of a batch by who does not say where to. */
export function usualDirectory(batch: number): string {
  return `batch-${batch}`;
}

function usualPlaces(batch: number): { logs: string; results: string } {
  const directory = usualDirectory(batch);
  mkdirSync(directory, { recursive: true });
  return { logs: join(directory, "logs"), results: join(directory, "results.jsonl") };
}

/** `logs` is `logs/{key}.log`. Throws a `UsageError`. */
export function logPaths(logs: string, columns: readonly string[]): PathTemplate {
  const paths = PathTemplate.parse(logs, "--logs", new Columns(columns));
  if (paths.hasKey) return paths;
  const directory = logs.replace(/\/$/, "");
  return PathTemplate.parse(`${directory}/{key}.log`, "--logs", new Columns(columns));
}
