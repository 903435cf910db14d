/**
 * The documentation: what users and contributors read, as it is in the checkout, committed or not.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");

export interface Document {
  /** From the root of the checkout. */
  readonly path: string;
  readonly text: string;
}

export function documentation(): Document[] {
  const listing = execFileSync(
    "git",
    [
      ...["ls-files", "--cached", "--others", "--exclude-standard"],
      ...["README.md", "CONTRIBUTING.md", "docs/*.md"],
    ],
    { cwd: ROOT, encoding: "utf8" },
  );
  return listing
    .trim()
    .split("\n")
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}
