/**
 * A table whose ids we choose: questions, exports, embargoes. Small ids are used again first, as they make the table small.
 */
export class IdTable<T> {
  private readonly entries: (T | undefined)[] = [];
  private readonly free: number[] = [];
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Makes an entry under a new id. */
  add(make: (id: number) => T): T {
    const id = this.free.pop() ?? this.entries.length;
    const entry = make(id);
    this.entries[id] = entry;
    this.count++;
    return entry;
  }

  get(id: number): T | undefined {
    return this.entries[id];
  }

  /** Frees `id`, which must be in use. */
  delete(id: number): void {
    this.entries[id] = undefined;
    this.count--;
    this.free.push(id);
  }

  /** Empties the table. Returns what was in it. */
  drain(): T[] {
    const entries = this.entries.filter((entry) => entry !== undefined);
    this.entries.length = 0;
    this.free.length = 0;
    this.count = 0;
    return entries;
  }
}
