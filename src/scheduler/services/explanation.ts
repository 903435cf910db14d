/**
 * Why something does not run, for administrators: what the pool says, as it goes over the wire.
 */
import type { PoolMonitor } from "../../api/index.js";
import type { Explanation, Obstacle } from "../pool/explain.js";
import { INACTIVE } from "../pool/inactive-reasons.js";
import type { JobTraits } from "../pool/types.js";

export function explanation<J>(
  { job, obstacles }: Explanation<J>,
  traits: JobTraits<J>,
): PoolMonitor.Explanation {
  return {
    job: job && {
      client: job.ticket.client.id,
      label: traits.label(job.ticket.job),
      urgent: job.ticket.urgent,
      place: job.place,
      delay: job.delay,
    },
    obstacles: obstacles.map(wireObstacle),
  };
}

export function wireObstacle(one: Obstacle): PoolMonitor.Obstacle {
  switch (one.kind) {
    case "paused":
      return { kind: "paused", workers: one.workers, ...pauseReasons(one.reasons) };
    case "disconnected":
      return { kind: "disconnected", adminPause: one.paused };
    default:
      return one;
  }
}

/** A set of `INACTIVE` bits, one by one. */
export function pauseReasons(reasons: number): PoolMonitor.PauseReasons {
  return {
    workerPause: (reasons & INACTIVE.worker) !== 0,
    adminPause: (reasons & INACTIVE.adminPause) !== 0,
    shuttingDown: (reasons & (INACTIVE.shutdown | INACTIVE.retired)) !== 0,
  };
}
