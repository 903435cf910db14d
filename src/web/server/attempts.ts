/**
 * How often an address may be wrong about a secret: a bucket of attempts that fills up again with
 * time. Nobody can guess them; this tells a script that it has a wrong one to slow down. A right
 * one is right all the same: others may come from the same address.
 */
import { tooMany } from "./errors.js";
import { WEB_LIMITS } from "./limits.js";

/** Addresses that are remembered; the one that was heard of first goes first. */
const MAX_ADDRESSES = 10_000;

interface Bucket {
  used: number;
  /** In ms. */
  at: number;
}

export class Attempts {
  private readonly buckets = new Map<string, Bucket>();

  /** `now` in ms on any clock that does not jump. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Counts a wrong one. Throws an `ApiError` (too_many) if there were too many already. */
  wrong(address: string): void {
    const { at, used } = this.current(address) ?? { used: 0, at: this.now() };
    if (used > WEB_LIMITS.wrongSecrets - 1) {
      throw tooMany(
        "Too many wrong secrets came from your address: wait.",
        WEB_LIMITS.wrongSecretMs / 1000,
      );
    }
    this.buckets.delete(address);
    if (this.buckets.size >= MAX_ADDRESSES) {
      const [oldest] = this.buckets.keys();
      this.buckets.delete(oldest!);
    }
    this.buckets.set(address, { used: used + 1, at });
  }

  private current(address: string): Bucket | undefined {
    const bucket = this.buckets.get(address);
    if (!bucket) return undefined;
    const now = this.now();
    bucket.used = Math.max(0, bucket.used - (now - bucket.at) / WEB_LIMITS.wrongSecretMs);
    bucket.at = now;
    return bucket;
  }
}
