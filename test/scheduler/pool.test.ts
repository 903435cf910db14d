/** What traces do not tell of a pool: how it is used from a program. */

import { describe, expect, test, vi } from "vitest";
import { INACTIVE } from "../../src/scheduler/pool/inactive-reasons.js";
import {
  ClientRemoved,
  InvalidRate,
  WorkerReleased,
} from "../../src/scheduler/pool/pool-errors.js";
import { connect, job, popNow, testPool } from "./support.js";

describe("pops", () => {
  test("one that waits is answered in a microtask after a job came", async () => {
    const { pool } = testPool({ defer: queueMicrotask });
    const worker = connect(pool, "w");
    const answered = new Promise((resolve) => worker.pop((ticket) => resolve(ticket?.job.name)));
    pool.client("ann").submit(job("build"));
    expect(worker.queue.size).toBe(1);
    expect(await answered).toBe("build");
    expect(worker.running).toBe(1);
  });

  test("one that was called off takes no job, wherever it waited", () => {
    const { pool } = testPool();
    const worker = connect(pool, "w");
    const paused = pool.register("p", 1)!;
    const answer = vi.fn();
    const [inLine, marked, idle] = [worker.pop(answer), worker.pop(answer), paused.pop(answer)];
    expect(inLine.cancel()).toBe(true);
    expect(pool.show()).toContain("queue: (ready) [w]\n");

    pool.client("ann").submit(job("build"));
    expect(marked.state).toBe("marked");
    expect(marked.cancel()).toBe(true);
    pool.settle();
    // The job waits in the worker's own queue for the next pop.
    expect(popNow(worker)).toBe("build");

    expect(idle.cancel()).toBe(true);
    paused.setActive(true, INACTIVE.worker);
    paused.release();
    pool.settle();
    expect(answer).not.toHaveBeenCalled();
    expect([inLine, marked, idle].map((pop) => pop.cancel())).toEqual([false, false, false]);
  });

  test("an answer that throws does not keep others waiting", () => {
    const settlings: (() => void)[] = [];
    const { pool } = testPool({ defer: (settle) => settlings.push(settle) });
    const [first, second] = [connect(pool, "first"), connect(pool, "second")];
    const answer = vi.fn();
    first.pop(() => {
      throw new Error("broken service");
    });
    second.pop(answer);
    pool.client("ann").submit(job("one"));
    pool.client("ann").submit(job("two"));
    expect(settlings).toHaveLength(1);
    expect(() => settlings[0]!()).toThrow("broken service");
    expect(settlings).toHaveLength(2);
    settlings[1]!();
    expect(answer).toHaveBeenCalledOnce();
  });

  test("an answer may call the pool", () => {
    const { pool } = testPool();
    const worker = connect(pool, "w");
    const client = pool.client("ann");
    const names: string[] = [];
    const popAll = () => {
      worker.pop((ticket) => {
        if (!ticket) return;
        names.push(ticket.job.name);
        worker.jobFinished();
        if (names.length < 5) client.submit(job(`job${names.length}`));
        popAll();
      });
    };
    popAll();
    client.submit(job("job0"));
    pool.settle();
    expect(names).toEqual(["job0", "job1", "job2", "job3", "job4"]);
  });

  test("one that has to pass on very many jobs lets others run in between", () => {
    const turns: (() => void)[] = [];
    const { pool } = testPool({
      costs: { cached: 0, nonCached: 10 },
      later: (turn) => turns.push(turn),
    });
    const client = pool.client("ann");
    const holder = connect(pool, "holder");
    client.submit(job("first", "docs"));
    popNow(holder);
    for (let i = 0; i < 12_000; i++) client.submit(job(`docs${i}`, "docs"));
    client.submit(job("other"));

    const answers: unknown[] = [];
    const other = connect(pool, "other");
    other.pop((ticket) => answers.push(ticket?.job.name));
    expect(answers).toEqual([]);
    expect(holder.queue.size).toBe(5000);
    while (turns.length > 0) turns.shift()!();
    expect(answers).toEqual(["other"]);
    expect(holder.queue.size).toBe(12_000);

    // It does not come back to life when it is called off in the middle, or its worker leaves.
    for (let i = 0; i < 12_000; i++) client.submit(job(`more${i}`, "docs"));
    const called = other.pop((ticket) => answers.push(ticket?.job.name));
    called.cancel();
    other.pop((ticket) => answers.push(ticket));
    other.release();
    while (turns.length > 0) turns.shift()!();
    expect(answers).toEqual(["other", null]);
  });
});

