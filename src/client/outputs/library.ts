/**
 * Files of jobs' results for programs: which there are, into a directory, or as bytes.
 *
 *     await using outputs = await JobOutputs.open({ connect: "alice.cap", job: 17 });
 *     for (const { path, size } of outputs.files) console.log(path, size);
 *     await outputs.fetch("/out", "results/");
 *     for await (const data of outputs.read("/out/a.txt")) process.stdout.write(data);
 *
 * One connection: when it is lost, calls reject, and another `fetch` to the same place goes on
 * where it was. All errors are `Error`s with a message for people.
 */
import { createHash } from "node:crypto";
import type { OutputStream } from "../../api/index.js";
import { type Capability, readCapFile, Vat } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import { type Fetched, OutputFetch } from "./fetch-outputs.js";
import { checkTargets } from "./local-check.js";
import { OutputSource } from "./output-source.js";
import { readOutputSpec } from "./output-spec.js";

export type { Fetched };

export interface JobOutputsOptions {
  /** The path of a client's capability file, or an administrator's. */
  readonly connect: string;
  readonly job: number;
  /** Default: the newest of which files are kept. */
  readonly attempt?: number;
}

/** A file, directory or link. Names of strangers' results: they may be anything but empty. */
export interface OutputFile {
  /** Absolute, in the result; bytes that are no UTF-8 are characters U+DC80 to U+DCFF. */
  readonly path: string;
  readonly type: "file" | "directory" | "link";
  /** Permissions. */
  readonly mode: number;
  readonly changed: Date;
  /** Bytes of a file. */
  readonly size: number | null;
  /** Of a file, as hexadecimal digits. */
  readonly sha256: string | null;
  /** Where a link leads. */
  readonly target: string | null;
}

/** Zeros of holes, which are not sent. */
const ZEROS = Buffer.alloc(64 * 1024);

export class JobOutputs implements AsyncDisposable {
  private constructor(
    private readonly vat: Vat,
    private readonly records: Capability,
    private readonly source: OutputSource,
  ) {}

  /** Reads which files are kept. Rejects if there are none (yet, or any more). */
  static async open({ attempt, connect, job }: JobOutputsOptions): Promise<JobOutputs> {
    const vat = new Vat();
    try {
      const records = await vat.import(readCapFile(connect));
      return new JobOutputs(vat, records, await OutputSource.open(records, job, attempt));
    } catch (error) {
      await vat.close();
      throw error;
    }
  }

  get job(): number {
    return this.source.job;
  }

  get attempt(): number {
    return this.source.attempt;
  }

  /** In the order of their paths, each directory before what is in it. */
  get files(): OutputFile[] {
    return this.source.list.entries.map(fileOf);
  }

  /**
   * Puts what is at a path, or what was asked for by a pattern, where `local` says: as
   * `--output=REMOTE:LOCAL` does, whole or not at all.
   */
  async fetch(remote: string, local: string): Promise<Fetched> {
    const spec = readOutputSpec(`${remote.replaceAll(":", "\\:")}:${local}`);
    if (typeof spec === "string") throw new Error(spec);
    if (spec.local?.kind === "stdout") throw new Error("'-' is no place for files: see read()");
    checkTargets([spec]);
    const { attempt, job } = this.source;
    const [fetched] = await new OutputFetch({ job, attempt, outputs: [spec] }).run(this.records);
    return fetched!;
  }

  /** The bytes of a file; rejects at its end if its SHA-256 is not right. */
  async *read(path: string): AsyncGenerator<Uint8Array, void> {
    const entry = this.source.list.entries.find((one) => `/${one.path}` === path);
    if (entry?.type !== "file") throw new Error(`There is no file ${quoted(path)}`);
    const hash = createHash("sha256");
    for await (const data of this.bytesOf(entry)) {
      hash.update(data);
      yield data;
    }
    if (hash.digest("hex") !== entry.sha256) throw new Error(`${quoted(path)} has arrived damaged`);
  }

  /** Lets go of the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.records.release();
    await this.vat.close();
  }

  private async *bytesOf(entry: OutputStream.FileEntry): AsyncGenerator<Uint8Array, void> {
    const { at, data = [[0, entry.size]], size } = entry;
    let [position, taken] = [0, at];
    for (const [offset, length] of data) {
      yield* zeros(offset - position);
      if (length > 0) yield* this.source.read(this.records, taken, taken + length);
      taken += length;
      position = offset + length;
    }
    yield* zeros(size - position);
  }
}

function* zeros(count: number): Generator<Uint8Array, void> {
  for (let left = count; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
}

function fileOf(entry: OutputStream.OutputEntry): OutputFile {
  const { mode, mtime, path, type } = entry;
  return {
    path: `/${path}`,
    type: type === "dir" ? "directory" : type,
    mode,
    changed: new Date(mtime * 1000),
    size: type === "file" ? entry.size : null,
    sha256: type === "file" ? entry.sha256 : null,
    target: type === "link" ? entry.target : null,
  };
}
