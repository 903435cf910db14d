/**
 * The spool of logs: what attempts at durable jobs print, on disk, in a few large files.
 *
 *     a log that grows:   [ pieces in segments )[ tail in memory ]
 *     one that is whole:  [ pieces in segments ]
 *
 * Output is collected for each log, and written when there is a good deal of it, when it is old, or
 * when somebody wants it on disk; then the piece goes into the index, which is the records'
 * (`jobs.db`). So an index never refers to what is not on disk, and a job that prints three lines
 * costs three lines. The tail that a killed scheduler had is had again from the worker.
 *
 * When the spool is larger than it may be, its oldest segment goes, with the logs of ended attempts
 * that are in it; what it has of logs that still grow is moved.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { AttemptLog } from "./attempt-log.js";
import type { JobRecords } from "./job-records.js";
import type { LogPiece } from "./jobs-messages.js";
import { LogSegments } from "./log-segments.js";

/** A log's tail of so many bytes is written without being asked for. */
const TAIL_SIZE = 64 * 1024;

/** So are all tails, as often, in ms. */
const TAIL_AGE_MS = 5000;

/** The most that one `read` gives. */
export const READ_SIZE = 1024 * 1024;

/** Pieces that one read looks at. */
const PIECES_AT_ONCE = 64;

export interface LogSpoolOptions {
  readonly directory: string;
  readonly records: JobRecords;
  /** Bytes on disk, all logs together. */
  readonly maxSize: number;
  /** Bytes at which a segment is full. */
  readonly segmentSize?: number;
  /** Told of logs that cannot be written, packed or cleared away, in words. */
  onWarning(message: string): void;
}

export class LogSpool {
  /** Those that grow, by `key`. */
  private readonly growing = new Map<string, AttemptLog>();
  private readonly timer: NodeJS.Timeout;
  private writing: Promise<void> | undefined;
  /** One that has not begun: whoever wants tails on disk meanwhile waits for the same. */
  private nextWrite: Promise<void> | undefined;
  private tidying: Promise<void> = Promise.resolve();
  private closed = false;

  private constructor(
    private readonly options: LogSpoolOptions,
    private readonly segments: LogSegments,
  ) {
    this.timer = setInterval(() => this.writeSoon(), TAIL_AGE_MS);
    this.timer.unref();
  }

  static async open(options: LogSpoolOptions): Promise<LogSpool> {
    const segments = await LogSegments.open(options.directory, options.segmentSize);
    const spool = new LogSpool(options, segments);
    spool.tidySoon();
    return spool;
  }

  /** Where the segments are. */
  get directory(): string {
    return this.options.directory;
  }

  /** Bytes on disk. */
  get size(): number {
    return this.segments.size;
  }

  /** Bytes that are in memory only. */
  get unwritten(): number {
    let bytes = 0;
    for (const log of this.growing.values()) bytes += log.tailSize;
    return bytes;
  }

  /**
   * The log of an attempt that goes on, from where its pieces end; the same one until it is closed.
   */
  async grow(job: number, attempt: number): Promise<AttemptLog> {
    const known = this.growingLog(job, attempt);
    if (known) return known;
    const pieces = await this.options.records.logPieces(job, attempt, 0, Number.MAX_SAFE_INTEGER);
    return this.begin(job, attempt, pieces);
  }

  /**
   * The same for one that is known to have these pieces only; by default it is new, and has none.
   */
  begin(job: number, attempt: number, pieces: readonly LogPiece[] = []): AttemptLog {
    const known = this.growingLog(job, attempt);
    if (known) return known;
    const key = keyOf(job, attempt);
    const log = new AttemptLog({
      job,
      attempt,
      pieces,
      read: (piece, start, length) => this.readPiece(piece, start, length),
      write: () => this.write(),
      onTail: (size) => {
        if (size >= TAIL_SIZE) this.writeSoon();
      },
      onClosed: () => this.growing.delete(key),
    });
    this.growing.set(key, log);
    return log;
  }

  /** The log of an attempt, if it grows. */
  growingLog(job: number, attempt: number): AttemptLog | undefined {
    return this.growing.get(keyOf(job, attempt));
  }

  /** Bytes of a log that is whole, from `start` on: some, `limit` at most; none at its end. */
  async read(job: number, attempt: number, start: number, limit = READ_SIZE): Promise<Buffer> {
    const pieces = await this.options.records.logPieces(job, attempt, start, PIECES_AT_ONCE);
    const parts: Buffer[] = [];
    let at = start;
    for (const piece of pieces) {
      // What is missing was cleared away.
      if (piece.start > at) break;
      const room = limit - (at - start);
      if (room <= 0) break;
      const part = await this.readPiece(piece, at - piece.start, room);
      parts.push(part);
      at += part.length;
    }
    return Buffer.concat(parts);
  }

  /** Whether anything is on disk of the log of an attempt. */
  async has(job: number, attempt: number): Promise<boolean> {
    return (await this.options.records.logPieces(job, attempt, 0, 1)).length > 0;
  }

