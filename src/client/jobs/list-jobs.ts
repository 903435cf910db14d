/** `jobs`: what is on record, newest first. */
import { JobRecords } from "../../api/index.js";
import type { Capability } from "../../rpc/index.js";
import { jobJson } from "./job-json.js";
import { jobTable } from "./job-text.js";
import { writeLines } from "./lines.js";

export interface ListOptions {
  readonly filter: JobRecords.JobFilter;
  /** How many at most; undefined for all. */
  readonly limit: number | undefined;
  readonly json: boolean;
  /** Of all clients, who are named then. */
  readonly ofAll: boolean;
}

/** Records that are asked for at a time. */
const PAGE = 200;

/** Prints records as they come, page by page. */
export async function listJobs(records: Capability, options: ListOptions): Promise<void> {
  const { filter, json, limit = Infinity, ofAll } = options;
  const table = jobTable({ ofAll });
  let cursor = "";
  let left = limit;
  let found = 0;
  do {
    const page = await JobRecords.list(records, { filter, cursor, limit: Math.min(PAGE, left) });
    const jobs = page.jobs.slice(0, left);
    if (json) await writeLines(jobs.map(jobJson));
    else if (jobs.length > 0) await writeLines(table.jobs(jobs, Date.now() / 1000));
    left -= jobs.length;
    found += jobs.length;
    cursor = page.cursor;
  } while (cursor !== "" && left > 0);
  if (json) return;
  if (found === 0) process.stderr.write("No jobs.\n");
  else if (cursor !== "") process.stderr.write("There are older ones: see --limit.\n");
}
