/** Shares of the workers, over a simulated day. */

import { expect, test } from "vitest";
import { IndexedHeap } from "../../src/scheduler/pool/heap.js";
import { connect, job, testPool } from "./support.js";

const DAY = 86_400;

/** A small generator of pseudo-random numbers in [0, 1): mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Finish {
  readonly at: number;
  readonly order: number;
  slot: number;
}

/**
 * A worker of capacity 20 that is never idle: jobs were expected to take ten minutes, but take half
 * a minute to one and a half. Each client always has ten jobs queued. Returns the names of the
 * clients as their jobs start.
 */
function simulate(clients: Readonly<Record<string, number>>) {
  const { pool, time } = testPool({ costs: { cached: 10, nonCached: 600 } });
  const worker = connect(pool, "worker", 20);
  const next = random(1);
  const finishes = new IndexedHeap<Finish>((a, b) =>
    a.at === b.at ? a.order < b.order : a.at < b.at,
  );
  const started: string[] = [];
  const submit = (id: string) => pool.client(id).submit(job(id));
  const startNext = () =>
    worker.pop((ticket) => {
      started.push(ticket!.job.name);
      finishes.push({ at: time.now + 30 + 60 * next(), order: started.length, slot: 0 });
      submit(ticket!.job.name);
    });

  for (const [id, rate] of Object.entries(clients)) {
    pool.client(id).setRate(rate);
    for (let i = 0; i < 10; i++) submit(id);
  }
  for (let i = 0; i < 20; i++) startNext();
  const runUntil = (end: number) => {
    while (finishes.peek()!.at < end) {
      time.now = finishes.pop()!.at;
      worker.jobFinished();
      startNext();
    }
    time.now = end;
  };
  return { submit, started, runUntil, worker };
}

test("clients of rates 1, 2 and 4 get shares of 1 to 2 to 4 in a day of endless jobs", () => {
  const { started, runUntil } = simulate({ ann: 1, ben: 2, cyd: 4 });
  runUntil(DAY);
  expect(started.length).toBeGreaterThan(25_000);
  for (const [id, rate] of [
    ["ann", 1],
    ["ben", 2],
    ["cyd", 4],
  ] as const) {
    const share = started.filter((name) => name === id).length / started.length;
    expect(Math.abs(share / (rate / 7) - 1), id).toBeLessThan(0.02);
  }
});

test("a newcomer's first job starts before any other that is queued", () => {
  const { started, submit, runUntil, worker } = simulate({ ann: 1, ben: 2, cyd: 4 });
  runUntil(DAY);
  const before = started.length;
  const running = worker.running;
  for (let i = 0; i < 10; i++) submit("new");
  runUntil(DAY + 3600);
  // The jobs that run now have to go on; the first that ends makes room.
  expect(running).toBe(20);
  expect(started[before]).toBe("new");
});
