/**
 * The golden data: what the reference's programs wrote, in test/golden, whose README says how it
 * was recorded. Tests compare with it and never write to it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { BuildCase } from "./obuilder-cases.js";

const GOLDEN = join(import.meta.dirname, "../golden");

/** The absolute path of a golden file or directory; `path` is relative to test/golden. */
export function golden(path: string): string {
  return join(GOLDEN, path);
}

/** The golden file at `path`, parsed. */
export function goldenJson<T>(path: string): T {
  return JSON.parse(readFileSync(golden(path), "utf8")) as T;
}

/** All golden JSON files of a directory, in the order of their names. */
export function goldenDir<T>(dir: string): T[] {
  const files = readdirSync(golden(dir)).filter((file) => file.endsWith(".json"));
  return files.sort().map((file) => goldenJson<T>(join(dir, file)));
}

/** The builds whose headings, hashed texts and ids the reference printed. */
export function buildCases(): BuildCase[] {
  return goldenDir<BuildCase>("obuilder/cases");
}
