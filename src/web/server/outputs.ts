/** Files that the scheduler keeps of jobs: their list, and each of them as a download. */
import { JobRecords, type OutputStream } from "../../api/index.js";
import { entryFields, OutputSource } from "../../client/index.js";
import { CommandFailed } from "../../console/index.js";
import type { AgedCache } from "./aged-cache.js";
import type { Cluster } from "./cluster.js";
import { ApiError } from "./errors.js";

/** Lists are read once in a while: what they tell does not change. In ms. */
const AGE_MS = 60_000;

/** Bytes of a list that is shown: that of some 50,000 files. */
const MAX_LIST = 16 * 1024 * 1024;

/** Bytes that are asked for at a time. */
const PART = 256 * 1024;

const ZEROS = new Uint8Array(256 * 1024);

export class Outputs {
  constructor(
    private readonly cluster: Cluster,
    private readonly cache: AgedCache,
  ) {}

  async list(job: number, attempt: number, from: number, limit: number) {
    const source = await this.source(job, attempt);
    const { entries } = source.list;
    return {
      job,
      attempt: source.attempt,
      total: entries.length,
      entries: entries.slice(from, from + limit).map(entryFields),
    };
  }

  /** A file of them, by its path as the list has it. Rejects with an `ApiError`. */
  async file(job: number, attempt: number, path: string) {
    const source = await this.source(job, attempt);
    const name = path.replace(/^\//, "");
    const entry = source.list.entries.find((one) => one.path === name);
    if (entry?.type !== "file") {
      throw new ApiError("not_found", "There is no such file; the list of outputs has all.");
    }
    return { entry, bytes: () => this.read(source, entry) };
  }

  /** The file's bytes; holes are zeros. */
  private async *read(
    source: OutputSource,
    entry: OutputStream.FileEntry,
  ): AsyncGenerator<Uint8Array> {
    const pieces = entry.data ?? [[0, entry.size] as const];
    let at = 0;
    let start = entry.at;
    for (const [offset, length] of pieces) {
      yield* zeros(offset - at);
      yield* this.part(source, start, start + length);
      start += length;
      at = offset + length;
    }
    yield* zeros(entry.size - at);
  }

  private async *part(source: OutputSource, from: number, to: number): AsyncGenerator<Uint8Array> {
    for (let at = from; at < to; ) {
      const { attempt, job } = source;
      const range = { job, attempt, start: at, limit: Math.min(PART, to - at) };
      const data = await this.cluster.ask((records) => JobRecords.readOutputs(records, range));
      if (data.length === 0) throw new ApiError("not_found", "The file is not kept any more.");
      yield data;
      at += data.length;
    }
  }

  private source(job: number, attempt: number): Promise<OutputSource> {
    const size = ({ list }: OutputSource) => list.entries.length * 300;
    const open = () =>
      this.cluster.ask((records) => OutputSource.open(records, job, attempt, MAX_LIST));
    return this.cache.get(`outputs ${job} ${attempt}`, AGE_MS, open, size).catch((error) => {
      if (!(error instanceof CommandFailed)) throw error;
      throw new ApiError("not_found", error.message);
    });
  }
}

function* zeros(count: number): Generator<Uint8Array> {
  for (let left = count; left > 0; left -= ZEROS.length) {
    yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
  }
}