describe("tickets", () => {
  test("can be cancelled once, while they are queued", () => {
    const { pool } = testPool();
    const client = pool.client("ann");
    const [first, second] = [client.submit(job("first")), client.submit(job("second"))];
    expect(first.cancel()).toBe(true);
    expect(first.cancel()).toBe(false);
    expect(popNow(connect(pool, "w"))).toBe("second");
    expect(second.queued).toBe(false);
    expect(second.cancel()).toBe(false);
  });

  test("of a removed client still run, and can still be cancelled", () => {
    const { pool } = testPool();
    const client = pool.client("ann");
    const [first, second] = [client.submit(job("first")), client.submit(job("second"))];
    pool.removeClient("ann");
    expect(second.cancel()).toBe(true);
    expect(first.queued).toBe(true);
    // A new client of that name is another one, and starts from now.
    pool.client("ann").submit(job("third"));
    const worker = connect(pool, "w");
    expect([popNow(worker), popNow(worker)]).toEqual(["first", "third"]);
    expect(() => client.submit(job("fourth"))).toThrow(ClientRemoved);
    expect(() => client.setRate(2)).toThrow(ClientRemoved);
  });
});

test("a rate is a number above zero", () => {
  const client = testPool().pool.client("ann");
  for (const rate of [0, -1, Number.NaN]) expect(() => client.setRate(rate)).toThrow(InvalidRate);
  client.setRate(0.5);
  expect(client.rate).toBe(0.5);
});

describe("a released worker", () => {
  test("ends its pops and is told so when it goes on", () => {
    const { pool } = testPool();
    const worker = connect(pool, "w");
    worker.release();
    worker.release();
    expect(popNow(worker)).toBe("finished");
    expect(() => worker.setActive(true, INACTIVE.worker)).toThrow(WorkerReleased);
    expect(pool.register("w", 1)).not.toBeNull();
    expect(pool.register("w", 1)).toBeNull();
  });

  test("still reports the jobs that it ran", () => {
    const { pool } = testPool();
    const worker = connect(pool, "w");
    for (const name of ["one", "two"]) pool.client("ann").submit(job(name));
    popNow(worker);
    popNow(worker);
    const seen: number[] = [];
    const stop = worker.onJobFinished((running) => seen.push(running));
    worker.jobFinished();
    worker.release();
    expect(pool.metrics().running).toBe(1);
    stop();
    worker.jobFinished();
    expect(seen).toEqual([1]);
    expect(pool.metrics().running).toBe(0);
  });
});

