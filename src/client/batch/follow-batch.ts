/**
 * Follows a batch: what state it is in, and its rows as they end. It remembers where it is, and
 * `run` may be called again with another connection when one is lost.
 */
import { Batches } from "../../api/index.js";
import { RowChunk } from "../../batch/index.js";
import type { Capability } from "../../rpc/index.js";
import type { EndedRow } from "./batch-json.js";

/** Who watches. Fulfilled when there may be more. */
export interface BatchView {
  state(batch: Batches.BatchRecord): void;
  rows(records: Capability, rows: readonly EndedRow[], batch: Batches.BatchRecord): Promise<void>;
}

/** Rows that are asked for at a time. */
const PAGE = 500;

export class BatchFollower {
  private after = 0;

  constructor(
    private readonly batch: Batches.BatchId,
    private readonly view: BatchView,
  ) {}

  /**
   * Resolves to the batch's record when it has ended, or without `follow` as it is, and all ends of
   * rows were seen. Rejects with an `RpcError`.
   */
  async run(
    records: Capability,
    { follow, signal }: { readonly follow: boolean; readonly signal?: AbortSignal },
  ): Promise<Batches.BatchRecord> {
    let record = await Batches.get(records, this.batch, 0, { signal });
    for (;;) {
      this.view.state(record);
      await this.rows(records, record, signal);
      if (record.ended !== null || !follow) return record;
      record = await Batches.get(records, record.batch, record.revision, { signal });
    }
  }

  private async rows(
    records: Capability,
    batch: Batches.BatchRecord,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    while (this.after < batch.last) {
      const page = await Batches.rows(records, batch.batch, this.after, PAGE, { signal });
      if (page.rows.length === 0) return;
      await this.view.rows(
        records,
        page.rows.map(({ job, row, values }) => ({
          row,
          job,
          ...new RowChunk(values, batch.columns.length).row(0),
        })),
        batch,
      );
      this.after = page.next;
    }
  }
}
