/** `npm run -s conformance -- pool FILE…`: runs pool traces. */

import { readFileSync } from "node:fs";
import { runPoolTrace } from "./pool-trace.js";
import { report } from "./report.js";

/** @returns the exit status: 0 if all passed, 1 if one failed, 2 if none was given. */
export async function run(args: string[]): Promise<number> {
  if (args.length === 0) {
    console.error("usage: conformance pool FILE...");
    return 2;
  }
  const passed = args.map((name) => report({ name, differences: check(name) }));
  return passed.every(Boolean) ? 0 : 1;
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
