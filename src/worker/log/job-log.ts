/**
 * The log of one job: append-only bytes that any number of readers page through while it grows.
 *
 * A log lives in memory as long as it is small. Beyond `memoryLimit` its oldest part moves to a
 * file, which its owner opens (log-file.ts): whether anything of it outlives the process is the
 * owner's to say, as is `store`. Beyond `maxSize` the output is cut, with a note; what the worker
 * itself has to say (`append`) still goes in.
 *
 *     [ 0 …… spilled )[ spilled …… length )
 *        file             memory, in blocks of equal size
 */
import type { FileHandle } from "node:fs/promises";
import { Job } from "../../api/index.js";
import { Condition } from "../../async/index.js";
import { writeFully } from "./log-file.js";

/**
 * A page of a log: `data` from the offset asked for, `next` the offset to ask for after it. Empty
 * data: the end.
 */
export interface LogPage {
  readonly data: Uint8Array;
  readonly next: number;
}

export interface JobLogOptions {
  /** Opens the file for a big log, empty, to be read and written. */
  readonly openFile: () => Promise<FileHandle>;
  /** Bytes kept in memory before the rest goes to disk. */
  readonly memoryLimit?: number;
  /** Bytes of output after which the log is cut. */
  readonly maxSize?: number;
}

const DEFAULT_MEMORY_LIMIT = 2 * 1024 * 1024;
export const DEFAULT_MAX_LOG_SIZE = 100 * 1024 * 1024;

/** Memory is taken in blocks of this many bytes. */
const BLOCK = 32 * 1024;

/** Blocks written to the file at once. */
const BATCH = 32;

const LINE_END = Buffer.from("\n");

/** How far the disk may lag behind, in bytes, before output that cannot be slowed down is cut. */
const MAX_LAG = 64 * 1024 * 1024;

/** The start of a `page` request is beyond the end of the log. */
export class LogRangeError extends Error {
  override readonly name = "LogRangeError";

  constructor() {
    super("Start value out of range!");
  }
}

export class JobLog {
  readonly #openFile: () => Promise<FileHandle>;
  readonly #memoryLimit: number;
  readonly #maxSize: number;
  /**
   * The bytes from `#spilled` on; all blocks but the last are full. `#spilled` is a multiple of
   * `BLOCK`.
   */
  #blocks: Buffer[] = [];
  #spilled = 0;
  #length = 0;
  /** Set once the output is cut: at the size limit, or because the disk failed. */
  #cut = false;
  #closed = false;
  #disposed = false;
  #file: FileHandle | undefined;
  #spilling: Promise<void> | undefined;
  readonly #growth = new Condition();

  constructor(options: JobLogOptions) {
    this.#openFile = options.openFile;
    this.#memoryLimit = options.memoryLimit ?? DEFAULT_MEMORY_LIMIT;
    this.#maxSize = options.maxSize ?? DEFAULT_MAX_LOG_SIZE;
  }

  /** A log that has ended and was stored: `length` bytes in `file`, which is taken. */
  static stored(file: FileHandle, length: number): JobLog {
    const log = new JobLog({ openFile: async () => file });
    log.#file = file;
    log.#spilled = length;
    log.#length = length;
    log.close();
    return log;
  }

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of them in memory. */
  get inMemory(): number {
    return this.#length - this.#spilled;
  }

