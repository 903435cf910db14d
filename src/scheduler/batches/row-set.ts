/** Rows of a batch that have begun: a bit for each, so that a million of them take 125 KB. */
export class RowSet {
  private bits = new Uint8Array(64);
  private count = 0;
  /** All rows below are in it. */
  private lowest = 0;

  get size(): number {
    return this.count;
  }

  has(row: number): boolean {
    return ((this.bits[row >>> 3] ?? 0) & (1 << (row & 7))) !== 0;
  }

  /** False if it was there. */
  add(row: number): boolean {
    if (this.has(row)) return false;
    if (row >>> 3 >= this.bits.length) {
      const larger = new Uint8Array(2 * Math.max(this.bits.length, row >>> 3));
      larger.set(this.bits);
      this.bits = larger;
    }
    this.bits[row >>> 3]! |= 1 << (row & 7);
    this.count++;
    return true;
  }

  delete(row: number): void {
    if (!this.has(row)) return;
    this.bits[row >>> 3]! &= ~(1 << (row & 7));
    this.count--;
    this.lowest = Math.min(this.lowest, row);
  }

  /** The first row that is not in it. */
  firstMissing(): number {
    while (this.has(this.lowest)) this.lowest++;
    return this.lowest;
  }
}