  /**
   * Writes all tails; resolves when they are on disk and the records have been told. Rejects with
   * the system's errors.
   */
  write(): Promise<void> {
    this.nextWrite ??= this.writeNext();
    return this.nextWrite;
  }

  private async writeNext(): Promise<void> {
    // Many logs end in one turn.
    await nextTurn();
    await this.exclusively(() => {
      this.nextWrite = undefined;
      return this.writeTails();
    });
  }

  /**
   * Runs `copy` when all tails are on disk, and while no segment is packed or goes: so an index
   * that is copied in there fits the segments that are linked in there. Rejects as it does.
   */
  async held(copy: () => Promise<void>): Promise<void> {
    await this.write();
    const copied = this.tidying.then(copy);
    this.tidying = copied.catch(() => {});
    await copied;
  }

  /** Links all segments into a directory of the same file system, under their names. */
  link(directory: string): Promise<void> {
    return this.segments.link(directory);
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    this.closed = true;
    await this.write().catch(() => {});
    await this.tidying;
    await this.segments.close();
  }

  private writeSoon(): void {
    if (this.unwritten === 0) return;
    this.write().catch((error) => this.options.onWarning(`Cannot write logs of jobs: ${error}`));
  }

  private async writeTails(): Promise<void> {
    const tails = [...this.growing.values()].flatMap((log) => log.takeTail() ?? []);
    if (tails.length === 0) return;
    try {
      const { position, segment } = await this.segments.append(
        Buffer.concat(tails.flatMap(({ data }) => data)),
      );
      const full = await this.segments.sync();
      let at = position;
      for (const { length, log, start } of tails) {
        const { attempt, job } = log;
        const piece = { job, attempt, start, length, segment, position: at };
        log.written(piece);
        this.options.records.savePiece(piece);
        at += length;
      }
      if (full !== undefined) this.tidySoon(full);
    } catch (error) {
      for (const { log } of tails) log.notWritten();
      throw error;
    }
  }

  private async readPiece(piece: LogPiece, start: number, limit: number): Promise<Buffer> {
    const length = Math.min(piece.length - start, limit, READ_SIZE);
    const { position, segment } = piece;
    return this.segments.read({ segment, position: position + start }, length);
  }

  /** Packs a segment that is full, and makes room. */
  private tidySoon(full?: number): void {
    const { onWarning } = this.options;
    const tidy = async (): Promise<void> => {
      // It may have had to make room already.
      if (full !== undefined && !this.closed && this.segments.has(full)) {
        await this.segments.pack(full);
      }
      await this.removeUnused();
      await this.makeRoom();
    };
    this.tidying = this.tidying
      .then(tidy)
      .catch((error) => onWarning(`Cannot clear away logs of jobs: ${error}`));
  }

  /** Segments that nothing refers to: their jobs' records were removed. */
  private async removeUnused(): Promise<void> {
    const { records } = this.options;
    // Those of later may have pieces that the index does not know yet.
    const { sealed } = this.segments;
    await records.synced();
    const used = new Set((await records.segments.sizes()).map(([segment]) => segment));
    for (const segment of sealed) {
      if (!used.has(segment)) await this.segments.remove(segment);
    }
  }

  private async makeRoom(): Promise<void> {
    const { maxSize, records } = this.options;
    for (const segment of this.segments.sealed) {
      if (this.closed || this.segments.size <= maxSize) return;
      await records.synced();
      const pieces = await records.segments.pieces(segment);
      const grows = ({ attempt, ended, job }: (typeof pieces)[number]): boolean =>
        !ended || this.growing.has(keyOf(job, attempt));
      const dropped = new Map<string, readonly [number, number]>();
      for (const piece of pieces) {
        const { attempt, job } = piece;
        if (!grows(piece)) dropped.set(keyOf(job, attempt), [job, attempt]);
      }
      await records.segments.dropLogs([...dropped.values()]);
      await this.move(pieces.filter(grows), segment);
      await this.segments.remove(segment);
    }
  }

  /** Puts pieces of logs that still grow into another segment. */
  private async move(pieces: readonly LogPiece[], from: number): Promise<void> {
    for (const piece of pieces) {
      const data = await this.readWhole(piece);
      await this.exclusively(async () => {
        const place = await this.segments.append(data);
        await this.segments.sync();
        const moved = { ...piece, ...place };
        await this.options.records.segments.movePieces([moved], from);
        this.growing.get(keyOf(piece.job, piece.attempt))?.moved(moved);
      });
    }
  }

  private async readWhole(piece: LogPiece): Promise<Buffer> {
    return this.segments.read(piece, piece.length);
  }

  /** Runs while nothing else is written to segments. */
  private async exclusively(run: () => Promise<void>): Promise<void> {
    while (this.writing) await this.writing.catch(() => {});
    this.writing = run().finally(() => {
      this.writing = undefined;
    });
    await this.writing;
  }
}

function keyOf(job: number, attempt: number): string {
  return `${job}/${attempt}`;
}