  /**
   * Adds output of the job. The bytes are copied. Ignored once the log is cut or closed. If there
   * is a result, the disk is behind: whoever can slow the source down waits for it, so that a flood
   * is held up and does not fill the memory.
   */
  write(data: string | Uint8Array): Promise<void> | undefined {
    if (this.#cut || this.#closed) return undefined;
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    const room = this.#maxSize - this.#length;
    if (bytes.length > room) {
      this.#push(bytes.subarray(0, Math.max(0, room)));
      this.#cutOff(`the log is longer than ${this.#maxSize} bytes`);
    } else if (this.inMemory + bytes.length > MAX_LAG) {
      this.#cutOff("the output comes faster than the disk takes it");
    } else {
      this.#push(bytes);
    }
    return this.#isBehind ? this.#drained() : undefined;
  }

  /** Adds a line of the worker's own, also to a log that is cut. */
  append(line: string | Uint8Array): void {
    if (this.#closed) return;
    this.#push(Buffer.from(line as Uint8Array));
    this.#push(LINE_END);
  }

  /** Ends the log: readers at its end get an empty page. */
  close(): void {
    this.#closed = true;
    this.#growth.notify();
  }

  /** Has all of it in its file, on disk. The log must be closed. Throws the system's error. */
  async store(): Promise<void> {
    await this.#spilling;
    this.#file ??= await this.#openFile();
    const rest = this.#fromMemory(this.#spilled, this.inMemory);
    await writeFully(this.#file, rest, this.#spilled);
    await this.#file.datasync();
    this.#spilled = this.#length;
    this.#blocks = [];
  }

  /** All of a log that is in memory; null once it has been disposed of. */
  contents(): Uint8Array | null {
    if (this.#disposed) return null;
    return this.#fromMemory(this.#spilled, this.inMemory);
  }

  /** Frees memory and file, when nobody can read the log any more. The log must be closed. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#spilling;
    this.#blocks = [];
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /**
   * At most `Job.LOG_PAGE` bytes from offset `start`; a negative start counts from the end, and at
   * most to the beginning. Waits while there is nothing at that offset yet. Throws `LogRangeError`,
   * and `signal`'s reason.
   */
  async page(start: number, signal?: AbortSignal): Promise<LogPage> {
    const from = start < 0 ? Math.max(0, this.#length + start) : start;
    if (from > this.#length) throw new LogRangeError();
    while (from === this.#length && !this.#closed) await this.#growth.wait(signal);
    const size = Math.min(this.#length - from, Job.LOG_PAGE);
    const data =
      from < this.#spilled ? await this.#fromFile(from, size) : this.#fromMemory(from, size);
    return { data, next: from + data.length };
  }

  get #isBehind(): boolean {
    return this.#spilling !== undefined && this.inMemory > 2 * this.#memoryLimit;
  }

  async #drained(): Promise<void> {
    while (this.#isBehind) await this.#spilling;
  }

  #cutOff(why: string): void {
    this.#cut = true;
    this.append(`\n[ the rest of the output is dropped: ${why} ]`);
  }

  #push(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = (this.#length - this.#spilled) % BLOCK;
      if (at === 0) this.#blocks.push(Buffer.allocUnsafeSlow(BLOCK));
      const part = bytes.subarray(done, done + BLOCK - at);
      this.#blocks.at(-1)!.set(part, at);
      this.#length += part.length;
      done += part.length;
    }
    if (this.inMemory > this.#memoryLimit) this.#spilling ??= this.#spill();
    this.#growth.notify();
  }

  /** Moves the oldest blocks to the file until half of the memory limit is left. */
  async #spill(): Promise<void> {
    try {
      this.#file ??= await this.#openFile();
      while (this.inMemory > this.#memoryLimit / 2 && this.inMemory >= BLOCK && !this.#disposed) {
        const full = Math.floor(this.inMemory / BLOCK);
        const batch = this.#blocks.slice(0, Math.min(full, BATCH));
        await writeFully(this.#file, Buffer.concat(batch), this.#spilled);
        this.#blocks.splice(0, batch.length);
        this.#spilled += batch.length * BLOCK;
      }
    } catch (error) {
      // What is in memory stays readable, and bounded, as no output is added any more.
      if (!this.#cut && !this.#closed) {
        this.#cutOff(`it cannot be stored: ${(error as Error).message}`);
      }
    } finally {
      this.#spilling = undefined;
    }
  }

  #fromMemory(from: number, size: number): Uint8Array {
    const page = Buffer.allocUnsafe(size);
    for (let filled = 0; filled < size; ) {
      const offset = from - this.#spilled + filled;
      const block = this.#blocks[Math.floor(offset / BLOCK)]!;
      filled += block.copy(page, filled, offset % BLOCK, (offset % BLOCK) + size - filled);
    }
    return page;
  }

  async #fromFile(from: number, size: number): Promise<Uint8Array> {
    const page = Buffer.allocUnsafe(Math.min(size, this.#spilled - from));
    const { bytesRead } = await this.#file!.read(page, 0, page.length, from);
    return page.subarray(0, bytesRead);
  }
}
