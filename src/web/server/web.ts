/** All that handlers use: one of each, whoever asks. */
import type { Logger } from "../../console/index.js";
import { AgedCache } from "./aged-cache.js";
import { Attempts } from "./attempts.js";
import { Batches } from "./batches.js";
import type { Cluster, Role } from "./cluster.js";
import { ApiError } from "./errors.js";
import { Jobs } from "./jobs.js";
import { Logs } from "./logs.js";
import { Operations } from "./operations.js";
import { Outputs } from "./outputs.js";
import { Pools } from "./pools.js";
import type { Session, Sessions } from "./sessions.js";
import { Topics } from "./topics.js";
import { Usage } from "./usage.js";
import { Workers } from "./workers.js";

export interface WebOptions {
  readonly cluster: Cluster;
  readonly sessions: Sessions;
  /** Where the page is found, without a slash at the end: of links. */
  base(): string;
  readonly cookie: { readonly name: string; readonly secure: boolean };
  readonly version: string;
  readonly log: Logger;
}

export class Web {
  readonly cache = new AgedCache();
  readonly attempts = new Attempts();
  readonly topics = new Topics();
  readonly jobs: Jobs;
  readonly batches: Batches;
  readonly logs: Logs;
  readonly outputs: Outputs;
  readonly pools: Pools;
  readonly usage: Usage;
  readonly workers: Workers;
  readonly operations: Operations;

  constructor(readonly options: WebOptions) {
    const { cluster, log } = options;
    const { cache } = this;
    this.jobs = new Jobs(cluster, cache);
    this.batches = new Batches(cluster, cache);
    this.logs = new Logs(cluster, this.jobs);
    this.outputs = new Outputs(cluster, cache);
    this.pools = new Pools(cluster, log);
    this.usage = new Usage(cluster, cache, this.pools);
    this.workers = new Workers(cluster, cache, this.pools);
    this.operations = new Operations(cluster);
    cluster.onChange((isTheSame) => {
      if (isTheSame) return;
      cache.clear();
      this.topics.forget();
    });
  }

  get cluster(): Cluster {
    return this.options.cluster;
  }

  get role(): Role {
    return this.cluster.holder?.role ?? "client";
  }
}

/** Throws an `ApiError` if a session is of one thing only. */
export function requireAll({ scope }: Session): void {
  if (scope.kind !== "all") throw outside();
}

/** Throws an `ApiError` if the capability is none of these. */
export function requireRole(web: Web, ...roles: readonly Role[]): void {
  if (roles.includes(web.role)) return;
  throw new ApiError(
    "forbidden",
    roles.includes("viewer")
      ? "That is for administrators and viewers: ask the scheduler's operator."
      : web.role === "viewer"
        ? "A viewer changes nothing: use ocluster-web with a client's file, or admin.cap."
        : "That is for administrators: ask the scheduler's operator.",
  );
}

/** Rejects with an `ApiError` if the session may not see the job. */
export async function requireJob(web: Web, { scope }: Session, job: number): Promise<void> {
  if (scope.kind === "all" || (scope.kind === "job" && scope.job === job)) return;
  if (scope.kind === "job") throw outside();
  // Whether there is such a job is nothing that others are told.
  const record = await web.jobs.get(job).catch((error) => {
    throw error instanceof ApiError && error.code === "not_found" ? outside() : error;
  });
  if (record.batch !== String(scope.batch)) throw outside();
}

export function requireBatch({ scope }: Session, batch: number): void {
  if (scope.kind === "all" || (scope.kind === "batch" && scope.batch === batch)) return;
  throw outside();
}

export function outside(): ApiError {
  return new ApiError(
    "not_in_scope",
    "This link shows one thing only: ask whoever gave it to you for another.",
  );
}
