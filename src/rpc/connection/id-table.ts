/**
 * The tables of a connection, by id. They can have a million entries, which must not make the
 * others wait: maps of that size take a hundred milliseconds to grow, and plain arrays nearly as
 * long.
 */
import { PiecewiseList } from "../../async/index.js";

/**
 * A table whose ids we choose: questions, exports, embargoes. Small ids are used again first, as
 * they make the table small.
 */
export class IdTable<T> {
  private entries = new PiecewiseList<T | undefined>();
  private free = new PiecewiseList<number>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Makes an entry under a new id. */
  add(make: (id: number) => T): T {
    const id = this.free.pop() ?? this.entries.length;
    const entry = make(id);
    this.entries.set(id, entry);
    this.count++;
    return entry;
  }

  get(id: number): T | undefined {
    return this.entries.get(id);
  }

  /** Frees `id`, which must be in use. */
  delete(id: number): void {
    this.entries.set(id, undefined);
    this.count--;
    this.free.push(id);
  }

  forEach(visit: (entry: T, id: number) => void): void {
    visitPresent(this.entries, visit);
  }

  /**
   * Reports violated invariants: every id is in use or free, and free once. For tests and
   * diagnosis: looks at all.
   */
  check(fault: (text: string) => void): void {
    let found = 0;
    this.forEach(() => {
      found++;
    });
    if (found !== this.count) fault(`${found} entries are counted as ${this.count}`);
    if (found + this.free.length !== this.entries.length) {
      fault("an id is neither in use nor free, or free twice");
    }
    for (const id of this.free)
      if (this.get(id) !== undefined) fault(`id ${id} is in use and free`);
  }

  /** Empties the table. Gives what was in it, entry by entry. */
  drain(): Iterable<T> {
    const { entries } = this;
    this.entries = new PiecewiseList();
    this.free = new PiecewiseList();
    this.count = 0;
    return present(entries);
  }
}

/** How far beyond twice as many ids as are in use an id may be to go into the array. */
const NEAR = 1024;

/**
 * A table whose ids the peer chooses: answers, imports. Peers choose small ids, too; what is far
 * off goes into a map, so that nobody can make the table larger than what is in it by much.
 */
export class PeerIdTable<T extends object> {
  private near = new PiecewiseList<T | undefined>();
  private far = new Map<number, T>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  get(id: number): T | undefined {
    return id < this.near.length ? this.near.get(id) : this.far.get(id);
  }

  /** Makes the entry, or replaces it. */
  set(id: number, entry: T): void {
    if (!this.has(id)) this.count++;
    const { near } = this;
    // By what is in it, not by its length: a peer whose ids only ever grow must not make it grow
    // with them.
    if (id >= near.length && id > 2 * this.count + NEAR) {
      this.far.set(id, entry);
      return;
    }
    while (near.length <= id) {
      // What was far off is near now.
      const moved = this.far.get(near.length);
      if (moved !== undefined) this.far.delete(near.length);
      near.push(moved);
    }
    near.set(id, entry);
  }

  delete(id: number): void {
    if (!this.has(id)) return;
    this.count--;
    if (id < this.near.length) this.near.set(id, undefined);
    else this.far.delete(id);
  }

  forEach(visit: (entry: T, id: number) => void): void {
    visitPresent(this.near, visit);
    this.far.forEach(visit);
  }

  /**
   * Reports violated invariants: every entry is where it is looked for. For tests and diagnosis:
   * looks at all.
   */
  check(fault: (text: string) => void): void {
    let found = 0;
    this.forEach((entry, id) => {
      found++;
      if (this.get(id) !== entry) fault(`the entry under id ${id} is not found`);
    });
    if (found !== this.count) fault(`${found} entries are counted as ${this.count}`);
  }

  /** Empties the table. Gives what was in it, entry by entry. */
  drain(): Iterable<T> {
    const { near, far } = this;
    this.near = new PiecewiseList();
    this.far = new Map();
    this.count = 0;
    return present(near, far.values());
  }
}

function visitPresent<T>(
  list: PiecewiseList<T | undefined>,
  visit: (entry: T, id: number) => void,
): void {
  for (let id = 0; id < list.length; id++) {
    const entry = list.get(id);
    if (entry !== undefined) visit(entry, id);
  }
}

function* present<T>(...lists: Iterable<T | undefined>[]): Generator<T, void> {
  for (const list of lists) for (const entry of list) if (entry !== undefined) yield entry;
}
