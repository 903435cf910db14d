/** Small batches of tests. */
import { createHash } from "node:crypto";
import { Batches, DurableSubmission } from "../../../src/api/index.js";
import { RowWriter } from "../../../src/batch/index.js";
import type { TestClient } from "../../scheduler/network.js";

/** Submits a batch with a row for each value, whose key it is; resolves to its number. */
export async function submitBatch(
  { submission }: TestClient,
  name: string,
  values: readonly string[],
): Promise<number> {
  const { batch } = await Batches.open(submission, {
    ...{ name, fresh: false, pool: "pool", urgent: false },
    digest: createHash("sha256").update(name).digest(),
    options: DurableSubmission.DEFAULT_DURABLE_OPTIONS,
    rules: Batches.NO_RULES,
    template: {
      columns: ["v"],
      descr: { action: { kind: "obuilder", spec: "" }, cacheHint: "", secrets: [] },
      spec: ["echo ", { column: 0, escape: "plain" }],
      buildArgs: [],
      hint: [],
    },
  });
  const writer = new RowWriter();
  for (const value of values) writer.add(value, [value]);
  await Batches.add(submission, batch, 0, writer.take());
  await Batches.close(submission, batch, values.length);
  return batch;
}
