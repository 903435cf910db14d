/**
 * Why a durable job that is in no queue does not run, or that it does.
 */
import type { PoolMonitor } from "../../api/index.js";
import type { JobBook } from "../jobs/job-book.js";
import type { JobRecord } from "../jobs/types.js";

/** @param job one of the book's */
export function jobObstacle(book: JobBook, job: Readonly<JobRecord>): PoolMonitor.Obstacle {
  const worker = book.attempt(job.id)?.worker;
  if (worker !== undefined) {
    return { kind: job.state === "out of touch" ? "outOfTouch" : "running", worker };
  }
  const others = book.waitsFor(job.id);
  if (others.length > 0) return { kind: "after", job: others[0]!, jobs: others.length };
  return { kind: "pause", seconds: Math.max(0, (job.notBefore ?? 0) - Date.now() / 1000) };
}
