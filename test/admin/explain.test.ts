/**
 * What `ocluster-admin explain` says of each kind of obstacle. How it goes over the wire is in
 * top.test.ts, on a cluster.
 */
import { expect, test } from "vitest";
import { explanationText } from "../../src/admin/explain.js";
import { describeObstacle } from "../../src/admin/obstacles.js";
import type { PoolMonitor } from "../../src/api/index.js";

const reasons = { workerPause: false, adminPause: false, shuttingDown: false };

test.each<[PoolMonitor.Obstacle, string]>([
  [{ kind: "noWorkers", workers: 0 }, "no worker is connected"],
  [{ kind: "noWorkers", workers: 2 }, "no worker is connected (2 known)"],
  [
    { kind: "paused", workers: 2, ...reasons, adminPause: true, shuttingDown: true },
    "2 workers are given no jobs: paused by an administrator, restarting",
  ],
  [
    { kind: "paused", workers: 1, ...reasons, workerPause: true },
    "1 worker is given no jobs: paused by itself",
  ],
  [
    { kind: "busy", workers: 1, running: 4, capacity: 4 },
    "1 worker runs as many jobs as possible (4 of 4)",
  ],
  [
    { kind: "silent", workers: 3 },
    "3 workers have room and did not ask for a job; see the log there",
  ],
  [{ kind: "behind", ahead: 1 }, "1 more job comes before it"],
  [{ kind: "behind", ahead: 7 }, "7 more jobs come before it"],
  [{ kind: "share", seconds: 90 }, "its client has had its share, and by that is next in 90s"],
  [
    { kind: "reserved", worker: "w", seconds: 600 },
    'it waits for worker "w", which has 10m of work queued',
  ],
  [
    { kind: "disconnected", adminPause: true },
    "it is not connected, and paused by an administrator",
  ],
  [{ kind: "idle" }, "it waits for a job, and none is queued for it"],
  [{ kind: "after", job: 12, jobs: 1 }, "it is queued when job 12 has succeeded"],
  [{ kind: "after", job: 12, jobs: 3 }, "it is queued when job 12 and 2 more have succeeded"],
  [{ kind: "pause", seconds: 60 }, "its next attempt is due in 60s"],
  [{ kind: "running", worker: "w" }, 'it is with worker "w"'],
  [
    { kind: "outOfTouch", worker: "w" },
    'it is with worker "w", which is out of touch and is waited for',
  ],
  [{ kind: "unable", workers: 1, needs: ["docker"] }, "1 worker is not able to build Dockerfiles"],
  [
    { kind: "unable", workers: 2, needs: ["obuilder", "flying"] },
    '2 workers are not able to build specs and do "flying"',
  ],
  [{ kind: "unknown" }, 'for a reason that this "ocluster-admin" does not know; use a newer one'],
])("%j", (obstacle, text) => {
  expect(describeObstacle(obstacle)).toBe(text);
});

test("what is next comes first, then what keeps it", () => {
  const job: PoolMonitor.WaitingJob = {
    ...{ client: "alice", label: "hint", urgent: true, delay: 120 },
    place: { worker: "w", ahead: 1, length: 3 },
  };
  const next = 'Next: job of "alice", urgent, "hint"; number 2 of 3 for worker "w", due in 2m';
  const busy = { kind: "idle" } as const;
  expect(explanationText({ kind: "pool" }, { job, obstacles: [busy] })).toEqual([
    next,
    "- it waits for a job, and none is queued for it",
  ]);
  expect(explanationText({ kind: "job", job: 17 }, { job, obstacles: [busy] })).toEqual([
    next.replace("Next", "Job 17"),
    "- it waits for a job, and none is queued for it",
  ]);
  expect(explanationText({ kind: "pool" }, { job: null, obstacles: [] })).toEqual([
    "No job is queued.",
  ]);
  expect(explanationText({ kind: "worker", worker: "w" }, { job, obstacles: [] })).toEqual([
    'Worker "w" is given jobs.',
    next,
  ]);
});
