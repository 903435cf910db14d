/**
 * `explain`: why the next job of a pool or a client does not run, or a durable one, or a worker is
 * given none.
 */
import { PoolMonitor } from "../api/index.js";
import { CommandFailed } from "../console/index.js";
import { type Capability, RpcError } from "../rpc/index.js";
import { quoted, roughDuration } from "../text/index.js";
import { aboutClient, withPool } from "./named-pool.js";
import { describeObstacle } from "./obstacles.js";
import { printJson, printLine } from "./output.js";

export interface ExplainOptions {
  /** Of whose first queued job; not together with a worker. */
  readonly client?: string | undefined;
  readonly json: boolean;
}

export async function explain(
  admin: Capability,
  poolName: string,
  name: string | undefined,
  { client, json }: ExplainOptions,
): Promise<void> {
  const subject = subjectOf(name, client);
  const told = await withPool(admin, poolName, (pool) => {
    const asked = PoolMonitor.explain(pool, subject);
    return client === undefined ? asked : aboutClient(client, asked);
  }).catch((error) => {
    if (!(error instanceof RpcError && error.kind === "unimplemented")) throw error;
    throw new CommandFailed(
      `This scheduler does not explain itself; "ocluster-admin show ${poolName}" has the state that it goes by.`,
    );
  });
  if (json) printJson({ pool: poolName, ...told });
  else printLine(explanationText(subject, told).join("\n"));
}

/** @param name a worker's; or digits, a durable job's number */
function subjectOf(name: string | undefined, client: string | undefined): PoolMonitor.Subject {
  if (name !== undefined && client !== undefined) {
    throw new CommandFailed("Name a worker or a client (--client), not both.");
  }
  if (name !== undefined) {
    return /^\d{1,15}$/.test(name)
      ? { kind: "job", job: Number(name) }
      : { kind: "worker", worker: name };
  }
  return client === undefined ? { kind: "pool" } : { kind: "client", client };
}

/** Lines: what is next, then what keeps it. */
export function explanationText(
  subject: PoolMonitor.Subject,
  { job, obstacles }: PoolMonitor.Explanation,
): string[] {
  const reasons = obstacles.map((obstacle) => `- ${describeObstacle(obstacle)}`);
  const next = job ? `Next: ${describeJob(job)}` : "No job is queued.";
  if (subject.kind === "job") {
    const what = `Job ${subject.job}`;
    return job ? [`${what}: ${describeJob(job)}`, ...reasons] : [`${what}:`, ...reasons];
  }
  if (subject.kind !== "worker") {
    if (!job) return [next];
    return [next, ...(reasons.length > 0 ? reasons : ["Nothing keeps it from being started."])];
  }
  const name = `Worker ${quoted(subject.worker)}`;
  if (reasons.length === 0) return [`${name} is given jobs.`, ...(job ? [next] : [])];
  return [`${name} is given no job now:`, ...reasons, ...(job ? [next] : [])];
}

/** `job of "alice", urgent, "hint-1"; number 3 of 12 for any worker, due in 2m` */
function describeJob({ client, delay, label, place, urgent }: PoolMonitor.WaitingJob): string {
  const queue = place.worker === null ? "any worker" : `worker ${quoted(place.worker)}`;
  const due = delay > 0 ? `due in ${roughDuration(delay)}` : "due";
  return (
    `job of ${quoted(client)}${urgent ? ", urgent" : ""}, ${quoted(label)}; ` +
    `number ${place.ahead + 1} of ${place.length} for ${queue}, ${due}`
  );
}