test("what is decided can be read in the log, more of it if that is wanted", () => {
  const lines: string[] = [];
  const say = (message: string) => void lines.push(message);
  const log = { info: say, debug: say, debugging: true };
  const said = () => lines.splice(0);
  const { pool } = testPool({ log });
  const ann = pool.client("ann");
  const w1 = connect(pool, "w1");
  expect(said()).toEqual(['Activate queue for "w1"']);
  popNow(w1);
  expect(said()).toEqual(['"w1" is waiting for more work']);
  ann.submit(job("first", "docs"));
  pool.settle();
  expect(said()).toEqual([
    'Assigning first to "w1" (the next free worker)',
    '"w1" takes first from its local queue',
  ]);
  for (const name of ["second", "third"]) ann.submit(job(name, "docs"));
  ann.submit(job("fourth")).cancel();
  ann.submit(job("fifth"));
  expect(said()).toEqual([
    "Adding second to the backlog",
    "Adding third to the backlog",
    "Adding fourth to the backlog",
    "Cancel fourth",
    "Adding fifth to the backlog",
  ]);
  const w2 = pool.register("w\u00fc", 1)!;
  w2.setActive(false, INACTIVE.adminPause);
  w2.setActive(true, INACTIVE.worker);
  w2.setActive(true, INACTIVE.adminPause);
  expect(said()).toEqual([
    'Removed inactive reason worker pause for "w\\195\\188" (now admin pause)',
    'Activate queue for "w\\195\\188"',
  ]);
  popNow(w2);
  expect(said()).toEqual([
    'Assigning second to "w1" (preferred)',
    'Assigning third to "w1" (preferred)',
    '"w\\195\\188" takes fifth from the main queue',
  ]);
  w1.shutdown();
  expect(said()).toEqual([
    'Worker "w1" is shutting down',
    '"w1" marked inactive (reassigning 2 items)',
    "Pushing second back on to the main queue",
    "Pushing third back on to the main queue",
  ]);
  w1.jobFinished();
  w1.release();
  expect(said()).toEqual(['"w1" finishes a job', 'Release worker "w1"']);

  log.debugging = false;
  popNow(w2);
  popNow(w2);
  popNow(w2);
  expect(said()).toEqual([
    '"w\\195\\188" takes second from the main queue',
    '"w\\195\\188" takes third from its local queue',
  ]);
});

test("the figures for monitoring", () => {
  const { pool } = testPool();
  const [ann, ben] = [pool.client("ann"), pool.client("ben")];
  const holder = connect(pool, "holder", 3);
  ann.submit(job("first", "docs"));
  popNow(holder);
  pool.register("paused", 2);
  ann.submit(job("docs", "docs"));
  ann.submit(job("urgent docs", "docs"), { urgent: true });
  ben.submit(job("taken"));
  ben.submit(job("waits"));
  ben.submit(job("urgent"), { urgent: true }).cancel();
  const other = connect(pool, "other", 4);
  popNow(other);
  const figures = {
    counters: { submitted: 6, cancelled: 1, accepted: 2, finished: 0 },
    running: 2,
    workersConnected: 3,
    workersCapacity: 9,
    workersReady: 0,
    workersPaused: 1,
    incoming: { high: 0, low: 2 },
    workerQueues: new Map([
      ["holder", { high: 1, low: 0 }],
      ["paused", { high: 0, low: 0 }],
      ["other", { high: 0, low: 0 }],
    ]),
    clients: new Map([
      ["ann", { high: 1, low: 1 }],
      ["ben", { high: 0, low: 1 }],
    ]),
    waiting: [
      { jobs: 1, seconds: 10 },
      { jobs: 1, seconds: 10 },
    ],
    usualCapacity: 3,
  };
  expect(pool.metrics()).toEqual(figures);

  // Everything goes back to nothing.
  other.jobFinished();
  while (popNow(other) !== "pending") other.jobFinished();
  expect(pool.metrics().workersReady).toBe(1);
  while (popNow(holder) !== "pending") holder.jobFinished();
  expect(pool.metrics().workerQueues.get("holder")).toEqual({ high: 0, low: 0 });
  holder.jobFinished();
  holder.release();
  expect(pool.metrics().running).toBe(0);
  for (const name of ["other", "paused"]) pool.workers.get(name)!.release();
  pool.settle();
  expect(pool.metrics()).toMatchObject({
    counters: { submitted: 6, cancelled: 1 },
    workersConnected: 0,
    workersCapacity: 0,
    workersReady: 0,
    workersPaused: 0,
    incoming: { high: 0, low: 0 },
  });
});
