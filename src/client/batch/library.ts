/**
 * Batches for programs: rows are added as they are known, and results followed as they come.
 *
 *     await using batch = await Batch.open({ connect: "alice.cap", pool: "cpu", name: "tiles", spec, columns: ["lat", "lon"] });
 *     await batch.add([{ key: "52_21", values: { lat: "52", lon: "21" } }]);
 *     await batch.close();
 *     for await (const { key, state } of batch.results()) console.log(key, state);
 *
 * One connection: when it is lost, calls reject, and opening the same batch again goes on with it.
 * All errors are `Error`s with a message for people.
 */
import { createHash } from "node:crypto";
import { Batches, DurableSubmission } from "../../api/index.js";
import { RowChunk, RowWriter } from "../../batch/index.js";
import { type Capability, readCapFile, Vat } from "../../rpc/index.js";
import { type ResultRow, resultOf } from "./batch-json.js";
import { Columns } from "./columns.js";
import { bytesOfText } from "./rows/row-source.js";
import { compileSpec } from "./spec-template.js";

export {
  type DockerContext,
  type SendContextOptions,
  sendContext,
} from "../local-context/send-context.js";
export {
  type Fetched,
  JobOutputs,
  type JobOutputsOptions,
  type OutputFile,
} from "../outputs/library.js";
export type { ResultRow };

export interface BatchOptions {
  /** The path of a client's capability file. */
  readonly connect: string;
  readonly pool: string;
  /** The same name, spec and options again are the same batch. */
  readonly name: string;
  /** With `{column}` where a row's value goes. */
  readonly spec: string;
  readonly columns: readonly string[];
  /** Attempts after a failed one; default 0. */
  readonly retries?: number;
  readonly rules?: Partial<Batches.BatchRules>;
  /** Another batch in any case. */
  readonly fresh?: boolean;
}

export interface BatchRow {
  /** 1 to 200 characters, of this row alone. */
  readonly key: string;
  /** A text for each column. */
  readonly values: Readonly<Record<string, string>>;
}

export class Batch implements AsyncDisposable {
  private constructor(
    private readonly vat: Vat,
    private readonly submission: Capability,
    private readonly columns: readonly string[],
    /** Its number. */
    readonly id: number,
    private sent: number,
  ) {}

  /** Begins a batch, or finds it: `rows` says how many it has. */
  static async open(options: BatchOptions): Promise<Batch> {
    const { columns, connect, fresh = false, name, pool, retries = 0, rules, spec } = options;
    const { pieces } = compileSpec(Buffer.from(spec), "spec", new Columns(columns));
    const template: Batches.BatchTemplate = {
      ...{ columns, spec: pieces, buildArgs: [], hint: [] },
      descr: { action: { kind: "obuilder", spec: "" }, cacheHint: "", secrets: [] },
    };
    const digest = createHash("sha256").update(
      JSON.stringify(["open", pool, template, retries, rules]),
    );
    const vat = new Vat();
    try {
      const submission = await vat.import(readCapFile(connect));
      const opened = await Batches.open(submission, {
        ...{ name, fresh, pool, template, urgent: false, digest: digest.digest() },
        options: { ...DurableSubmission.DEFAULT_DURABLE_OPTIONS, retries },
        rules: { ...Batches.NO_RULES, ...rules },
      });
      return new Batch(vat, submission, columns, opened.batch, opened.rows);
    } catch (error) {
      await vat.close();
      throw error;
    }
  }

  /** How many rows the scheduler has. */
  get rows(): number {
    return this.sent;
  }

  /**
   * Adds at most 10,000 rows, which begin as there is room; resolves when they are on the
   * scheduler's disk. One call at a time.
   */
  async add(rows: readonly BatchRow[]): Promise<void> {
    const writer = new RowWriter();
    for (const { key, values } of rows) {
      writer.add(
        key,
        this.columns.map((name) => textFor(key, values, name)),
      );
    }
    const added = await Batches.add(this.submission, this.id, this.sent, writer.take());
    this.sent = added.rows;
  }

  /** These are all rows: the batch ends when they have. */
  async close(): Promise<void> {
    await Batches.close(this.submission, this.id, this.sent);
  }

  /** Where it stands. */
  state(): Promise<Batches.BatchRecord> {
    return Batches.get(this.submission, this.id);
  }

  async cancel(): Promise<void> {
    await Batches.cancel(this.submission, this.id, "");
  }

  /** Rows as they end, from the first on, until the batch has ended. */
  async *results(): AsyncGenerator<ResultRow, void> {
    let record = await this.state();
    for (let after = 0; ; ) {
      while (after < record.last) {
        const page = await Batches.rows(this.submission, this.id, after, 500);
        for (const { job, row, values } of page.rows) {
          const told = new RowChunk(values, this.columns.length).row(0);
          yield resultOf({ ...told, job, row }, this.columns);
        }
        after = page.next;
      }
      if (record.ended !== null) return;
      record = await Batches.get(this.submission, this.id, record.revision);
    }
  }

  /** Lets go of the connection; the batch goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.submission.release();
    await this.vat.close();
  }
}

function textFor(key: string, values: BatchRow["values"], name: string): string {
  const value = values[name];
  if (value === undefined) throw new Error(`Row ${key} has no value for ${name}`);
  return bytesOfText(value);
}
