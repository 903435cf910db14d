/**
 * The search for the worker that should preferably run a job: of the workers that hold its hint, are connected and
 * active and have little queued work, the one with the least; of several, the last by name.
 */

import { compareNames } from "../../text/index.js";
import type { Wants } from "./aside.js";
import { IndexedHeap, type Slotted } from "./heap.js";
import type { PoolWorker } from "./pool-worker.js";
import type { PoolStore } from "./types.js";

/** A worker with the work that was in its queue when we last looked. */
interface Candidate<J> extends Slotted {
  readonly worker: PoolWorker<J>;
  workload: number;
}

/**
 * One search, or several in a row. Between them jobs may be given to workers, but nothing else may happen: then
 * workloads only grow, and the hint's active holders can be kept in a heap by what their workload was at least.
 * So a pop that passes over many jobs of a hint that many workers hold looks at each of them once, not once a job.
 */
export class Candidates<J> {
  private asked: Set<string> | null = null;
  private heaps: Map<string, IndexedHeap<Candidate<J>>> | null = null;

  /** @param workers the connected ones. */
  constructor(
    private readonly workers: ReadonlyMap<string, PoolWorker<J>>,
    private readonly store: PoolStore,
  ) {}

  /** The preferred worker for a job of this hint, or null if none has at most `maxWorkload` seconds of work queued. */
  best(hint: string, maxWorkload: number, wants: Wants): PoolWorker<J> | null {
    if (wants.avoids.length > 0 || wants.needs !== 0) return this.scan(hint, maxWorkload, wants);
    const heap = this.heaps?.get(hint);
    if (heap) return firstOf(heap, maxWorkload);
    // Most searches are the only one for their hint; a heap is for those that are not.
    this.asked ??= new Set();
    if (!this.asked.has(hint)) {
      this.asked.add(hint);
      return this.scan(hint, maxWorkload, wants);
    }
    this.heaps ??= new Map();
    const made = this.heapOf(hint);
    this.heaps.set(hint, made);
    return firstOf(made, maxWorkload);
  }

  private scan(hint: string, maxWorkload: number, wants: Wants): PoolWorker<J> | null {
    const { avoids, needs } = wants;
    const names = this.store.holders(hint);
    let best: PoolWorker<J> | null = null;
    for (let i = names.length - 1; i >= 0; i--) {
      const worker = this.workers.get(names[i]!);
      if (!worker?.active || worker.workload > maxWorkload) continue;
      if (avoids.includes(worker.name) || (worker.abilities & needs) !== needs) continue;
      if (best && worker.workload >= best.workload) continue;
      best = worker;
      if (best.workload === 0) break;
    }
    return best;
  }

  private heapOf(hint: string): IndexedHeap<Candidate<J>> {
    const heap = new IndexedHeap<Candidate<J>>(preferable);
    for (const name of this.store.holders(hint)) {
      const worker = this.workers.get(name);
      if (worker?.active) heap.push({ worker, workload: worker.workload, slot: 0 });
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
