/** Jobs that not every worker is able to do. */
import { describe, expect, test, vi } from "vitest";
import { connect, type Job, job, popNow, testPool } from "./support.js";

/** A pool whose jobs need what follows the `+` of their names, and avoid what follows the `!`. */
function choosyPool() {
  return testPool({
    needs: ({ name }: Job) => Number(/\+(\d)/.exec(name)?.[1] ?? 0),
    avoids: ({ name }: Job) => /!(\w+)/.exec(name)?.slice(1) ?? [],
  });
}

function able(worker: ReturnType<typeof connect>, abilities: number) {
  worker.abilities = abilities;
  return worker;
}

describe("a job that needs something", () => {
  test("waits for a worker that can do it, while others get other jobs", () => {
    const { pool } = choosyPool();
    const old = connect(pool, "old");
    const answer = vi.fn();
    old.pop(answer);
    const ann = pool.client("ann");
    ann.submit(job("files+1"));
    pool.settle();
    expect(answer).not.toHaveBeenCalled();
    ann.submit(job("plain"));
    pool.settle();
    expect(answer.mock.calls[0]![0].job.name).toBe("plain");
    expect(pool.explain({ client: "ann" }).obstacles).toEqual([{ kind: "unable", workers: 1 }]);
    expect(pool.isAnyAble(job("files+1"))).toBe(false);
    const young = able(connect(pool, "young"), 3);
    expect(pool.isAnyAble(job("files+1"))).toBe(true);
    expect(pool.isAnyAble(job("files+4"))).toBe(false);
    expect(popNow(young)).toBe("files+1");
  });

  test("goes at once to one that waits in line behind others", () => {
    const { pool } = choosyPool();
    const [old, young] = [connect(pool, "old"), able(connect(pool, "young"), 1)];
    const [never, answer] = [vi.fn(), vi.fn()];
    old.pop(never);
    young.pop(answer);
    pool.client("ann").submit(job("files+1"));
    pool.settle();
    expect(answer.mock.calls[0]![0].job.name).toBe("files+1");
    expect(never).not.toHaveBeenCalled();
  });

  test("is not sent to a holder of its hint that cannot do it", () => {
    const { pool } = choosyPool();
    const [old, young] = [connect(pool, "old"), able(connect(pool, "young"), 1)];
    const ann = pool.client("ann");
    ann.submit(job("first", "hint"));
    expect(popNow(old)).toBe("first");
    ann.submit(job("files+1", "hint"));
    expect(popNow(young)).toBe("files+1");
  });

  test("goes to one that it avoids rather than to one that cannot do it", () => {
    const { pool } = choosyPool();
    const old = connect(pool, "old");
    const [bad, good] = [able(connect(pool, "bad"), 1), able(connect(pool, "good"), 1)];
    const [never, answer] = [vi.fn(), vi.fn()];
    old.pop(never);
    bad.pop(answer);
    pool.client("ann").submit(job("files+1!bad"));
    pool.settle();
    expect(answer).not.toHaveBeenCalled();
    // The last other one that could do it is gone.
    good.release();
    pool.settle();
    expect(answer.mock.calls[0]![0].job.name).toBe("files+1!bad");
    expect(never).not.toHaveBeenCalled();
  });

  test("waits on when the one that it waited for is gone, and keeps nobody else from theirs", () => {
    const { pool } = choosyPool();
    const [old, young, other] = [
      connect(pool, "old"),
      able(connect(pool, "young"), 1),
      connect(pool, "other"),
    ];
    const answer = vi.fn();
    old.pop(answer);
    const ann = pool.client("ann");
    ann.submit(job("files+1"));
    ann.submit(job("again!old"));
    young.release();
    other.release();
    pool.settle();
    expect(answer.mock.calls[0]![0].job.name).toBe("again!old");
    expect(pool.show()).toContain("aside: [ann:files+1");
  });
});
