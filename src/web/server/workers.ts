/** A worker as it is in its pools, and what it has had lately. */
import { JobRecords, PoolAdmin, Worker } from "../../api/index.js";
import { jobFields } from "../../client/index.js";
import type { AgedCache } from "./aged-cache.js";
import type { Cluster } from "./cluster.js";
import { ApiError } from "./errors.js";
import { workerJson } from "./pool-json.js";
import type { Pools } from "./pools.js";

const AGE_MS = 3000;

/** The newest of its jobs, which are counted and shown. */
const JOBS = 50;

/** Lines of metrics that are shown. */
const MAX_METRICS = 2000;

/** A worker that takes longer to tell its metrics is not waited for, in ms. */
const METRICS_MS = 5000;

export class Workers {
  constructor(
    private readonly cluster: Cluster,
    private readonly cache: AgedCache,
    private readonly pools: Pools,
  ) {}

  /** @param only the name of a pool; undefined: all that it is in. Rejects with an `ApiError`. */
  async one(name: string, only: string | undefined) {
    const pools = [];
    for (const [pool, state] of await this.pools.states()) {
      const worker = state?.workers.find((each) => each.name === name);
      if (!worker || (only !== undefined && pool !== only)) continue;
      const { name: _, ...rest } = workerJson(worker);
      pools.push({ pool, ...rest });
    }
    const connected = pools.find((each) => each.connected)?.pool;
    const [{ jobs }, metrics] = await Promise.all([
      this.jobs(name, only),
      connected === undefined ? null : this.metrics(connected, name),
    ]);
    if (pools.length === 0 && jobs.length === 0) {
      throw new ApiError("not_found", "There is no such worker; the pools have those there are.");
    }
    return { name, pools, jobs: jobs.map(jobFields), attempts: countAttempts(name, jobs), metrics };
  }

  private jobs(worker: string, pool: string | undefined): Promise<JobRecords.JobPage> {
    return this.cache.get(`worker-jobs ${JSON.stringify([worker, pool])}`, AGE_MS, () =>
      this.cluster.ask((records) =>
        JobRecords.list(records, { filter: { worker, pool }, limit: JOBS }),
      ),
    );
  }

  /** By name and labels; null to who may not ask the worker, or if it does not answer. */
  private async metrics(pool: string, name: string): Promise<Record<string, number> | null> {
    if (this.cluster.holder?.role !== "admin") return null;
    const key = `metrics ${JSON.stringify([pool, name])}`;
    try {
      return await this.cache.get(key, AGE_MS, () =>
        this.cluster.askPool(pool, async (admin) => {
          using worker = PoolAdmin.worker(admin, name);
          const signal = AbortSignal.timeout(METRICS_MS);
          return readMetrics((await Worker.metrics(worker, "agent", { signal })).data);
        }),
      );
    } catch {
      return null;
    }
  }
}

function countAttempts(name: string, jobs: readonly JobRecords.JobRecord[]) {
  const counts = { seen: 0, succeeded: 0, failed: 0, lost: 0 };
  for (const { attempts } of jobs) {
    for (const { outcome, worker } of attempts) {
      if (worker !== name) continue;
      counts.seen++;
      if (outcome === "succeeded") counts.succeeded++;
      else if (outcome === "failed" || outcome === "timeout") counts.failed++;
      else if (outcome === "lost" || outcome === "crashed") counts.lost++;
    }
  }
  return counts;
}

/** Of Prometheus' text format what is a number. */
export function readMetrics(text: string): Record<string, number> {
  const metrics: [string, number][] = [];
  for (const [, name, value] of text.matchAll(/^([a-zA-Z_:][^\n#]*?) (\S+)(?: \d+)?$/gm)) {
    if (metrics.length >= MAX_METRICS) break;
    const number = Number(value);
    if (Number.isFinite(number)) metrics.push([name!, number]);
  }
  return Object.fromEntries(metrics);
}
