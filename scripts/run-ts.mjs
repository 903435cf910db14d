// Runs a TypeScript program: node scripts/run-ts.mjs ENTRY [ARG...]
//
// Bundles the entry with esbuild into node_modules/.cache (packages stay outside of the bundle, so
// native modules work) and runs it in a process of its own, whose exit code becomes this one's.

import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) {
  console.error("usage: node scripts/run-ts.mjs ENTRY [ARG...]");
  process.exit(2);
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(root, "node_modules", ".cache");
mkdirSync(cache, { recursive: true });
const outdir = mkdtempSync(join(cache, "run-ts-"));
// By which a program knows its version; below node_modules the package's own is out of sight.
copyFileSync(join(root, "package.json"), join(outdir, "package.json"));
const cleanUp = () => rmSync(outdir, { recursive: true, force: true });
process.on("exit", cleanUp);

await build({
  entryPoints: [resolve(entry)],
  outdir,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  splitting: true, // a dynamic import is loaded when it runs
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  sourcemap: "inline",
  logLevel: "warning",
});

const name = entry.replace(/^.*\//, "").replace(/\.[cm]?ts$/, ".mjs");
const child = spawn(process.execPath, ["--enable-source-maps", join(outdir, name), ...args], {
  stdio: "inherit",
});
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]))
  process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  // Die of the same signal, as a shell expects of a wrapper.
  cleanUp();
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
