/**
 * Where strangers come from. A key costs nothing, so that the address is all there is to tell one
 * who takes more than a share.
 */

/**
 * Who is likely to be behind a connection, as text to compare: an IPv4 address; of an IPv6 address
 * the network, as whoever has one address has all of its /64. "" for who came in by a unix socket
 * (`address` is undefined then).
 */
export function originOf(address: string | undefined): string {
  if (address === undefined) return "";
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  if (!plain.includes(":")) return plain;
  const [head = "", tail] = plain.replace(/%.*/, "").toLowerCase().split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const last = tail === "" ? [] : tail.split(":");
    while (groups.length + last.length < 8) groups.push("0");
    groups.push(...last);
  }
  return groups.slice(0, 4).join(":");
}

/** Things that came from somewhere, each origin's in the order of their coming. */
export class ByOrigin<T extends { readonly origin: string }> {
  readonly #origins = new Map<string, Set<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The origins, in turn: see `pass`. */
  get origins(): Iterable<string> {
    return this.#origins.keys();
  }

  /** What came from `origin`, the oldest first. */
  of(origin: string): ReadonlySet<T> {
    return this.#origins.get(origin) ?? NOTHING;
  }

  add(thing: T): void {
    const known = this.#origins.get(thing.origin);
    if (known?.has(thing)) return;
    if (known) known.add(thing);
    else this.#origins.set(thing.origin, new Set([thing]));
    this.#size++;
  }

  /** Returns false if it was not there. */
  delete(thing: T): boolean {
    const known = this.#origins.get(thing.origin);
    if (!known?.delete(thing)) return false;
    if (known.size === 0) this.#origins.delete(thing.origin);
    this.#size--;
    return true;
  }

  /** The origin has had its turn: it is the last of `origins` now. */
  pass(origin: string): void {
    const known = this.#origins.get(origin);
    if (!known) return;
    this.#origins.delete(origin);
    this.#origins.set(origin, known);
  }

  /** The oldest thing of the origin that has the most. Takes a look at each origin. */
  oldestOfMost(): T | undefined {
    let most: ReadonlySet<T> = NOTHING;
    for (const things of this.#origins.values()) if (things.size > most.size) most = things;
    for (const oldest of most) return oldest;
    return undefined;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const things of this.#origins.values()) yield* things;
  }
}

const NOTHING: ReadonlySet<never> = new Set();
