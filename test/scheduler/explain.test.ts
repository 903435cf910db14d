/** Why a queued job does not run, or a worker is given none: what a pool says of itself. */
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { INACTIVE } from "../../src/scheduler/pool/inactive-reasons.js";
import type { Subject } from "../../src/scheduler/pool/pool.js";
import { connect, job, popNow, type TestPool, testPool } from "./support.js";

function told({ pool }: TestPool, subject: Subject = {}) {
  const { job, obstacles } = pool.explain(subject);
  return { job: job?.ticket.job.name ?? null, obstacles };
}

describe("the job that is next", () => {
  it("is none where none is queued", () => {
    const world = testPool();
    expect(told(world)).toEqual({ job: null, obstacles: [] });
    connect(world.pool, "w").pop(() => {});
    expect(told(world)).toEqual({ job: null, obstacles: [] });
  });

  it("waits for a worker to be connected", () => {
    const world = testPool();
    world.pool.client("alice").submit(job("a"));
    expect(told(world)).toEqual({ job: "a", obstacles: [{ kind: "noWorkers", workers: 0 }] });
    connect(world.pool, "w").release();
    expect(told(world)).toEqual({ job: "a", obstacles: [{ kind: "noWorkers", workers: 1 }] });
  });

  it("waits for workers that are busy, paused, or silent, each kind counted", () => {
    const world = testPool();
    const { pool } = world;
    const workers = ["w1", "w2", "w3", "w4", "w5"].map((name) => connect(pool, name, 2));
    for (const name of ["b1", "b2"]) pool.client("alice").submit(job(name));
    popNow(workers[0]!);
    popNow(workers[0]!);
    pool.client("alice").submit(job("a"));
    workers[2]!.setActive(false, INACTIVE.adminPause);
    workers[3]!.setActive(false, INACTIVE.adminPause);
    workers[4]!.setActive(false, INACTIVE.worker);
    expect(told(world)).toEqual({
      job: "a",
      obstacles: [
        { kind: "busy", workers: 1, running: 2, capacity: 2 },
        { kind: "silent", workers: 1 },
        { kind: "paused", workers: 2, reasons: INACTIVE.adminPause },
        { kind: "paused", workers: 1, reasons: INACTIVE.worker },
      ],
    });
  });

  it("waits for the worker that holds its hint", () => {
    const world = testPool();
    const { pool } = world;
    const [holder, other] = [connect(pool, "holder"), connect(pool, "other")];
    pool.client("alice").submit(job("first", "hint"));
    expect(popNow(holder)).toBe("first");
    pool.client("alice").submit(job("second", "hint"));
    expect(popNow(other)).toBe("pending");
    expect(told(world)).toEqual({
      job: "second",
      obstacles: [
        { kind: "reserved", worker: "holder", seconds: 2 },
        { kind: "busy", workers: 1, running: 1, capacity: 1 },
      ],
    });
    expect(told(world, { worker: "other" })).toEqual({ job: null, obstacles: [{ kind: "idle" }] });
    expect(told(world, { worker: "holder" })).toMatchObject({ job: "second" });
  });
});

describe("the first job of a client", () => {
  it("comes after those of others that are more entitled", () => {
    const world = testPool();
    const { pool } = world;
    for (const name of ["a1", "a2", "a3"]) pool.client("alice").submit(job(name));
    pool.client("bob").submit(job("b1"));
    const first = pool.client("alice").submit(job("a4"));
    pool.client("carol").submit(job("c1"), { urgent: true });
    expect(told(world, { client: "bob" })).toEqual({
      job: "b1",
      obstacles: [
        { kind: "noWorkers", workers: 0 },
        { kind: "behind", ahead: 2 },
      ],
    });
    expect(told(world, { client: "alice" })).toMatchObject({ job: "a1" });
    expect(told(world, { client: "carol" })).toEqual({
      job: "c1",
      obstacles: [{ kind: "noWorkers", workers: 0 }],
    });
    expect(told(world, { client: "nobody" })).toEqual({ job: null, obstacles: [] });
    first.cancel();
  });

  it("is behind for its share when its client has asked for much", () => {
    const world = testPool();
    const { pool, time } = world;
    const taken = ["a1", "a2"].map((name) => pool.client("alice").submit(job(name)));
    pool.client("alice").submit(job("a3"));
    for (const ticket of taken) ticket.cancel();
    time.now += 5;
    pool.client("bob").submit(job("b1"));
    expect(told(world, { client: "alice" })).toEqual({
      job: "a3",
      obstacles: [
        { kind: "noWorkers", workers: 0 },
        { kind: "behind", ahead: 1 },
        { kind: "share", seconds: 15 },
      ],
    });
  });
});

describe("a worker", () => {
  it("is disconnected, paused, busy, silent or idle", () => {
    const world = testPool();
    const { pool } = world;
    const worker = connect(pool, "w");
    const of = () => told(world, { worker: "w" }).obstacles;
    expect(of()).toEqual([{ kind: "silent", workers: 1 }]);
    popNow(worker);
    expect(of()).toEqual([{ kind: "idle" }]);
    pool.client("alice").submit(job("a"));
    pool.settle();
    expect(of()).toEqual([{ kind: "busy", workers: 1, running: 1, capacity: 1 }]);
    worker.setActive(false, INACTIVE.adminPause);
    worker.shutdown();
    expect(of()).toEqual([
      { kind: "paused", workers: 1, reasons: INACTIVE.adminPause | INACTIVE.shutdown },
    ]);
    worker.release();
    expect(of()).toEqual([{ kind: "disconnected", paused: true }]);
  });
});

test("whatever has happened: a queued job has an obstacle, and to ask changes nothing", () => {
  const step = fc.record({
    action: fc.constantFrom("submit", "submit", "pop", "pop", "pause", "leave", "done", "wait"),
    who: fc.nat(2),
    hint: fc.nat(3),
    flag: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { pool, time } = testPool();
      for (const { action, flag, hint, who } of steps) {
        const name = `w${who}`;
        const worker = () => pool.workers.get(name) ?? connect(pool, name, 2);
        const submitted = job(`hint ${hint}`, hint === 0 ? "" : `${hint}`);
        if (action === "submit") pool.client(`c${who}`).submit(submitted, { urgent: flag });
        else if (action === "pop") worker().pop(() => {});
        else if (action === "pause") worker().setActive(flag, INACTIVE.adminPause);
        else if (action === "leave") worker().release();
        else if (action === "done") worker().running > 0 && worker().jobFinished();
        else time.now += hint;
        pool.settle();
        const before = pool.dump();
        const { job: next, obstacles } = pool.explain();
        expect(obstacles.length > 0).toBe(next !== null);
        for (const [client, { queued }] of pool.clients) {
          const first = pool.explain({ client });
          expect(first.job !== null).toBe(queued.high + queued.low > 0);
          expect(first.obstacles.length > 0).toBe(first.job !== null);
        }
        for (const { name: worker } of pool.knownWorkers()) {
          expect(pool.explain({ worker }).obstacles).toHaveLength(1);
        }
        expect(pool.dump()).toBe(before);
      }
    }),
    { numRuns: 100 },
  );
});
