/**
 * A map for a million entries. A `Map` of that size moves all of them when it grows, which holds everything else up for
 * a tenth of a second or more. This is many small ones, each of which grows by itself.
 */

const SHARDS = 256;

/** Characters of a text that choose its shard: the last ones, as those of keys in a series differ there. */
const HASHED = 8;

export class ShardedMap<K extends number | string, V> {
  private readonly shards: (Map<K, V> | undefined)[] = new Array(SHARDS).fill(undefined);
  private count = 0;

  get size(): number {
    return this.count;
  }

  get(key: K): V | undefined {
    return this.shards[shardOf(key)]?.get(key);
  }

  set(key: K, value: V): void {
    const index = shardOf(key);
    let shard = this.shards[index];
    if (shard === undefined) {
      shard = new Map();
      this.shards[index] = shard;
    }
    const before = shard.size;
    shard.set(key, value);
    this.count += shard.size - before;
  }

  delete(key: K): boolean {
    const isGone = this.shards[shardOf(key)]?.delete(key) ?? false;
    if (isGone) this.count--;
    return isGone;
  }
}

function shardOf(key: number | string): number {
  if (typeof key === "number") return key % SHARDS;
  let hash = key.length;
  for (let i = Math.max(0, key.length - HASHED); i < key.length; i++) {
    hash = (hash * 31 + key.charCodeAt(i)) % 65_521;
  }
  return hash % SHARDS;
}
