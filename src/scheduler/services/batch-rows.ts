/**
 * The rows of batches, as they are needed: read from disk many at a time, and kept in memory for a
 * while.
 */
import { RowChunk, type RowValues } from "../../batch/index.js";
import type { JobRecords } from "../state/job-records.js";

/** Bytes of rows in memory, of all batches together. */
const KEPT = 32 * 1024 * 1024;

interface Piece {
  readonly first: number;
  readonly bytes: number;
  readonly chunk: RowChunk;
}

export class BatchRows {
  /** By batch and number of the first row, the one used last at the end. */
  private readonly pieces = new Map<string, Piece>();
  /** The piece of each batch that was used last. */
  private readonly latest = new Map<number, Piece>();
  private size = 0;

  constructor(private readonly records: JobRecords) {}

  /** A row; null if there is no such row any more. Rejects with a `StoreError`. */
  async row(batch: number, row: number, columns: number): Promise<RowValues | null> {
    const found = this.cached(batch, row);
    if (found) return found;
    const read = await this.records.batches.read("batchRows", batch, row);
    if (!read) return null;
    const { bytes, count, first } = read;
    const chunk = new RowChunk(bytes, columns);
    if (chunk.count !== count) throw new RangeError("These are not the rows that were kept");
    this.keep(batch, { first, bytes: bytes.byteLength, chunk });
    return chunk.row(row - first);
  }

  /** The row if it is in memory: the next one usually is. */
  cached(batch: number, row: number): RowValues | null {
    const piece = this.latest.get(batch);
    if (piece && holds(piece, row)) return piece.chunk.row(row - piece.first);
    for (const [key, each] of this.pieces) {
      if (!key.startsWith(`${batch} `) || !holds(each, row)) continue;
      this.pieces.delete(key);
      this.pieces.set(key, each);
      this.latest.set(batch, each);
      return each.chunk.row(row - each.first);
    }
    return null;
  }

  forget(batch: number): void {
    this.latest.delete(batch);
    for (const [key, { bytes }] of this.pieces) {
      if (!key.startsWith(`${batch} `)) continue;
      this.pieces.delete(key);
      this.size -= bytes;
    }
  }

  private keep(batch: number, piece: Piece): void {
    const key = `${batch} ${piece.first}`;
    this.size += piece.bytes - (this.pieces.get(key)?.bytes ?? 0);
    this.pieces.delete(key);
    this.pieces.set(key, piece);
    this.latest.set(batch, piece);
    for (const [oldest, { bytes }] of this.pieces) {
      if (this.size <= KEPT || oldest === key) return;
      this.pieces.delete(oldest);
      this.size -= bytes;
    }
  }
}

function holds({ chunk, first }: Piece, row: number): boolean {
  return row >= first && row < first + chunk.count;
}
