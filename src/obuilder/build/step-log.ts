/*
 * The log of one step: a file that its program's output goes to, which any number of readers follow
 * from its beginning while it grows, or read later.
 *
 * A log is open, then finished (nothing more will be written), then closed by its owner: nobody may
 * begin to read it any more. The file itself stays open as long as somebody reads, so it can be
 * renamed and removed under its readers. A slow reader holds up neither the program nor other
 * readers.
 */

import { type FileHandle, open } from "node:fs/promises";
import { Mutex } from "../../async/index.js";
import type { LogSink } from "../contracts.js";
import { BuildCancelled } from "../errors.js";

/** Bytes handed to a reader at a time. */
const CHUNK = 64 * 1024;

export class StepLog implements LogSink {
  readonly #file: FileHandle;
  readonly #writes = new Mutex();
  #length = 0;
  #finished = false;
  /** Readers, and the owner until it closes the log. */
  #users = 1;
  readonly #waiting = new Set<() => void>();

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** A new log; a file at `path` is replaced. */
  static async create(path: string): Promise<StepLog> {
    return new StepLog(await open(path, "w+", 0o666));
  }

  /** The log of a step that ended before; undefined if it has none. */
  static async saved(path: string): Promise<StepLog | undefined> {
    const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (!file) return undefined;
    const log = new StepLog(file);
    log.#length = (await file.stat()).size;
    log.#finished = true;
    return log;
  }

  /** Appends. */
  write(data: Uint8Array): Promise<void> {
    return this.#writes.run(async () => {
      for (let written = 0; written < data.length; ) {
        const length = data.length - written;
        const { bytesWritten } = await this.#file.write(data, written, length, this.#length);
        written += bytesWritten;
        this.#length += bytesWritten;
        this.#wake();
      }
    });
  }

  /** Nothing will be written any more. */
  finish(): void {
    this.#finished = true;
    this.#wake();
  }

  /** For the owner of a finished log. */
  async close(): Promise<void> {
    await this.#leave();
  }

  /**
   * Hands everything to `output`, from the beginning to the end of the finished log, waiting for
   * it. Rejects with `BuildCancelled` when `signal` is aborted.
   */
  async tail(
    output: (data: Uint8Array) => void | Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const wake = () => this.#wake();
    signal?.addEventListener("abort", wake, { once: true });
    this.#users++;
    try {
      for (let at = 0; ; ) {
        if (signal?.aborted) throw new BuildCancelled();
        if (at < this.#length) {
          const buffer = Buffer.allocUnsafe(Math.min(CHUNK, this.#length - at));
          const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, at);
          if (bytesRead === 0) return; // somebody has cut the file
          at += bytesRead;
          if (!signal?.aborted) await output(buffer.subarray(0, bytesRead));
        } else if (this.#finished) {
          return;
        } else {
          await new Promise<void>((resolve) => this.#waiting.add(resolve));
        }
      }
    } finally {
      signal?.removeEventListener("abort", wake);
      await this.#leave();
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  async #leave(): Promise<void> {
    this.#users--;
    if (this.#users === 0) await this.#file.close();
  }
}
