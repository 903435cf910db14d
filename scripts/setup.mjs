// Makes a machine ready: node scripts/setup.mjs [demo|test]
//
// Needs nothing but Node and npm to start with, does only what is missing, and takes a moment when
// nothing is. As root it installs system packages itself; otherwise it says which command does.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildIfStale } from "./build.mjs";
import { ensurePackages } from "./lib/debian.mjs";
import { ensureDependencies, ensureSqlite } from "./lib/npm.mjs";
import { ROOT, runScript, SetUpError } from "./lib/process.mjs";

const OLDEST_NODE = 20;

/**
 * Returns how long it took, in ms: to download what was missing, to have SQLite's compiled part
 * (which may be there, be downloaded, or be compiled), and to compile the programs.
 * @param {"demo" | "test"} purpose
 */
export async function setUp(purpose) {
  const start = performance.now();
  const [major] = process.versions.node.split(".");
  if (Number(major) < OLDEST_NODE) {
    throw new SetUpError(
      `Node ${process.versions.node} is too old: ocluster needs version ${OLDEST_NODE} or later.`,
    );
  }
  if (process.platform !== "linux") throw new SetUpError("ocluster runs on Linux only.");
  ensurePackages(purpose);
  // An installed package has neither sources nor dependencies of its own to care for.
  const isCheckout = existsSync(join(ROOT, "src"));
  if (isCheckout) ensureDependencies();
  const downloaded = performance.now();
  if (isCheckout) ensureSqlite();
  const sqlite = performance.now();
  if (isCheckout) await buildIfStale();
  return {
    download: downloaded - start,
    sqlite: sqlite - downloaded,
    compile: performance.now() - sqlite,
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await runScript(async () => {
    const purpose = process.argv[2] ?? "demo";
    if (purpose !== "demo" && purpose !== "test") {
      throw new SetUpError("usage: node scripts/setup.mjs [demo|test]");
    }
    await setUp(purpose);
  });
}
