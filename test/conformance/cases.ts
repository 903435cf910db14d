/**
 * Runs a driver over the cases it is given: the JSON files of a directory, or the entries of one
 * file.
 */

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { report } from "./report.js";

export interface Driver<T> {
  /** For the message about how to call it. */
  readonly usage: string;
  /** The named cases that an argument stands for. */
  readonly load: (arg: string) => { name: string; data: T }[];
  /** How the outcome differs from what the case expects. */
  readonly check: (data: T) => string[] | Promise<string[]>;
}

/**
 * @returns the exit status: 0 if all passed, 1 if one failed or there was none, 2 if called
 *   wrongly.
 */
export async function runCases<T>(driver: Driver<T>, args: string[]): Promise<number> {
  if (args.length === 0) {
    console.error(`usage: conformance ${driver.usage}`);
    return 2;
  }
  const cases = args.flatMap(driver.load);
  if (cases.length === 0) console.error(`no cases in ${args.join(", ")}`);
  let passed = cases.length > 0;
  for (const { name, data } of cases) {
    const differences = await check(driver, data);
    passed = report({ name, differences }) && passed;
  }
  return passed ? 0 : 1;
}

/** A crash is a difference, too. */
async function check<T>(driver: Driver<T>, data: T): Promise<string[]> {
  try {
    return await driver.check(data);
  } catch (error) {
    return (error instanceof Error ? (error.stack ?? error.message) : String(error)).split("\n");
  }
}

/**
 * The JSON files of a directory in order; a case is called by its `name`, or else by its file's.
 */
export function loadDir<T>(dir: string): { name: string; data: T }[] {
  const files = readdirSync(dir).filter((file) => file.endsWith(".json"));
  return files.sort().map((file) => {
    const data = loadJson<T & { name?: string }>(join(dir, file));
    return { name: data.name ?? basename(file, ".json"), data };
  });
}

export function loadJson<T>(file: string): T {
  return JSON.parse(readFileSync(file, "utf8")) as T;
}
