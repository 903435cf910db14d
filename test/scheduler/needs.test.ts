/**
 * Jobs that need something of a worker: one that has said that it is not able to gets none of them.
 */

import { describe, expect, test, vi } from "vitest";
import type { Pool } from "../../src/scheduler/pool/pool.js";
import { connect, type Job, job, popNow, testPool } from "./support.js";

/**
 * A pool whose jobs need what comes after the `:` of their names, and avoid what comes after the
 * `!`.
 */
function demandingPool() {
  return testPool({
    needs: ({ name }: Job) => /:([\w,]+)/.exec(name)?.[1]?.split(",") ?? [],
    avoids: ({ name }: Job) => /!(\w+)/.exec(name)?.slice(1) ?? [],
  });
}

function able(pool: Pool<Job>, name: string, ...abilities: string[]) {
  const worker = connect(pool, name);
  worker.learn(new Set(abilities));
  return worker;
}

describe("a job that needs something", () => {
  test("waits for a worker that is able to do it, while others get what they can", () => {
    const { pool } = demandingPool();
    const specs = able(pool, "specs", "obuilder");
    const answer = vi.fn();
    specs.pop(answer);
    const ann = pool.client("ann");
    const waiting = ann.submit(job("image:docker"));
    pool.settle();
    expect(answer).not.toHaveBeenCalled();
    expect(waiting.lacking()).toEqual(["docker"]);
    expect(pool.show()).toContain("queue: (ready) [specs]\naside: [ann:image:docker@0s]\n");
    expect(pool.metrics().incoming).toEqual({ high: 0, low: 1 });
    ann.submit(job("spec:obuilder"));
    pool.settle();
    expect(answer.mock.calls[0]![0].job.name).toBe("spec:obuilder");
    const both = able(pool, "both", "obuilder", "docker");
    expect(waiting.lacking()).toEqual([]);
    expect(popNow(both)).toBe("image:docker");
    expect(pool.show()).not.toContain("aside");
  });

  test("goes in its turn to a worker of which nothing is known", () => {
    const { pool } = demandingPool();
    const ann = pool.client("ann");
    for (const name of ["a", "b:docker", "c", "d:docker,obuilder"]) ann.submit(job(name));
    const [old, specs] = [connect(pool, "old"), able(pool, "specs", "obuilder")];
    expect([popNow(specs), popNow(old), popNow(specs)]).toEqual(["a", "b:docker", "c"]);
    expect([popNow(specs), popNow(old)]).toEqual(["pending", "d:docker,obuilder"]);
  });

  test("does not go to the worker that holds its hint, nor to the one that it avoids, if that is not able", () => {
    const needs = ({ name }: Job) => (name.startsWith("spec") ? ["obuilder"] : ["docker"]);
    const { pool } = testPool({ needs, avoids: ({ name }) => (name.endsWith("!") ? ["d"] : []) });
    const [docker, specs] = [able(pool, "d", "docker"), able(pool, "s", "obuilder")];
    const ann = pool.client("ann");
    ann.submit(job("image", "hint"));
    expect(popNow(docker)).toBe("image");
    ann.submit(job("spec", "hint"));
    expect(popNow(specs)).toBe("spec");
    // It should avoid this one, but no other is able.
    ann.submit(job("image!"));
    expect(popNow(docker)).toBe("image!");
    ann.submit(job("spec!"));
    expect(popNow(docker)).toBe("pending");
    expect(popNow(specs)).toBe("spec!");
  });

  test("leaves a worker's own queue when that is not able any more, and comes when it is again", () => {
    const { pool } = demandingPool();
    const worker = able(pool, "w", "docker");
    const answer = vi.fn();
    worker.pop(answer);
    const ticket = pool.client("ann").submit(job("image:docker"));
    expect(ticket.place()).toMatchObject({ worker: "w" });
    worker.learn(new Set());
    pool.settle();
    expect(answer).not.toHaveBeenCalled();
    expect(ticket.place()).toEqual({ worker: null, ahead: 0, length: 1 });
    worker.learn(new Set(["docker"]));
    pool.settle();
    expect(answer.mock.calls[0]![0].job.name).toBe("image:docker");
  });

  test("has its place among those that the same workers could get", () => {
    const { pool } = demandingPool();
    const ann = pool.client("ann");
    const tickets = ["a:docker", "b:obuilder", "c:docker", "d:obuilder"].map((name) =>
      ann.submit(job(name)),
    );
    const places = () => tickets.map((ticket) => ticket.place()!.ahead);
    expect(places()).toEqual([0, 1, 2, 3]);
    able(pool, "d", "docker");
    able(pool, "o", "obuilder");
    expect(places()).toEqual([0, 0, 1, 1]);
    able(pool, "all", "docker", "obuilder");
    expect(places()).toEqual([0, 1, 2, 3]);
  });

  test("is explained by that", () => {
    const { pool } = demandingPool();
    const specs = able(pool, "specs", "obuilder");
    pool.client("ann").submit(job("image:docker"));
    const unable = { kind: "unable", workers: 1, needs: ["docker"] };
    for (const explanation of [pool.explain(), pool.explain({ client: "ann" })]) {
      expect(explanation.obstacles).toEqual([unable]);
    }
    expect(popNow(specs)).toBe("pending");
    expect(pool.explain({ worker: "specs" }).obstacles).toEqual([{ kind: "idle" }]);
    able(pool, "docker", "docker");
    expect(pool.explain().obstacles).toEqual([{ kind: "silent", workers: 1 }, unable]);
  });

  test("goes at once to one that waits in line behind others", () => {
    const { pool } = demandingPool();
    const [old, young] = [able(pool, "old"), able(pool, "young", "files")];
    const [never, answer] = [vi.fn(), vi.fn()];
    old.pop(never);
    young.pop(answer);
    pool.client("ann").submit(job("out:files"));
    pool.settle();
    expect(answer.mock.calls[0]![0].job.name).toBe("out:files");
    expect(never).not.toHaveBeenCalled();
  });

  test("is not sent to a holder of its hint that cannot do it", () => {
    const { pool } = demandingPool();
    const [old, young] = [able(pool, "old"), able(pool, "young", "files")];
    const ann = pool.client("ann");
    ann.submit(job("first", "hint"));
    expect(popNow(old)).toBe("first");
    ann.submit(job("out:files", "hint"));
    expect(popNow(young)).toBe("out:files");
  });

  test("goes to one that it avoids rather than to one that cannot do it", () => {
    const { pool } = demandingPool();
    const old = able(pool, "old");
    const [bad, good] = [able(pool, "bad", "files"), able(pool, "good", "files")];
    const [never, answer] = [vi.fn(), vi.fn()];
    old.pop(never);
    bad.pop(answer);
    pool.client("ann").submit(job("out:files!bad"));
    pool.settle();
    expect(answer).not.toHaveBeenCalled();
    // The last other one that could do it is gone.
    good.release();
    pool.settle();
    expect(answer.mock.calls[0]![0].job.name).toBe("out:files!bad");
    expect(never).not.toHaveBeenCalled();
  });

  test("waits on when the one that it waited for is gone, and keeps nobody else from theirs", () => {
    const { pool } = demandingPool();
    const [old, young, other] = [
      able(pool, "old"),
      able(pool, "young", "files"),
      able(pool, "other"),
    ];
    const answer = vi.fn();
    old.pop(answer);
    const ann = pool.client("ann");
    ann.submit(job("out:files"));
    ann.submit(job("again!old"));
    young.release();
    other.release();
    pool.settle();
    expect(answer.mock.calls[0]![0].job.name).toBe("again!old");
    expect(pool.show()).toContain("aside: [ann:out:files");
  });
});
