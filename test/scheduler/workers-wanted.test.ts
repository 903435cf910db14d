import { describe, expect, it } from "vitest";
import { usualCapacity, workersWanted } from "../../src/scheduler/pool/workers-wanted.js";
import { connect, job, testPool } from "./support.js";

const TARGET = 300;

describe("the number of workers that are wanted", () => {
  it.each([
    ["nothing to do", { running: 0, waiting: [] }, 1, 0],
    ["what runs has its places", { running: 9, waiting: [] }, 4, 3],
    ["short jobs share places", { running: 0, waiting: [{ jobs: 1000, seconds: 3 }] }, 1, 10],
    ["a long job takes one place", { running: 0, waiting: [{ jobs: 2, seconds: 7200 }] }, 1, 2],
    [
      "jobs of which nothing is known",
      { running: 0, waiting: [{ jobs: 5, seconds: Infinity }] },
      2,
      3,
    ],
    [
      "clients together",
      {
        running: 1,
        waiting: [
          { jobs: 10, seconds: 30 },
          { jobs: 3, seconds: 600 },
        ],
      },
      2,
      3,
    ],
  ])("%s", (_what, work, capacity, wanted) => {
    expect(workersWanted(work, TARGET, capacity)).toBe(wanted);
  });

  it("is one place for each job, if there is to be no waiting at all", () => {
    expect(workersWanted({ running: 1, waiting: [{ jobs: 3, seconds: 0 }] }, 0, 1)).toBe(4);
  });

  it("goes by the usual capacity, and not by that of one huge worker", () => {
    expect(usualCapacity([4, 0, 4, 64])).toBe(4);
    expect(usualCapacity([0])).toBeUndefined();
  });
});

describe("a pool's work", () => {
  it("is told by client, without what waits for a warm cache", () => {
    const { pool } = testPool({ costs: { cached: 10, nonCached: 600 } });
    const worker = connect(pool, "w", 1);
    worker.pop(() => {});
    pool.client("ann").submit(job("first", "hint"));
    pool.settle();
    // That worker holds the hint now and is busy, and worth waiting for, though another one is
    // free.
    connect(pool, "free", 1).pop(() => {});
    pool.client("ann").submit(job("warm", "hint"));
    pool.client("ben").submit(job("cold", "other"));
    pool.settle();
    pool.client("ben").submit(job("cold", "other"));
    pool.client("ben").submit(job("cold", "other"), { urgent: true });
    expect(pool.metrics().workerQueues.get("w")).toEqual({ high: 0, low: 1 });
    expect(pool.metrics()).toMatchObject({
      running: 2,
      usualCapacity: 1,
      waiting: [{ jobs: 2, seconds: 600 }],
    });
  });
});
