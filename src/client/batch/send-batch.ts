/**
 * Sends a batch: its template, then its rows, many at a time and several calls at once. `run` may
 * be called again with another connection when one is lost, and goes on with the rows that the
 * scheduler does not have.
 */
import { createHash } from "node:crypto";
import { Batches, DurableSubmission } from "../../api/index.js";
import type { Capability } from "../../rpc/index.js";
import { onlyPool } from "../index.js";
import type { PreparedBatch } from "./prepare.js";

/** How a batch is to be treated; what is left out is as usual. */
export interface BatchSettings {
  /** The same again is the same batch. */
  readonly name: string;
  readonly fresh: boolean;
  /** Undefined: the only one that there is. */
  readonly pool: string | undefined;
  readonly urgent: boolean;
  readonly options: Partial<DurableSubmission.DurableOptions>;
  readonly rules: Partial<Batches.BatchRules>;
}

export interface SentBatch {
  readonly batch: number;
  readonly isNew: boolean;
  /** Of a batch that was there: jobs that are tried again. */
  readonly again: number;
  /** Rows that had succeeded in another batch of the name. */
  readonly kept: number;
}

/** Calls on their way at a time. */
const AT_ONCE = 4;

export class BatchSender {
  private sent: SentBatch | null = null;
  /** A second `open` of a fresh one finds the first. */
  private hasAsked = false;

  constructor(
    private readonly prepared: PreparedBatch,
    private readonly settings: BatchSettings,
  ) {}

  /** Resolves when the scheduler has all of it on disk. Rejects with an `RpcError`. */
  async run(submission: Capability, signal?: AbortSignal): Promise<SentBatch> {
    const { fresh, options, rules, ...settings } = this.settings;
    const { chunks, count, template } = this.prepared;
    const pool = settings.pool ?? (await onlyPool(submission));
    const made: Batches.NewBatch = {
      ...settings,
      pool,
      fresh: fresh && !this.hasAsked,
      digest: this.digest(pool),
      options: { ...DurableSubmission.DEFAULT_DURABLE_OPTIONS, ...options },
      rules: { ...Batches.NO_RULES, ...rules },
      template,
    };
    const opened = await Batches.open(submission, made, { signal });
    this.hasAsked = true;
    // Of a batch that is found again after the connection was lost, the first answer counts.
    this.sent ??= { batch: opened.batch, isNew: opened.isNew, again: opened.again, kept: 0 };
    const { batch } = this.sent;
    const waiting = chunks.filter(({ first }) => first >= opened.rows).values();
    let kept = 0;
    const send = async (): Promise<void> => {
      for (const { bytes, first } of waiting) {
        const added = await Batches.add(submission, batch, first, bytes, { signal });
        kept += added.kept;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, send));
    await Batches.close(submission, batch, count, { signal });
    this.sent = { ...this.sent, kept: this.sent.kept + kept };
    return this.sent;
  }

  /** Of all that makes the batch. */
  private digest(pool: string): Uint8Array {
    const { options, rules, urgent } = this.settings;
    return createHash("sha256")
      .update(this.prepared.digest)
      .update(JSON.stringify([pool, urgent, options, rules], infinite))
      .digest();
  }
}

/** JSON knows no infinity. */
function infinite(_: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? "infinite" : value;
}
