/** Taking what there is at this moment: as a pop does that is called off when it has to wait. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { INACTIVE } from "../../src/scheduler/pool/inactive-reasons.js";
import { connect, job, popNow, testPool } from "./support.js";

const all = () => true;

describe("taking what there is", () => {
  test("follows the order of the queue, and waits for nothing", () => {
    const { pool } = testPool();
    const worker = connect(pool, "w");
    for (const name of ["one", "two"]) pool.client("ann").submit(job(name));
    pool.client("bob").submit(job("urgent"), { urgent: true });
    const names = [1, 2, 3, 4].map(() => worker.takeNow(all)?.job.name);
    expect(names).toEqual(["urgent", "one", "two", undefined]);
    expect(worker.running).toBe(3);
    expect(worker.pops.size).toBe(0);
    pool.client("ann").submit(job("three"));
    expect(popNow(worker)).toBe("three");
  });

  test("leaves the first if it is not wanted, and what comes after it", () => {
    const { pool } = testPool();
    const worker = connect(pool, "w");
    for (const name of ["one", "two"]) pool.client("ann").submit(job(name));
    expect(worker.takeNow(({ name }) => name !== "one")).toBeNull();
    expect(popNow(worker)).toBe("one");
  });

  test("gives nothing to a worker that is paused", () => {
    const { pool } = testPool();
    const worker = connect(pool, "w");
    pool.client("ann").submit(job("one"));
    worker.setActive(false, INACTIVE.worker);
    expect(worker.takeNow(all)).toBeNull();
  });

  test("an equal part of the queue is for each that is active and able", () => {
    const needs = ({ name }: { name: string }) => (name === "hard" ? ["gpu"] : []);
    const { pool } = testPool({ needs });
    const [first, second] = [connect(pool, "first"), connect(pool, "second")];
    expect(first.part).toBe(0);
    for (let count = 0; count < 10; count++) pool.client("ann").submit(job("easy"));
    expect([first.part, second.part]).toEqual([5, 5]);
    first.learn(new Set(["gpu"]));
    second.learn(new Set());
    for (let count = 0; count < 3; count++) pool.client("ann").submit(job("hard"));
    expect([first.part, second.part]).toEqual([8, 5]);
    second.setActive(false, INACTIVE.worker);
    expect(first.part).toBe(13);
  });

  const move = fc.oneof(
    fc.record({
      kind: fc.constant("submit" as const),
      client: fc.constantFrom("ann", "bob"),
      hint: fc.constantFrom("", "", "h1", "h2"),
      urgent: fc.boolean(),
    }),
    fc.record({ kind: fc.constant("take" as const), worker: fc.nat(2) }),
    fc.record({ kind: fc.constant("pause" as const), worker: fc.nat(2), active: fc.boolean() }),
    fc.record({ kind: fc.constant("wait" as const), seconds: fc.nat(20) }),
  );

  test("goes as with pops that are called off (random histories)", () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
        const sides = [testPool(), testPool()].map(({ pool, time }) => ({
          ...{ pool, time },
          workers: ["w0", "w1", "w2"].map((name) => connect(pool, name)),
        }));
        for (const [index, each] of moves.entries()) {
          const [left, right] = sides.map(({ pool, time, workers }, side): string | null => {
            if (each.kind === "submit") {
              pool.client(each.client).submit(job(`${index}`, each.hint), each);
              pool.settle();
            } else if (each.kind === "pause") {
              workers[each.worker]!.setActive(each.active, INACTIVE.worker);
            } else if (each.kind === "wait") {
              time.now += each.seconds;
            } else if (side === 0) {
              return workers[each.worker]!.takeNow(all)?.job.name ?? null;
            } else {
              const name = popNow(workers[each.worker]!, (pop) => pop.cancel());
              return name === "pending" ? null : name;
            }
            return null;
          });
          expect(left).toBe(right);
        }
        const [left, right] = sides.map(({ pool }) =>
          pool.show().replace(/\((ready|backlog)\)/, ""),
        );
        expect(left).toBe(right);
      }),
      { numRuns: 1000, seed: 7 },
    );
  });
});
