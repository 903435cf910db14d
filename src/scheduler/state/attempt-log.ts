/**
 * The log of an attempt that goes on: grows at its end, and is read from any offset by any number
 * of readers.
 *
 * Its states: *growing*; *writing* (its tail so far is on its way to disk, and it grows on behind
 * that); *closed*: it is whole, and readers at its end are told so. Readers of earlier bytes go on
 * until they are through.
 */
import { Job } from "../../api/index.js";
import { Condition } from "../../async/index.js";
import type { LogPiece } from "./jobs-messages.js";

export interface AttemptLogOptions {
  readonly job: number;
  readonly attempt: number;
  /** What of it is in segments already, in order and without a gap. */
  readonly pieces: readonly LogPiece[];
  /** Some bytes of a piece from its offset `start` on, `length` at most. */
  read(piece: LogPiece, start: number, length: number): Promise<Buffer>;
  /** Puts all tails on disk. */
  write(): Promise<void>;
  /** Its tail has grown to so many bytes. */
  onTail(size: number): void;
  onClosed(): void;
}

export interface Tail {
  readonly log: AttemptLog;
  readonly start: number;
  readonly length: number;
  readonly data: readonly Uint8Array[];
}

export class AttemptLog {
  readonly job: number;
  readonly attempt: number;
  private readonly pieces: LogPiece[];
  /** Where what is in memory begins. */
  private writtenLength: number;
  /** On its way to disk. */
  private writing: Uint8Array[] = [];
  private writingSize = 0;
  private tail: Uint8Array[] = [];
  private tailBytes = 0;
  private isClosed = false;
  /** There is more of it, or it is closed. */
  private readonly grown = new Condition();

  constructor(private readonly options: AttemptLogOptions) {
    this.job = options.job;
    this.attempt = options.attempt;
    this.pieces = [...options.pieces];
    const last = this.pieces.at(-1);
    this.writtenLength = last ? last.start + last.length : 0;
  }

  /** Bytes so far. */
  get length(): number {
    return this.writtenLength + this.writingSize + this.tailBytes;
  }

  /** Bytes that are in memory only. */
  get tailSize(): number {
    return this.writingSize + this.tailBytes;
  }

  /** Adds output. The bytes are kept, and must not change. */
  append(data: Uint8Array): void {
    if (data.length === 0) return;
    this.tail.push(data);
    this.tailBytes += data.length;
    this.grown.notify();
    this.options.onTail(this.tailBytes);
  }

  /**
   * It is whole. Resolves when all of it is on disk, and the records have been told where. Rejects
   * with the system's errors; may be called again then.
   */
  async close(): Promise<void> {
    if (this.tailSize > 0) await this.options.write();
    this.isClosed = true;
    this.grown.notify();
    this.options.onClosed();
  }

  /** Nobody adds to it for now; it is not whole. Its readers are told that it has ended. */
  abandon(): void {
    this.isClosed = true;
    this.grown.notify();
    this.options.onClosed();
  }

  /**
   * A page from `start` on; negative: from the end. With `follow`, waits for one until the log is
   * closed, also if `start` is beyond the end so far: what a scheduler had in memory when it was
   * killed comes again. Empty: the end. Throws a `RangeError` beyond it, and `signal`'s reason.
   */
  async page(
    start: number,
    follow: boolean,
    signal?: AbortSignal,
  ): Promise<{ data: Uint8Array; next: number }> {
    const from = start < 0 ? Math.max(0, this.length + start) : start;
    while (follow && from >= this.length && !this.isClosed) await this.grown.wait(signal);
    if (from > this.length) throw new RangeError("Start value out of range!");
    const data =
      from < this.writtenLength ? await this.fromPieces(from) : Buffer.from(this.inMemory(from));
    return { data, next: from + data.length };
  }

  /** For the spool: takes the tail, which is about to be written. */
  takeTail(): Tail | undefined {
    if (this.tailBytes === 0 || this.writingSize > 0) return undefined;
    const start = this.writtenLength;
    const length = this.tailBytes;
    const data = this.tail;
    this.writing = data;
    this.writingSize = length;
    this.tail = [];
    this.tailBytes = 0;
    return { log: this, start, length, data };
  }

  /** For the spool: the tail that was taken is on disk. */
  written(piece: LogPiece): void {
    this.pieces.push(piece);
    this.writtenLength += this.writingSize;
    this.writing = [];
    this.writingSize = 0;
  }

  /** For the spool: it could not be written. */
  notWritten(): void {
    this.tail = [...this.writing, ...this.tail];
    this.tailBytes += this.writingSize;
    this.writing = [];
    this.writingSize = 0;
  }

  /** For the spool: a piece is somewhere else now. */
  moved(piece: LogPiece): void {
    const index = this.pieces.findIndex(({ start }) => start === piece.start);
    if (index >= 0) this.pieces[index] = piece;
  }

  private async fromPieces(from: number): Promise<Buffer> {
    let low = 0;
    let high = this.pieces.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.pieces[middle]!.start <= from) low = middle;
      else high = middle - 1;
    }
    const piece = this.pieces[low]!;
    return this.options.read(piece, from - piece.start, Job.LOG_PAGE);
  }

  private inMemory(from: number): Uint8Array {
    let start = this.writtenLength;
    for (const block of [...this.writing, ...this.tail]) {
      if (from < start + block.length)
        return block.subarray(from - start, from - start + Job.LOG_PAGE);
      start += block.length;
    }
    return new Uint8Array(0);
  }
}
