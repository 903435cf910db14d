/**
 * What is to happen when: at most one moment for each job. A binary heap that knows where each job
 * is in it, so that a moment can be changed and taken back, and a cluster whose network comes and
 * goes leaves no old entries behind.
 */

interface Entry {
  readonly id: number;
  at: number;
  slot: number;
}

/** Setting, taking back and taking the first cost O(log n). */
export class Agenda {
  private readonly entries = new Map<number, Entry>();
  private readonly heap: Entry[] = [];

  get size(): number {
    return this.heap.length;
  }

  /** The earliest moment; infinite if there is none. */
  get next(): number {
    return this.heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** The job's moment is this one, whatever it was. */
  set(id: number, at: number): void {
    this.delete(id);
    const entry = { id, at, slot: this.heap.length };
    this.entries.set(id, entry);
    this.rise(entry, entry.slot);
  }

  /** The job has no moment any more, if it had one. */
  delete(id: number): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    this.entries.delete(id);
    const last = this.heap.pop()!;
    if (last === entry) return;
    const above = this.heap[(entry.slot - 1) >> 1];
    if (entry.slot > 0 && before(last, above!)) this.rise(last, entry.slot);
    else this.sink(last, entry.slot);
  }

  /** Takes out the job whose moment came first, if it is not later than `now`. */
  take(now: number): number | undefined {
    const first = this.heap[0];
    if (first === undefined || first.at > now) return undefined;
    this.delete(first.id);
    return first.id;
  }

  private rise(entry: Entry, from: number): void {
    let slot = from;
    while (slot > 0) {
      const above = this.heap[(slot - 1) >> 1]!;
      if (!before(entry, above)) break;
      this.put(above, slot);
      slot = (slot - 1) >> 1;
    }
    this.put(entry, slot);
  }

  private sink(entry: Entry, from: number): void {
    let slot = from;
    for (;;) {
      const left = 2 * slot + 1;
      if (left >= this.heap.length) break;
      const right = left + 1;
      const isRight = right < this.heap.length && before(this.heap[right]!, this.heap[left]!);
      const below = this.heap[isRight ? right : left]!;
      if (!before(below, entry)) break;
      const freed = below.slot;
      this.put(below, slot);
      slot = freed;
    }
    this.put(entry, slot);
  }

  private put(entry: Entry, slot: number): void {
    this.heap[slot] = entry;
    entry.slot = slot;
  }
}

/** Jobs with the same moment come in the order of their ids. */
function before(a: Entry, b: Entry): boolean {
  return a.at !== b.at ? a.at < b.at : a.id < b.id;
}
