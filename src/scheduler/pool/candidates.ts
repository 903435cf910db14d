/**
 * The search for the worker that should preferably run a job: of the workers that hold its hint,
 * are able to do it, are connected and active and have little queued work, the one with the least;
 * of several, the last by name.
 */

import { compareNames } from "../../text/index.js";
import type { Demand } from "./demand.js";
import { IndexedHeap, type Slotted } from "./heap.js";
import type { PoolWorker } from "./pool-worker.js";
import type { PoolStore } from "./types.js";

/** A worker with the work that was in its queue when we last looked. */
interface Candidate<J> extends Slotted {
  readonly worker: PoolWorker<J>;
  workload: number;
}

/** The workers for one demand's jobs by hint; null for a hint that was searched for once. */
type Searches<J> = Map<string, IndexedHeap<Candidate<J>> | null>;

/**
 * One search, or several in a row. Between them jobs may be given to workers, but nothing else may
 * happen: then workloads only grow, and the hint's active holders can be kept in a heap by what
 * their workload was at least. So a pop that passes over many jobs of a hint that many workers hold
 * looks at each of them once, not once a job.
 */
export class Candidates<J> {
  private searches: Map<Demand<J>, Searches<J>> | null = null;

  /** @param workers the connected ones. */
  constructor(
    private readonly workers: ReadonlyMap<string, PoolWorker<J>>,
    private readonly store: PoolStore,
  ) {}

  /**
   * The preferred worker for a job of this hint, or null if none has at most `maxWorkload` seconds
   * of work queued.
   */
  best(
    hint: string,
    maxWorkload: number,
    demand: Demand<J>,
    avoids: readonly string[],
  ): PoolWorker<J> | null {
    if (avoids.length > 0) return this.scan(hint, maxWorkload, demand, avoids);
    this.searches ??= new Map();
    const heaps: Searches<J> = this.searches.get(demand) ?? new Map();
    this.searches.set(demand, heaps);
    const heap = heaps.get(hint);
    if (heap) return firstOf(heap, maxWorkload);
    // Most searches are the only one for their hint; a heap is for those that are not.
    if (heap === undefined) {
      heaps.set(hint, null);
      return this.scan(hint, maxWorkload, demand, avoids);
    }
    const made = this.heapOf(hint, demand);
    heaps.set(hint, made);
    return firstOf(made, maxWorkload);
  }

  private scan(
    hint: string,
    maxWorkload: number,
    demand: Demand<J>,
    avoids: readonly string[],
  ): PoolWorker<J> | null {
    const names = this.store.holders(hint);
    let best: PoolWorker<J> | null = null;
    for (let i = names.length - 1; i >= 0; i--) {
      const worker = this.workers.get(names[i]!);
      if (!worker?.active || worker.workload > maxWorkload) continue;
      if (avoids.includes(worker.name) || !demand.isMetBy(worker)) continue;
      if (best && worker.workload >= best.workload) continue;
      best = worker;
      if (best.workload === 0) break;
    }
    return best;
  }

  private heapOf(hint: string, demand: Demand<J>): IndexedHeap<Candidate<J>> {
    const heap = new IndexedHeap<Candidate<J>>(preferable);
    for (const name of this.store.holders(hint)) {
      const worker = this.workers.get(name);
      if (worker?.active && demand.isMetBy(worker))
        heap.push({ worker, workload: worker.workload, slot: 0 });
    }
    return heap;
  }
}

function preferable<J>(a: Candidate<J>, b: Candidate<J>): boolean {
  if (a.workload !== b.workload) return a.workload < b.workload;
  return compareNames(a.worker.name, b.worker.name) > 0;
}

function firstOf<J>(heap: IndexedHeap<Candidate<J>>, maxWorkload: number): PoolWorker<J> | null {
  for (;;) {
    const first = heap.peek();
    if (!first || first.workload > maxWorkload) return null;
    if (first.workload === first.worker.workload) return first.worker;
    first.workload = first.worker.workload;
    heap.update(first);
  }
}
