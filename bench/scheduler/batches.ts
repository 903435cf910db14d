/**
 * What batches cost: rows of null jobs from the submit to their end, and a million rows that are
 * submitted, looked at, and cancelled.
 */
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Batches } from "../../src/api/index.js";
import { prepare } from "../../src/client/batch/prepare.js";
import { BatchSender } from "../../src/client/batch/send-batch.js";
import type { Figures } from "../report.js";
import { DurableClient, DurableWorker } from "./durable-load.js";
import { POOL, type SchedulerProcess } from "./process.js";
import { withScheduler } from "./scenarios.js";

const WORKERS = 10;
const REQUESTS = 8;

/**
 * So many null rows on 10 workers: many at a time, or one by one with 8 requests each, as those
 * have it that do not know another way.
 */
export function batchThroughput(rows: number, way: "bulk" | "one by one"): Promise<Figures> {
  return withScheduler({ tls: true }, async (scheduler) => {
    const client = await DurableClient.connect(scheduler.client);
    const workers = await Promise.all(
      Array.from({ length: WORKERS }, (_, i) =>
        DurableWorker.connect(scheduler.pool, `w${i}`, { requests: REQUESTS }),
      ),
    );
    for (const worker of workers) {
      (way === "bulk" ? worker.workInBulk() : worker.work()).catch(() => {});
    }
    const before = await scheduler.stats();
    const begun = performance.now();
    const batch = await submit(client, rows);
    const record = await ended(client, batch);
    const seconds = (performance.now() - begun) / 1000;
    const after = await scheduler.stats();
    for (const peer of [...workers, client]) await peer.close();
    return {
      "rows that succeeded": record.succeeded,
      "rows/s": rows / seconds,
      "scheduler µs/row": (after.cpu - before.cpu) / rows,
      "… of its main thread": (after.work - before.work) / rows,
      "longest block ms": after.longestBlock,
    };
  });
}

/** So many rows, for each of which a worker runs a process, so many at a time; rows a second. */
export function batchProcesses(rows: number, run: string, atATime: number): Promise<number> {
  return withScheduler({ tls: true }, async (scheduler) => {
    const client = await DurableClient.connect(scheduler.client);
    const worker = await DurableWorker.connect(scheduler.pool, "w1");
    worker.workInBulk({ run, atATime }).catch(() => {});
    const begun = performance.now();
    await ended(client, await submit(client, rows));
    const seconds = (performance.now() - begun) / 1000;
    for (const peer of [worker, client]) await peer.close();
    return rows / seconds;
  });
}

/** So many rows that are submitted to a pool without workers. */
export function batchQueue(rows: number): Promise<Figures> {
  return withScheduler({ tls: true }, async (scheduler) => {
    const client = await DurableClient.connect(scheduler.client);
    const before = await scheduler.stats({ collectGarbage: true });
    const { bavail, bsize } = statfsSync(tmpdir());
    const submitted = await timed(() => submit(client, rows));
    const disk = (bavail - statfsSync(tmpdir()).bavail) * bsize;
    const after = await scheduler.stats({ collectGarbage: true });
    const batch = submitted.value;
    const shown = await timed(() => Batches.get(client.submission, batch));
    const again = await timed(() => submit(client, rows));
    const restarted = await timed(() => restart(scheduler, client));
    const cancelled = await timed(async () => {
      await Batches.cancel(restarted.value.submission, batch, "");
      await ended(restarted.value, batch);
    });
    await restarted.value.close();
    return {
      "submit s, reading the rows included": submitted.seconds,
      "memory MB": (after.rss - before.rss) / 1e6,
      "disk MB (of all that is written meanwhile)": disk / 1e6,
      "show ms": shown.seconds * 1000,
      "the same again s": again.seconds,
      "restart s": restarted.seconds,
      "cancel s": cancelled.seconds,
      "longest block ms": after.longestBlock,
    };
  });
}

async function restart(scheduler: SchedulerProcess, client: DurableClient): Promise<DurableClient> {
  await scheduler.restart();
  await client.close();
  return await DurableClient.connect(scheduler.client);
}

async function submit(client: DurableClient, rows: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "ocluster-bench-"));
  try {
    const file = join(directory, "null.spec");
    writeFileSync(file, '((from busybox) (shell /bin/sh -c) (run (shell "true {n}")))');
    const prepared = await prepare({
      build: { kind: "spec", file },
      ...{ each: [], range: { from: 1, to: rows }, cacheHint: "", source: undefined, secrets: [] },
      ...{ skip: 0, limit: Number.POSITIVE_INFINITY, allowUnused: false },
    });
    const settings = { name: "null", fresh: false, pool: POOL, urgent: false };
    const sender = new BatchSender(prepared, { ...settings, options: {}, rules: {} });
    return (await sender.run(client.submission)).batch;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function ended(client: DurableClient, batch: number): Promise<Batches.BatchRecord> {
  let record = await Batches.get(client.submission, batch);
  while (record.ended === null) {
    record = await Batches.get(client.submission, batch, record.revision);
  }
  return record;
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; seconds: number }> {
  const begun = performance.now();
  const value = await work();
  return { value, seconds: (performance.now() - begun) / 1000 };
}
