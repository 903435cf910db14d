/**
 * `npm run -s conformance -- pool FILE…`: runs pool traces. A line for each, `PASS FILE` or `FAIL FILE`, after the
 * latter how it differs; exit status 1 if any fails.
 */

import { readFileSync } from "node:fs";
import { runPoolTrace } from "./pool-trace.js";

/** @returns the exit status: 0 if all passed, 1 if one failed, 2 if none was given. */
export async function run(args: string[]): Promise<number> {
  if (args.length === 0) {
    console.error("usage: conformance pool FILE...");
    return 2;
  }
  const reports = args.map((file) => ({ file, report: check(file) }));
  for (const { file, report } of reports) {
    console.log(report.length === 0 ? `PASS ${file}` : `FAIL ${file}`);
    for (const line of report) console.log(`  ${line}`);
  }
  return reports.some(({ report }) => report.length > 0) ? 1 : 0;
}

function check(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    return [String(error)];
  }
  return runPoolTrace(text);
}
