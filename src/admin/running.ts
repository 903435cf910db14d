/**
 * `running`: the jobs that a pool's workers run, whose they are, since when, and when they were
 * last heard of.
 */
import { LiveJobs } from "../api/index.js";
import type { Capability } from "../rpc/index.js";
import { bySilence, printJobs, printJobsAsJson, withoutLiveJobs } from "./live-text.js";
import { withPool } from "./named-pool.js";

export interface RunningOptions {
  readonly client: string | undefined;
  readonly worker: string | undefined;
  readonly hint: string | undefined;
  readonly json: boolean;
}

export async function running(
  admin: Capability,
  pool: string,
  { client, hint, json, worker }: RunningOptions,
): Promise<void> {
  const filter: LiveJobs.LiveFilter = { client, worker, hint, states: ["running"] };
  const { jobs, total } = await withPool(admin, pool, (found) =>
    LiveJobs.list(found, filter),
  ).catch((error) => {
    throw withoutLiveJobs(error);
  });
  const sorted = bySilence(jobs.map((job) => ({ pool, job })));
  if (json) printJobsAsJson(sorted);
  else printJobs(sorted, Date.now() / 1000);
  if (total === 0 && !json) process.stderr.write("No jobs.\n");
  if (total > jobs.length) process.stderr.write(`There are ${total - jobs.length} more.\n`);
}
