/** Jobs that should not go to the workers where it went wrong. */

import { describe, expect, test, vi } from "vitest";
import { connect, type Job, job, popNow, testPool } from "./support.js";

/** A pool whose jobs avoid the workers after the `!` of their names. */
function waryPool() {
  const avoids = ({ name }: Job) => (name.includes("!") ? name.split("!")[1]!.split(",") : []);
  return testPool({ avoids });
}

describe("a job that avoids a worker", () => {
  test("waits for another one that is busy, while the worker gets other jobs", () => {
    const { pool } = waryPool();
    const [bad, good] = [connect(pool, "bad"), connect(pool, "good")];
    const answer = vi.fn();
    bad.pop(answer);
    const ann = pool.client("ann");
    const ticket = ann.submit(job("retry!bad"));
    pool.settle();
    expect(answer).not.toHaveBeenCalled();
    expect(ticket.place()).toEqual({ worker: null, ahead: 0, length: 1 });
    expect(pool.show()).toContain("queue: (ready) [bad]\naside: [ann:retry!bad@0s]\n");
    expect(pool.metrics().incoming).toEqual({ high: 0, low: 1 });
    ann.submit(job("other"));
    pool.settle();
    expect(answer.mock.calls[0]![0].job.name).toBe("other");
    expect(popNow(good)).toBe("retry!bad");
    expect(pool.show()).not.toContain("aside");
  });

  test("comes in its turn to others", () => {
    const { pool } = waryPool();
    const ann = pool.client("ann");
    for (const name of ["a", "b!bad", "c", "d!bad,worse"]) ann.submit(job(name));
    ann.submit(job("urgent!bad"), { urgent: true });
    const [good, bad] = [connect(pool, "good"), connect(pool, "bad")];
    expect(popNow(bad)).toBe("a");
    expect(popNow(good)).toBe("urgent!bad");
    expect(popNow(good)).toBe("b!bad");
    expect(popNow(bad)).toBe("c");
    expect(popNow(good)).toBe("d!bad,worse");
  });

  test("goes there all the same if there is nobody else, as soon as there is not", () => {
    const { pool } = waryPool();
    const [bad, good] = [connect(pool, "bad"), connect(pool, "good")];
    const answer = vi.fn();
    bad.pop(answer);
    pool.client("ann").submit(job("retry!bad"));
    pool.settle();
    expect(answer).not.toHaveBeenCalled();
    good.release();
    pool.settle();
    expect(answer.mock.calls[0]![0].job.name).toBe("retry!bad");
    // And from the beginning.
    pool.client("ann").submit(job("again!bad"));
    expect(popNow(bad)).toBe("again!bad");
  });

  test("does not go there for the sake of its hint", () => {
    const { pool } = waryPool();
    const [bad, good] = [connect(pool, "bad"), connect(pool, "good")];
    const ann = pool.client("ann");
    ann.submit(job("first", "hint"));
    expect(popNow(bad)).toBe("first");
    ann.submit(job("retry!bad", "hint"));
    expect(popNow(good)).toBe("retry!bad");
  });

  test("is explained by the workers that it waits for", () => {
    const { pool } = waryPool();
    const [bad] = [connect(pool, "bad"), connect(pool, "good")];
    bad.pop(vi.fn());
    pool.client("ann").submit(job("retry!bad"));
    const silent = [{ kind: "silent", workers: 1 }];
    for (const explanation of [pool.explain(), pool.explain({ client: "ann" })]) {
      expect(explanation.job?.ticket.job.name).toBe("retry!bad");
      expect(explanation.obstacles).toEqual(silent);
    }
    expect(pool.explain({ worker: "bad" })).toEqual({ job: null, obstacles: [{ kind: "idle" }] });
    expect(pool.explain({ worker: "good" }).job?.ticket.job.name).toBe("retry!bad");
  });

  test("can be cancelled while it waits", () => {
    const { pool } = waryPool();
    const [, good] = [connect(pool, "bad"), connect(pool, "good")];
    const ann = pool.client("ann");
    const tickets = ["a!bad", "b!bad", "c!bad"].map((name) => ann.submit(job(name)));
    expect(tickets[1]!.cancel()).toBe(true);
    expect(tickets[1]!.cancel()).toBe(false);
    expect([popNow(good), popNow(good)]).toEqual(["a!bad", "c!bad"]);
    expect(ann.queued).toEqual({ high: 0, low: 0 });
  });
});
