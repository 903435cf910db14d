/**
 * A map for a million entries. A `Map` of that size moves all of them when it grows, which holds
 * everything else up for a tenth of a second or more. This is many small ones, each of which grows
 * by itself.
 *
 * Numbers that follow each other share one, as jobs that are dealt with one after the other have
 * such: it is in the processor's cache when the next one comes.
 */

/** How many numbers share a map. */
const RUN = 4096;

/** How many maps there are for texts. */
const SHARDS = 256;

/**
 * Characters of a text that choose its map: the last ones, as those of keys in a series differ
 * there.
 */
const HASHED = 8;

export class ShardedMap<K extends number | string, V> {
  private readonly shards = new Map<number, Map<K, V>>();
  private count = 0;
  /** The one that was used last. */
  private index = Number.NaN;
  private shard: Map<K, V> | undefined;

  get size(): number {
    return this.count;
  }

  get(key: K): V | undefined {
    return this.shardOf(key)?.get(key);
  }

  set(key: K, value: V): void {
    let shard = this.shardOf(key);
    if (shard === undefined) {
      shard = new Map();
      this.shards.set(this.index, shard);
      this.shard = shard;
    }
    const before = shard.size;
    shard.set(key, value);
    this.count += shard.size - before;
  }

  delete(key: K): boolean {
    const shard = this.shardOf(key);
    if (!shard?.delete(key)) return false;
    this.count--;
    if (shard.size === 0) {
      this.shards.delete(this.index);
      this.shard = undefined;
    }
    return true;
  }

  private shardOf(key: K): Map<K, V> | undefined {
    const index = indexOf(key);
    if (index !== this.index) {
      this.index = index;
      this.shard = this.shards.get(index);
    }
    return this.shard;
  }
}

function indexOf(key: number | string): number {
  if (typeof key === "number") return Math.floor(key / RUN);
  let hash = key.length;
  for (let i = Math.max(0, key.length - HASHED); i < key.length; i++) {
    hash = (hash * 31 + key.charCodeAt(i)) % 65_521;
  }
  return hash % SHARDS;
}
