/**
 * The pool by itself: how fast jobs go in, out and away when 100,000 and when 1,000,000 are queued,
 * how many bytes each takes, and for how long `show` and other big things hold the event loop. No
 * network, no database on disk.
 *
 *     npm run bench:pool [-- JOBS…]
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { INACTIVE } from "../src/scheduler/pool/inactive-reasons.js";
import { Pool } from "../src/scheduler/pool/pool.js";
import type { PoolWorker } from "../src/scheduler/pool/pool-worker.js";
import type { Ticket } from "../src/scheduler/pool/ticket.js";
import { Store } from "../src/scheduler/state/store.js";
import { type Figures, report } from "./report.js";
import { median } from "./statistics.js";

interface Job {
  readonly name: string;
  readonly hint: string;
}

const CLIENTS = ["ann", "ben", "cyd", "dan"];
/** How many operations are timed at a time, while the queue is full. */
const BATCH = 50_000;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function makePool(costs = { cached: 10, nonCached: 600 }): Pool<Job> {
  return new Pool<Job>({
    name: "bench",
    clock: () => performance.now() / 1000,
    store: Store.open(":memory:").pool("bench"),
    traits: { hint: ({ hint }) => hint, costs: () => costs, label: ({ name }) => name },
    later: setImmediate,
  });
}

function connect(pool: Pool<Job>, name: string): PoolWorker<Job> {
  const worker = pool.register(name, 10)!;
  worker.setActive(true, INACTIVE.worker);
  return worker;
}

/** Jobs as a service would have them, made in advance. */
function makeJobs(count: number, hint: (i: number) => string): Job[] {
  return Array.from({ length: count }, (_, i) => ({ name: `job${i}`, hint: hint(i) }));
}

function submit(pool: Pool<Job>, job: Job, i: number): Ticket<Job> {
  return pool.client(CLIENTS[i % CLIENTS.length]!).submit(job);
}

function heapBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Nanoseconds for each of `count` repetitions. */
function time(count: number, action: (i: number) => void): number {
  const begin = process.hrtime.bigint();
  for (let i = 0; i < count; i++) action(i);
  return Number(process.hrtime.bigint() - begin) / count;
}

/** Milliseconds. */
function duration(action: () => void): number {
  return time(1, action) / 1e6;
}

/** Fills a pool with jobs and measures it while it is full and while it is emptied. */
function withQueued(count: number): Figures {
  const pool = makePool();
  const worker = connect(pool, "worker");
  const hint = (i: number) => (i % 2 ? `hint-${i % 1000}` : "");
  const empty = heapBytes();
  const jobs = makeJobs(count, hint);
  const before = heapBytes();
  let tickets = jobs.map((job, i) => submit(pool, job, i));
  // The array of tickets is ours, not the pool's.
  const bytes = (heapBytes() - before) / count - 8;

  const submitting: number[] = [];
  const popping: number[] = [];
  for (let round = 0; round < 7; round++) {
    submitting.push(time(BATCH, (i) => tickets.push(submit(pool, jobs[i]!, i))));
    popping.push(time(BATCH, () => worker.pop((ticket) => ticket && worker.jobFinished())));
  }
  const show = showInSteps(pool);
  tickets = shuffle(tickets.filter(({ queued }) => queued));
  const cancelling = time(tickets.length, (i) => tickets[i]!.cancel());
  tickets = [];
  jobs.length = 0;
  return {
    "submits per second": 1e9 / median(submitting),
    "pops per second": 1e9 / median(popping),
    "cancels per second, in any order": 1e9 / cancelling,
    "bytes per queued job": bytes,
    "MB kept after all are gone": (heapBytes() - empty) / 1e6,
    ...show,
  };
}

function showInSteps(pool: Pool<Job>): Figures {
  const steps = pool.showInSteps();
  let longest = 0;
  let characters = 0;
  for (let done = false; !done; ) {
    const step = duration(() => {
      const result = steps.next();
      done = result.done === true;
      characters += result.value?.length ?? 0;
    });
    longest = Math.max(longest, step);
  }
  return { "show: characters": characters, "show: longest piece, ms": longest };
}

/**
 * A worker disconnects with this many jobs in its own queue, which takes a cost of nothing to
 * happen.
 */
function disconnect(count: number): Figures {
  const pool = makePool({ cached: 0, nonCached: 600 });
  const worker = connect(pool, "worker");
  const other = connect(pool, "other");
  worker.pop(() => {});
  submit(pool, { name: "first", hint: "hot" }, 0);
  pool.settle();
  other.pop(() => {});
  for (const [i, job] of makeJobs(count, () => "hot").entries()) submit(pool, job, i);
  const queued = worker.queue.size;
  return {
    "disconnect: jobs given back": queued,
    "disconnect, ms": duration(() => worker.release()),
  };
}

/**
 * One pop finds that all queued jobs are better off with the workers that hold their hint, and
 * passes them on.
 */
async function hotHint(workers: number, count: number): Promise<Figures> {
  const pool = makePool();
  const all = Array.from({ length: workers }, (_, i) => connect(pool, `worker-${i}`));
  for (const worker of all) worker.pop(() => {});
  for (let i = 0; i < workers; i++) submit(pool, { name: "first", hint: "hot" }, i);
  pool.settle();
  for (const worker of all) {
    while (worker.queue.size > 0) worker.pop(() => {});
  }
  for (const [i, job] of makeJobs(count, () => "hot").entries()) submit(pool, job, i);
  let longest = 0;
  let begin = 0;
  const answered = new Promise((resolve) => {
    longest = duration(() => all[0]!.pop(resolve));
  });
  // Every turn of the event loop that is not ours is a piece of the pop's work.
  let waiting = true;
  void answered.then(() => {
    waiting = false;
  });
  while (waiting) {
    begin = performance.now();
    await new Promise((resolve) => setImmediate(resolve));
    longest = Math.max(longest, performance.now() - begin);
  }
  const passed = all.reduce((sum, worker) => sum + worker.queue.size, 0);
  return { "hot hint: jobs passed on": passed, "hot hint: longest piece, ms": longest };
}

function shuffle<T>(items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}

const sizes = process.argv.slice(2).map(Number);
withQueued(BATCH); // warms up the compiler
for (const size of sizes.length > 0 ? sizes : [100_000, 1_000_000]) {
  report(`${size.toLocaleString("en")} jobs queued`, withQueued(size));
}
report("100,000 jobs in a worker's own queue", disconnect(100_000));
report("2,000 workers that hold the hint of 200,000 jobs", await hotHint(2000, 200_000));
