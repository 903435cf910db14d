/** Batches as their clients have them in tests, and workers that run them. */
import { createHash } from "node:crypto";
import { Batches, DurableSubmission } from "../../src/api/index.js";
import { RowWriter } from "../../src/batch/index.js";
import type { TestClient, TestWorker } from "./network.js";

export interface Options extends Partial<Batches.BatchRules> {
  readonly name?: string;
  readonly fresh?: boolean;
  readonly retries?: number;
  /** What the spec is before the value. */
  readonly spec?: string;
}

export function newBatch(rows: readonly string[], options: Options = {}): Batches.NewBatch {
  const { fresh = false, name = "", retries = 0, spec = "echo ", ...rules } = options;
  return {
    ...{ name, fresh, pool: "pool", urgent: false },
    digest: createHash("sha256")
      .update(JSON.stringify([spec, rows]))
      .digest(),
    options: { ...DurableSubmission.DEFAULT_DURABLE_OPTIONS, retries },
    rules: { ...Batches.NO_RULES, ...rules },
    template: {
      columns: ["v"],
      descr: { action: { kind: "obuilder", spec: "" }, cacheHint: "", secrets: [] },
      spec: [spec, { column: 0, escape: "plain" }],
      buildArgs: [],
      hint: ["hint-", { column: 0, escape: "plain" }],
    },
  };
}

/**
 * Submits a batch of rows with these values, whose keys are `k-VALUE`; resolves to what was
 * answered.
 */
export async function submit(client: TestClient, values: readonly string[], options: Options = {}) {
  const { submission } = client;
  const opened = await Batches.open(submission, newBatch(values, options));
  let kept = 0;
  if (opened.isNew) {
    const writer = new RowWriter();
    for (const value of values) writer.add(`k-${value}`, [value]);
    ({ kept } = await Batches.add(submission, opened.batch, 0, writer.take()));
    await Batches.close(submission, opened.batch, values.length);
  }
  return { ...opened, kept };
}

/**
 * A worker that runs what it gets, one after the other, until its connection ends; returns the
 * specs, as they come.
 */
export function run(worker: TestWorker, verdict: (spec: string) => boolean = () => true): string[] {
  const ran: string[] = [];
  const loop = async () => {
    for (;;) {
      const job = await worker.popDurable();
      const { action } = job.descr;
      const spec = action.kind === "obuilder" ? action.spec : "";
      ran.push(spec);
      job.begun.resolve();
      job.print(`${spec}\n`);
      if (verdict(spec)) job.end("succeeded", { output: "layer" });
      else job.end("failed", { reason: "no such tile" });
    }
  };
  loop().catch(() => {});
  return ran;
}

export async function until(
  client: TestClient,
  batch: number,
  isWanted: (record: Batches.BatchRecord) => boolean,
): Promise<Batches.BatchRecord> {
  let record = await Batches.get(client.submission, batch);
  while (!isWanted(record)) record = await Batches.get(client.submission, batch, record.revision);
  return record;
}

export function ended(client: TestClient, batch: number): Promise<Batches.BatchRecord> {
  return until(client, batch, (record) => record.ended !== null);
}

export function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index));
}
