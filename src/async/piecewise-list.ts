/**
 * An array in pieces. A plain one of a million entries is copied when it grows, and is one object
 * of many megabytes to the garbage collector: either holds up everything else for up to a tenth of
 * a second.
 */

/** Entries of a piece: few enough to be moved in no time. A power of two. */
const PIECE = 4096;
const SHIFT = Math.log2(PIECE);

export class PiecewiseList<T> {
  private pieces: T[][] = NO_PIECES;
  private count = 0;

  get length(): number {
    return this.count;
  }

  get(index: number): T | undefined {
    return this.pieces[index >>> SHIFT]?.[index & (PIECE - 1)];
  }

  /** Replaces an entry, or adds one at the end. `index` is at most `length`. */
  set(index: number, entry: T): void {
    if (index === this.count) this.push(entry);
    else this.pieces[index >>> SHIFT]![index & (PIECE - 1)] = entry;
  }

  push(entry: T): void {
    const at = this.count++ >>> SHIFT;
    // There are thousands of small ones: a literal has just the room that it needs.
    if (this.pieces === NO_PIECES) this.pieces = [[entry]];
    else if (at === this.pieces.length) this.pieces.push([entry]);
    else this.pieces[at]!.push(entry);
  }

  pop(): T | undefined {
    if (this.count === 0) return undefined;
    const at = --this.count >>> SHIFT;
    const entry = this.pieces[at]!.pop();
    // The next one stays for a while, as what was taken away often comes back.
    if (this.pieces.length > at + 2) this.pieces.pop();
    return entry;
  }

  *[Symbol.iterator](): Generator<T, void> {
    for (const piece of this.pieces) yield* piece;
  }
}

const NO_PIECES: never[][] = [];
