/** `batch list`, `show`, `cancel` and `retry`. */
import { Batches } from "../../api/index.js";
import { type Column, stderrTerminal, Table } from "../../console/index.js";
import type { Capability } from "../../rpc/index.js";
import { visible, visibleJson, writeMoment } from "../../text/index.js";
import { type RecordsOptions, writeLines } from "../index.js";
import { batchJson, type EndedRow, resultOf } from "./batch-json.js";
import { withBatches } from "./batches-session.js";
import { BatchFollower } from "./follow-batch.js";
import { describeBatch, titleOf } from "./progress.js";

/** Batches that are asked for at a time. */
const PAGE = 200;

export interface LookOptions extends RecordsOptions {
  readonly json: boolean;
}

export async function listBatches(options: LookOptions): Promise<void> {
  await withBatches(options, async (records) => {
    const table = new Table(COLUMNS);
    let found = 0;
    let cursor = "";
    do {
      const page = await Batches.list(records, cursor, PAGE);
      found += page.batches.length;
      cursor = page.cursor;
      if (options.json) await writeLines(page.batches.map(batchJson));
      else if (page.batches.length > 0) await writeLines(table.lines(page.batches.map(cells)));
    } while (cursor !== "");
    if (found === 0 && !options.json) process.stderr.write("No batches.\n");
  });
}

export interface ShowOptions extends LookOptions {
  readonly batch: Batches.BatchId;
  /** Rows that have failed, or all that have ended. */
  readonly rows: "none" | "failed" | "all";
}

export async function showBatch(options: ShowOptions): Promise<void> {
  const { batch: id, json, rows: wanted } = options;
  await withBatches(options, async (records) => {
    if (wanted === "none") {
      const batch = await Batches.get(records, id);
      await writeLines(json ? [batchJson(batch)] : describe(batch));
      return;
    }
    const follower = new BatchFollower(id, {
      state: () => {},
      rows: async (_, rows, { columns }) => {
        const shown = rows.filter(({ job }) => wanted === "all" || job.state === "failed");
        await writeLines(
          shown.map((row) => (json ? visibleJson(resultOf(row, columns)) : describeRow(row))),
        );
      },
    });
    await follower.run(records, { follow: false });
  });
}

export interface ChangeOptions extends LookOptions {
  readonly batch: Batches.BatchId;
}

export async function cancelBatch(options: ChangeOptions): Promise<void> {
  await change(options, async (records, { batch }) => {
    await Batches.cancel(records, batch, "");
    return null;
  });
}

/** @param options `keys`: of rows; empty for all that did not succeed */
export async function retryBatch(
  options: ChangeOptions & { readonly keys: readonly string[] },
): Promise<void> {
  await change(options, async (records, { batch }) => {
    const again = await Batches.retry(records, batch, options.keys);
    return `${again} ${again === 1 ? "job is" : "jobs are"} tried again.`;
  });
}

async function change(
  options: ChangeOptions,
  act: (records: Capability, batch: Batches.BatchRecord) => Promise<string | null>,
): Promise<void> {
  await withBatches(options, async (records) => {
    const said = await act(records, await Batches.get(records, options.batch));
    if (said !== null && !options.quiet) stderrTerminal.line(said);
    const batch = await Batches.get(records, options.batch);
    await writeLines([options.json ? batchJson(batch) : describeBatch(batch)]);
  });
}

function describe(batch: Batches.BatchRecord): string[] {
  const { ended, pool, reason, state, submitted } = batch;
  const lines = [
    `${titleOf(batch)}: ${state}`,
    `  ${describeBatch(batch).slice(titleOf(batch).length + 2)}`,
    `  pool ${visible(pool)}, submitted ${writeMoment(submitted)}`,
  ];
  if (ended !== null) lines.push(`  ended ${writeMoment(ended)}`);
  if (reason !== "") lines.push(`  ${visible(reason)}`);
  return lines;
}

function describeRow({ job, key }: EndedRow): string {
  const reason = job.reason === "" ? "" : `: ${visible(job.reason)}`;
  const worker = job.attempts.at(-1)?.worker;
  const where = worker === undefined ? "" : ` on ${visible(worker)}`;
  const attempts = job.attempts.length > 1 ? `, ${job.attempts.length} attempts` : "";
  return `${visible(key)} (job ${job.job}) ${job.state}${where}${attempts}${reason}`;
}

const COLUMNS: readonly Column[] = [
  { head: "BATCH", align: "right" },
  { head: "NAME" },
  { head: "STATE" },
  { head: "ROWS", align: "right" },
  { head: "DONE", align: "right" },
  { head: "FAILED", align: "right" },
  { head: "RUNNING", align: "right" },
  { head: "POOL", expendable: true },
  { head: "SUBMITTED", align: "right", expendable: true },
];

function cells(batch: Batches.BatchRecord): string[] {
  const { cancelled, failed, rows, running, succeeded } = batch;
  return [
    String(batch.batch),
    visible(batch.name),
    batch.state,
    String(rows),
    String(succeeded + failed + cancelled),
    String(failed),
    String(running),
    visible(batch.pool),
    writeMoment(batch.submitted),
  ];
}
