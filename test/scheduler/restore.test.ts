/**
 * A queue that is as it was before the scheduler was restarted, or before a worker gave a job back.
 */

import { expect, test } from "vitest";
import type { Ticket } from "../../src/scheduler/pool/ticket.js";
import { connect, job, popNow, testPool } from "./support.js";

const CLIENTS = ["ann", "ben", "cy"];

/** Names of all jobs as a worker gets them. */
function drain(pool: ReturnType<typeof testPool>["pool"], count: number): (string | undefined)[] {
  const worker = connect(pool, "w");
  return Array.from({ length: count }, () => popNow(worker));
}

test("restored jobs come in the order of before, and clients go on from where they were", () => {
  const submitAll = () => {
    const { pool, time } = testPool();
    const tickets: Ticket<ReturnType<typeof job>>[] = [];
    for (let i = 0; i < 60; i++) {
      const client = pool.client(CLIENTS[(i * i) % 3]!);
      tickets.push(
        client.submit(job(`job${i}`, i % 4 ? "" : `hint${i % 3}`), { urgent: i % 7 === 0 }),
      );
      if (i % 10 === 0) time.now += 5;
    }
    return { pool, time, tickets };
  };
  const before = submitAll();
  const { pool, time } = testPool();
  time.now = before.time.now + 1000;
  for (const { client, job, start, urgent } of submitAll().tickets) {
    const restored = pool.client(client.id).restore(job, start, { urgent });
    expect(restored.start).toBe(start);
  }
  for (const id of CLIENTS) {
    // Who comes back later than the next start was has no credit for the time in between.
    const expected = Math.max(before.pool.client(id).nextStart, time.now);
    expect(pool.client(id).nextStart).toBe(expected);
  }
  expect(drain(pool, 60)).toEqual(drain(before.pool, 60));
});

test("a job that is given back goes before its client's others again, at no cost", () => {
  const { pool } = testPool();
  const ann = pool.client("ann");
  const first = ann.submit(job("first"));
  ann.submit(job("second"));
  const worker = connect(pool, "w");
  const { nextStart } = ann;
  expect(popNow(worker)).toBe("first");
  ann.restore(first.job, first.start);
  expect(ann.nextStart).toBe(nextStart);
  expect(popNow(worker)).toBe("first");
  expect(popNow(worker)).toBe("second");
});

test("a client whose jobs are all running pays for them after a restart", () => {
  const { pool, time } = testPool();
  const ann = pool.client("ann");
  ann.resumeFrom(time.now + 600);
  ann.resumeFrom(time.now + 300);
  expect(ann.submit(job("next")).start).toBe(time.now + 600);
});
