/**
 * Going through several sorted lists and a heap of unsorted things as if they were one sorted list,
 * from its end.
 */

import { IndexedHeap, type Slotted } from "./heap.js";

/** How many things are sorted in one go. */
const RUN = 1000;

interface Cursor<T> extends Slotted {
  readonly list: readonly (T | undefined)[];
  index: number;
  item: T;
}

/**
 * Yields everything, the last first; and null now and then when it has been at work without finding
 * anything yet.
 *
 * @param sorted lists in order, which may have holes, but not at their ends.
 * @param unsorted more things, in any order.
 */
export function* reverseMerge<T>(
  sorted: readonly (readonly (T | undefined)[])[],
  unsorted: readonly T[],
  before: (a: T, b: T) => boolean,
): Generator<T | null, void, void> {
  const cursors = new IndexedHeap<Cursor<T>>((a, b) => before(b.item, a.item));
  const add = (list: readonly (T | undefined)[]) => {
    const index = list.length - 1;
    if (index >= 0) cursors.push({ list, index, item: list[index]!, slot: 0 });
  };
  sorted.forEach(add);
  for (let i = 0; i < unsorted.length; i += RUN) {
    if (i > 0) yield null;
    add(unsorted.slice(i, i + RUN).sort((a, b) => (before(a, b) ? -1 : 1)));
  }
  for (let cursor = cursors.peek(); cursor; cursor = cursors.peek()) {
    yield cursor.item;
    let steps = 0;
    do {
      cursor.index--;
      if (++steps % RUN === 0) yield null;
    } while (cursor.index >= 0 && cursor.list[cursor.index] === undefined);
    if (cursor.index < 0) {
      cursors.pop();
    } else {
      cursor.item = cursor.list[cursor.index]!;
      cursors.update(cursor);
    }
  }
}
