/** A pool with a clock to be set by hand, over the real store with a database in memory. */

import { INACTIVE } from "../../src/scheduler/pool/inactive-reasons.js";
import { Pool, type PoolOptions } from "../../src/scheduler/pool/pool.js";
import type { PoolWorker } from "../../src/scheduler/pool/pool-worker.js";
import type { Pop } from "../../src/scheduler/pool/pop.js";
import type { Costs, JobTraits, PoolStore } from "../../src/scheduler/pool/types.js";
import { Store } from "../../src/scheduler/state/store.js";

export interface Job {
  readonly name: string;
  readonly hint: string;
}

export interface TestPool {
  readonly pool: Pool<Job>;
  readonly time: { now: number };
}

export interface TestPoolOptions
  extends Partial<Pick<PoolOptions<Job>, "defer" | "later" | "log">> {
  readonly costs?: Costs;
  readonly avoids?: NonNullable<JobTraits<Job>["avoids"]>;
  readonly needs?: NonNullable<JobTraits<Job>["needs"]>;
  readonly store?: PoolStore;
}

/** Settles by hand unless `defer` is given. Costs are 2 and 10 seconds. */
export function testPool({
  costs,
  avoids,
  needs,
  store,
  ...options
}: TestPoolOptions = {}): TestPool {
  const time = { now: 1 };
  const estimate = costs ?? { cached: 2, nonCached: 10 };
  const pool = new Pool<Job>({
    name: "test",
    clock: () => time.now,
    store: store ?? Store.open(":memory:").pool("test"),
    traits: {
      hint: ({ hint }) => hint,
      costs: () => estimate,
      label: ({ name }) => name,
      ...(avoids && { avoids }),
      ...(needs && { needs }),
    },
    defer: () => {},
    ...options,
  });
  return { pool, time };
}

export function job(name: string, hint = ""): Job {
  return { name, hint };
}

/** Connects a worker and lets it be given jobs. */
export function connect(pool: Pool<Job>, name: string, capacity = 1): PoolWorker<Job> {
  const worker = pool.register(name, capacity)!;
  worker.setActive(true, INACTIVE.worker);
  return worker;
}

/**
 * What a worker's next pop is answered with, at once: a job's name, `finished`, or `pending`.
 * `then` may call it off.
 */
export function popNow(worker: PoolWorker<Job>, then: (pop: Pop<Job>) => void = () => {}): string {
  let state = "pending";
  const pop = worker.pop((ticket) => {
    state = ticket ? ticket.job.name : "finished";
  });
  then(pop);
  return state;
}
