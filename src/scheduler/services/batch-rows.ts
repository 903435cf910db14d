/**
 * The rows of batches, as they are needed: read from disk many at a time, and kept in memory for a
 * while.
 */
import { RowChunk, type RowValues } from "../../batch/index.js";
import type { JobRecords } from "../state/job-records.js";

/** Bytes of rows in memory, of all batches together. */
const KEPT = 32 * 1024 * 1024;

interface Piece {
  readonly batch: number;
  readonly first: number;
  readonly bytes: number;
  readonly chunk: RowChunk;
}

export class BatchRows {
  /** Of each batch, in the order of their rows. */
  private readonly pieces = new Map<number, Piece[]>();
  /** All of them, the one used last at the end. */
  private readonly inUse = new Set<Piece>();
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
    this.keep({ batch, first, bytes: bytes.byteLength, chunk });
    return chunk.row(row - first);
  }

  /** The row if it is in memory: the next one usually is. */
  cached(batch: number, row: number): RowValues | null {
    const piece = this.find(batch, row);
    return piece?.chunk.row(row - piece.first) ?? null;
  }

  /** Its key alone. */
  cachedKey(batch: number, row: number): string | null {
    const piece = this.find(batch, row);
    return piece?.chunk.key(row - piece.first) ?? null;
  }

  /** The same as bytes of a chunk, of this one row. They must not be changed. */
  cachedBytes(batch: number, row: number): Uint8Array | null {
    const piece = this.find(batch, row);
    return piece?.chunk.bytesOf(row - piece.first) ?? null;
  }

  forget(batch: number): void {
    for (const piece of this.pieces.get(batch) ?? []) this.drop(piece);
    this.pieces.delete(batch);
  }

  private find(batch: number, row: number): Piece | null {
    const pieces = this.pieces.get(batch);
    if (!pieces) return null;
    const at = lastFrom(pieces, row);
    const piece = pieces[at];
    if (!piece || row >= piece.first + piece.chunk.count) return null;
    if (this.inUse.size > 1) {
      this.inUse.delete(piece);
      this.inUse.add(piece);
    }
    return piece;
  }

  private keep(piece: Piece): void {
    const { batch, first } = piece;
    const pieces = this.pieces.get(batch) ?? [];
    this.pieces.set(batch, pieces);
    const at = lastFrom(pieces, first);
    const same = pieces[at]?.first === first ? pieces[at] : undefined;
    if (same) this.drop(same);
    pieces.splice(same ? at : at + 1, same ? 1 : 0, piece);
    this.inUse.add(piece);
    this.size += piece.bytes;
    for (const oldest of this.inUse) {
      if (this.size <= KEPT || oldest === piece) return;
      this.drop(oldest);
      const others = this.pieces.get(oldest.batch)!;
      others.splice(others.indexOf(oldest), 1);
    }
  }

  private drop(piece: Piece): void {
    this.inUse.delete(piece);
    this.size -= piece.bytes;
  }
}

/** Where the last piece is that begins with this row or before; -1: there is none. */
function lastFrom(pieces: readonly Piece[], row: number): number {
  let low = -1;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (pieces[middle]!.first <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}
