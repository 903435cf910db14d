/**
 * Writes the stream of files of a job's result (`api/output-stream.ts`) into a file of its own, in
 * one go: contents as they come, with their hashes, and then the list. Runs of zeros are left out,
 * so that a sparse file takes no more room here than where it comes from.
 */
import { createHash, type Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { OutputStream } from "../../api/index.js";
import { exactSize } from "../../text/index.js";
import { JobFailed } from "../failure.js";
import { writeFully } from "../log/log-file.js";

/** Bytes that are written at a time. */
const BUFFER = 1024 * 1024;

/** A run of zeros is seen if it is so long, and begins at a multiple of that. */
const HOLE = 64 * 1024;
const ZEROS = Buffer.alloc(HOLE);

/** What files may have with their holes, which are read and hashed, if the limit is not more. */
const MAX_APPARENT = 1024 ** 4;

/** The stream of a job's files, complete. */
export interface WrittenStream {
  readonly size: number;
  readonly sha256: Buffer;
}

/** What of a file is known when its data was written. */
export type FileData = Pick<OutputStream.FileEntry, "size" | "sha256" | "at" | "data">;

export class OutputWriter {
  readonly #file: FileHandle;
  readonly #limit: number;
  readonly #hash = createHash("sha256");
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER);
  #filled = 0;
  #written = 0;
  #apparent = 0;

  /** @param limit bytes that the stream may have */
  constructor(file: FileHandle, limit: number) {
    this.#file = file;
    this.#limit = limit;
  }

  /** Bytes of the stream so far. */
  get size(): number {
    return this.#written + this.#filled;
  }

  /** Notes bytes that files have, holes or not. Throws a `JobFailed` if these are too many. */
  count(bytes: number): void {
    this.#apparent += bytes;
    const most = apparentLimit(this.#limit);
    if (this.#apparent > most) throw tooSparse(this.#apparent, most);
  }

  /** Begins a file; its data is then given to `add`, and `end` has what is to be said of it. */
  begin(): DataWriter {
    return new DataWriter(this);
  }

  /** Writes list and trailer, and has all on disk. */
  async finish({ asked, entries }: OutputStream.OutputList): Promise<WrittenStream> {
    const contents = this.size;
    const hash = createHash("sha256");
    for (const line of [...asked, ...entries]) {
      const text = OutputStream.listLine(line);
      hash.update(text);
      await this.write(text);
    }
    const list = this.size - contents;
    await this.write(OutputStream.writeTrailer({ contents, list, sha256: hash.digest() }));
    await this.#flush();
    await this.#file.datasync();
    return { size: this.#written, sha256: this.#hash.digest() };
  }

  /** Adds bytes to the stream. Throws a `JobFailed` above the limit. */
  async write(data: Uint8Array): Promise<void> {
    if (this.size + data.length > this.#limit) throw tooLarge(this.size + data.length, this.#limit);
    for (let done = 0; done < data.length; ) {
      const part = data.subarray(done, done + BUFFER - this.#filled);
      this.#buffer.set(part, this.#filled);
      this.#filled += part.length;
      done += part.length;
      if (this.#filled === BUFFER) await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    const data = this.#buffer.subarray(0, this.#filled);
    this.#hash.update(data);
    await writeFully(this.#file, data, this.#written);
    this.#written += data.length;
    this.#filled = 0;
  }
}

/** The data of one file, part by part. */
class DataWriter {
  readonly #writer: OutputWriter;
  readonly #hash: Hash = createHash("sha256");
  readonly #at: number;
  readonly #data: [offset: number, length: number][] = [];
  #size = 0;

  constructor(writer: OutputWriter) {
    this.#writer = writer;
    this.#at = writer.size;
  }

  async add(part: Uint8Array): Promise<void> {
    this.#writer.count(part.length);
    this.#hash.update(part);
    for (let done = 0; done < part.length; ) {
      // Up to the next multiple of HOLE in the file.
      const length = Math.min(part.length - done, HOLE - (this.#size % HOLE));
      const piece = part.subarray(done, done + length);
      const isHole = length === HOLE && ZEROS.equals(piece);
      if (!isHole) {
        const last = this.#data.at(-1);
        if (last && last[0] + last[1] === this.#size) last[1] += length;
        else this.#data.push([this.#size, length]);
        await this.#writer.write(piece);
      }
      this.#size += length;
      done += length;
    }
  }

  end(): FileData {
    const [first] = this.#data;
    const isWhole = this.#size === 0 || (first?.[0] === 0 && first[1] === this.#size);
    return {
      size: this.#size,
      sha256: this.#hash.digest("hex"),
      at: this.#at,
      ...(!isWhole && { data: this.#data }),
    };
  }
}

/** Bytes that files may have with their holes, if their stream may have `limit`. */
export function apparentLimit(limit: number): number {
  return Math.max(limit, MAX_APPARENT);
}

export function tooSparse(size: number, most: number): JobFailed {
  return new JobFailed(
    `The files to be handed over have ${exactSize(size)} or more with their holes, and ` +
      `${exactSize(most)} are allowed`,
  );
}

export function tooLarge(size: number, limit: number): JobFailed {
  return new JobFailed(
    `The files to be handed over have ${exactSize(size)} or more, and ${exactSize(limit)} are allowed ` +
      "(--max-output-size of the scheduler)",
  );
}
