/**
 * Which jobs wait for which others to succeed (`--after`). The index goes from a job to those that
 * wait for it, so an end costs only what hangs on it. And that is dealt with one by one: a million
 * jobs that wait for the same one must not hold up everything else when it ends. There are no
 * cycles: a job can only name jobs that were submitted before.
 */

import { ShardedMap } from "./sharded-map.js";
import type { EndState } from "./types.js";

/**
 * One waiting for one. An object, so that one that was given up is not taken for a later one
 * between the same two.
 */
interface Link {
  readonly waiting: number;
}

interface Settled {
  readonly id: number;
  readonly state: EndState;
  /** Those who are yet to know. Some may have given up waiting. */
  readonly links: Iterator<Link>;
}

/** What the end of a job means for one that waited for it. */
export interface Consequence {
  readonly waiting: number;
  /** The job that has ended, and how. */
  readonly on: number;
  readonly state: EndState;
  /** Whether it was the last that was waited for; of no meaning if it did not succeed. */
  readonly isLast: boolean;
}

export class Dependencies {
  /** By the job that is waited for. */
  private readonly links = new ShardedMap<number, Set<Link>>();
  /** By the job that waits: what it still waits for. */
  private readonly unmet = new ShardedMap<number, Map<Link, number>>();
  /** What has ended while jobs waited for it, until they all know; from `next` on. */
  private settled: Settled[] = [];
  private next = 0;

  /** Whether there may be consequences to be taken. */
  get pending(): boolean {
    return this.settled.length > 0;
  }

  /** The jobs for which it waits, if any. */
  unmetOf(waiting: number): number[] {
    return [...(this.unmet.get(waiting)?.values() ?? [])];
  }

  /** The job waits for these, of which there is at least one, and which have not ended. */
  add(waiting: number, on: readonly number[]): void {
    const unmet = new Map<Link, number>();
    for (const id of on) {
      const link = { waiting };
      unmet.set(link, id);
      let links = this.links.get(id);
      if (links === undefined) {
        links = new Set();
        this.links.set(id, links);
      }
      links.add(link);
    }
    this.unmet.set(waiting, unmet);
  }

  /** The job does not wait any more, if it did. */
  remove(waiting: number): void {
    for (const [link, id] of this.unmet.get(waiting) ?? []) {
      const links = this.links.get(id);
      links?.delete(link);
      if (links?.size === 0) this.links.delete(id);
    }
    this.unmet.delete(waiting);
  }

  /** A job has ended. */
  ended(id: number, state: EndState): void {
    const links = this.links.get(id);
    if (links === undefined) return;
    this.links.delete(id);
    this.settled.push({ id, state, links: links.values() });
  }

  /**
   * Takes the next consequence of what has ended, in the order of ends; undefined when there are no
   * more.
   */
  take(): Consequence | undefined {
    for (; this.next < this.settled.length; this.next++) {
      const { id: on, state, links } = this.settled[this.next]!;
      for (let link = links.next(); !link.done; link = links.next()) {
        const { waiting } = link.value;
        const unmet = this.unmet.get(waiting);
        if (!unmet?.delete(link.value)) continue;
        if (unmet.size === 0) this.unmet.delete(waiting);
        return { waiting, on, state, isLast: unmet.size === 0 };
      }
    }
    this.settled = [];
    this.next = 0;
    return undefined;
  }
}
