/** `job`: all that is on record of one. */
import { JobRecords } from "../../api/index.js";
import type { Capability } from "../../rpc/index.js";
import { jobJson } from "./job-json.js";
import { describeJob } from "./job-text.js";
import { writeLines } from "./lines.js";

export async function showJob(records: Capability, job: number, json: boolean): Promise<void> {
  const record = await JobRecords.get(records, job);
  await writeLines(json ? [jobJson(record)] : describeJob(record, Date.now() / 1000));
}
