/**
 * Bytes of logs, for all who read the same ones: whole blocks are kept for a while, so that a
 * hundred pages with one log cost the scheduler what one does.
 */
import { JobRecords } from "../../api/index.js";
import type { Cluster } from "./cluster.js";
import { WEB_LIMITS } from "./limits.js";

/** Bytes. */
export const BLOCK = 128 * 1024;

/** Blocks that are kept. */
const MAX_KEPT = WEB_LIMITS.logCacheBytes / BLOCK;

/** A log, by its job and attempt. */
export interface LogName {
  readonly job: number;
  readonly attempt: number;
}

export class LogBlocks {
  private readonly kept = new Map<string, Promise<Uint8Array>>();

  constructor(private readonly cluster: Cluster) {
    cluster.onChange((isTheSame) => {
      if (!isTheSame) this.kept.clear();
    });
  }

  /**
   * Bytes from `start` on: at most to the end of a block, and none only where `size` says that the
   * log ends. Rejects with an `ApiError`.
   */
  async read(log: LogName, start: number, size: number): Promise<Uint8Array> {
    const number = Math.floor(start / BLOCK);
    const from = number * BLOCK;
    if (start >= size) return EMPTY;
    const isWhole = from + BLOCK <= size;
    const block = await (isWhole ? this.whole(log, number) : this.fetch(log, start, size));
    return isWhole ? block.subarray(start - from) : block;
  }

  private whole(log: LogName, number: number): Promise<Uint8Array> {
    const key = `${log.job}/${log.attempt}/${number}`;
    const kept = this.kept.get(key);
    if (kept) {
      this.kept.delete(key);
      this.kept.set(key, kept);
      return kept;
    }
    const coming = this.fetch(log, number * BLOCK, (number + 1) * BLOCK);
    coming.catch(() => this.kept.delete(key));
    this.kept.set(key, coming);
    if (this.kept.size > MAX_KEPT) {
      const [oldest] = this.kept.keys();
      this.kept.delete(oldest!);
    }
    return coming;
  }

  private async fetch({ attempt, job }: LogName, from: number, to: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let at = from; at < to; ) {
      const range = { job, attempt, start: at, follow: false };
      const { data } = await this.cluster.ask((records) => JobRecords.log(records, range));
      if (data.length === 0) break; // it is shorter than was said
      parts.push(data.subarray(0, to - at));
      at += data.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }
}

const EMPTY = new Uint8Array(0);
