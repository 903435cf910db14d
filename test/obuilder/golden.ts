/* Where the golden data about builds is. */

import { readdirSync, readFileSync } from "node:fs";
import type { BuildCase } from "../support/obuilder-cases.js";

export const GOLDEN = new URL("../../../shared/golden/obuilder/", import.meta.url);

export function goldenJson<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(path, GOLDEN), "utf8")) as T;
}

export function goldenDir<T>(dir: string): T[] {
  const files = readdirSync(new URL(dir, GOLDEN)).filter((file) => file.endsWith(".json"));
  return files.sort().map((file) => goldenJson<T>(`${dir}${file}`));
}

export function buildCases(): BuildCase[] {
  return goldenDir<BuildCase>("cases/");
}
