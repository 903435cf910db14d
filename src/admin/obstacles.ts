/**
 * Why something does not run, in words: one sentence's end for each obstacle, that says what to do
 * where something can be done.
 */
import { AbleQueue, type PoolMonitor } from "../api/index.js";
import { quoted, roughDuration } from "../text/index.js";

/** Such as `2 workers run as many jobs as they can (8 of 8)`. May hold names, as they are. */
export function describeObstacle(obstacle: PoolMonitor.Obstacle): string {
  switch (obstacle.kind) {
    case "noWorkers":
      return `no worker is connected${obstacle.workers > 0 ? ` (${obstacle.workers} known)` : ""}`;
    case "paused":
      return `${workers(obstacle.workers, "is", "are")} given no jobs: ${pauses(obstacle)}`;
    case "busy": {
      const { capacity, running } = obstacle;
      const who = workers(obstacle.workers, "runs", "run");
      return `${who} as many jobs as possible (${running} of ${capacity})`;
    }
    case "silent":
      return `${workers(obstacle.workers, "has", "have")} room and did not ask for a job; see the log there`;
    case "behind":
      return `${obstacle.ahead} more ${obstacle.ahead === 1 ? "job comes" : "jobs come"} before it`;
    case "share":
      return `its client has had its share, and by that is next in ${roughDuration(obstacle.seconds)}`;
    case "reserved": {
      const { seconds, worker } = obstacle;
      return `it waits for worker ${quoted(worker)}, which has ${roughDuration(seconds)} of work queued`;
    }
    case "disconnected":
      return `it is not connected${obstacle.adminPause ? ", and paused by an administrator" : ""}`;
    case "idle":
      return "it waits for a job, and none is queued for it";
    case "after": {
      const { job, jobs } = obstacle;
      const others = jobs > 1 ? ` and ${jobs - 1} more have` : " has";
      return `it is queued when job ${job}${others} succeeded`;
    }
    case "pause":
      return `its next attempt is due in ${roughDuration(obstacle.seconds)}`;
    case "running":
      return `it is with worker ${quoted(obstacle.worker)}`;
    case "outOfTouch":
      return `it is with worker ${quoted(obstacle.worker)}, which is out of touch and is waited for`;
    case "unable": {
      const { needs, workers: count } = obstacle;
      const what = needs.map(AbleQueue.describeAbility).join(" and ");
      return `${workers(count, "is", "are")} not able to ${what}`;
    }
    case "unknown":
      return 'for a reason that this "ocluster-admin" does not know; use a newer one';
  }
}

function workers(count: number, singular: string, plural: string): string {
  return count === 1 ? `1 worker ${singular}` : `${count} workers ${plural}`;
}

function pauses({ adminPause, shuttingDown, workerPause }: PoolMonitor.PauseReasons): string {
  return [
    ...(adminPause ? ["paused by an administrator"] : []),
    ...(workerPause ? ["paused by itself"] : []),
    ...(shuttingDown ? ["restarting"] : []),
  ].join(", ");
}
