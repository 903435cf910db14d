/**
 * A binary heap whose members know where they are in it, so that one can be taken out of the
 * middle.
 */

/** A member of a heap. `slot` belongs to the heap while it is in there; it can be in one only. */
export interface Slotted {
  slot: number;
}

/** A member to be looked at in a search, and where it is. */
interface Step<T> extends Slotted {
  readonly item: T;
  readonly at: number;
}

/** Adding, taking the first and taking out any member all cost O(log n) comparisons. */
export class IndexedHeap<T extends Slotted> {
  private readonly items: T[] = [];

  /** @param before a strict total order: no two members are equal. */
  constructor(private readonly before: (a: T, b: T) => boolean) {}

  get size(): number {
    return this.items.length;
  }

  /** The member that is before all others. */
  peek(): T | undefined {
    return this.items[0];
  }

  push(item: T): void {
    this.rise(item, this.items.length);
  }

  pop(): T | undefined {
    const first = this.items[0];
    if (first !== undefined) this.remove(first);
    return first;
  }

  /** Takes out a member. */
  remove(item: T): void {
    const { slot } = item;
    const last = this.items.pop()!;
    if (last !== item) this.place(last, slot);
  }

  /** To be called when a member's place in the order has changed. */
  update(item: T): void {
    this.place(item, item.slot);
  }

  /** The first member that suits. Costs O(k log k), where k is how many come before it. */
  firstWhere(suits: (item: T) => boolean): T | undefined {
    const next = new IndexedHeap<Step<T>>((a, b) => this.before(a.item, b.item));
    const visit = (at: number) => {
      const item = this.items[at];
      if (item !== undefined) next.push({ item, at, slot: 0 });
    };
    visit(0);
    for (let step = next.pop(); step; step = next.pop()) {
      if (suits(step.item)) return step.item;
      visit(2 * step.at + 1);
      visit(2 * step.at + 2);
    }
    return undefined;
  }

  /**
   * How many members come before `item`, which need not be one; not more than `limit`. Costs
   * O(limit).
   */
  countBefore(item: T, limit: number): number {
    let count = 0;
    // Whatever is below a member that does not come before the item does not either.
    const pending = [0];
    for (let slot = pending.pop(); slot !== undefined && count < limit; slot = pending.pop()) {
      if (slot >= this.items.length || !this.before(this.items[slot]!, item)) continue;
      count++;
      pending.push(2 * slot + 1, 2 * slot + 2);
    }
    return count;
  }

  clear(): void {
    this.items.length = 0;
  }

  /** The members in no useful order. */
  toArray(): T[] {
    return this.items.slice();
  }

  /** Puts an item in a hole, then where it belongs. */
  private place(item: T, hole: number): void {
    const parent = (hole - 1) >> 1;
    if (hole > 0 && this.before(item, this.items[parent]!)) this.rise(item, hole);
    else this.sink(item, hole);
  }

  private rise(item: T, hole: number): void {
    const { items } = this;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = items[parent]!;
      if (!this.before(item, above)) break;
      items[hole] = above;
      above.slot = hole;
      hole = parent;
    }
    items[hole] = item;
    item.slot = hole;
  }

  private sink(item: T, hole: number): void {
    const { items } = this;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.before(items[child + 1]!, items[child]!)) child++;
      const below = items[child]!;
      if (!this.before(below, item)) break;
      items[hole] = below;
      below.slot = hole;
      hole = child;
    }
    items[hole] = item;
    item.slot = hole;
  }
}
