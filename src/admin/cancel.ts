/**
 * `cancel` of all jobs that fit: those of a pool, a client, a worker or a hint that have not ended,
 * attached ones included.
 */
import { Admin, LiveJobs } from "../api/index.js";
import type { Capability } from "../rpc/index.js";
import { type PoolJob, printJobs, printJobsAsJson, withoutLiveJobs } from "./live-text.js";
import { withPool } from "./named-pool.js";
import { printLine } from "./output.js";

export interface CancelOptions {
  /** Undefined: in all pools. */
  readonly pool: string | undefined;
  readonly filter: LiveJobs.LiveFilter;
  /** Only list them. */
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Lists the jobs as they were before, and says how many there are. */
export async function cancelMatching(
  admin: Capability,
  { dryRun, filter, json, pool }: CancelOptions,
): Promise<void> {
  const pools = pool === undefined ? await Admin.pools(admin) : [pool];
  let count = 0;
  let listed = 0;
  for (const name of pools) {
    const found = await withPool(admin, name, (each) =>
      dryRun ? LiveJobs.list(each, filter) : LiveJobs.cancel(each, filter),
    ).catch((error) => {
      throw withoutLiveJobs(error);
    });
    const jobs: PoolJob[] = found.jobs.map((job) => ({ pool: name, job }));
    count += found.total;
    listed += jobs.length;
    if (json) printJobsAsJson(jobs);
    else printJobs(jobs, Date.now() / 1000);
  }
  const what = `${count} ${count === 1 ? "job" : "jobs"}`;
  if (!json) printLine(dryRun ? `Would cancel ${what}.` : `Cancelled ${what}.`);
  if (count > listed) process.stderr.write(`${count - listed} of them are not listed.\n`);
}
