/** Programs of a test's own, in one file each, so that they start quickly. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

/**
 * Bundles the program; the result is an absolute path, whose directory is the caller's to remove.
 */
export async function bundled(entry: string): Promise<`/${string}`> {
  const cache = join(process.cwd(), "node_modules/.cache");
  mkdirSync(cache, { recursive: true });
  const outfile = join(mkdtempSync(join(cache, "bundled-")), "program.mjs");
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
  });
  return outfile as `/${string}`;
}
