// The npm packages: installed when they are not what package-lock.json says, and with an SQLite
// that works in this Node.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensurePackages } from "./debian.mjs";
import { isAccessible, ROOT, SetUpError, succeeds } from "./process.mjs";

/** Installs what is missing or stale, but for SQLite's compiled part. */
export function ensureDependencies() {
  if (isCurrent()) return;
  console.error("Installing npm dependencies…");
  // Of their scripts, none but better-sqlite3's is of use here, and that one not everywhere.
  if (!npm("ci", "--ignore-scripts")) {
    throw new SetUpError("`npm ci` did not succeed; see its messages above.");
  }
}

/**
 * Makes sure that SQLite works. In newer versions of Node it does as it is, on usual platforms; for
 * others its compiled part is downloaded, or, where there is none to be had, compiled.
 */
export function ensureSqlite() {
  if (sqliteLoads()) return;
  console.error("Getting the compiled part of better-sqlite3, or compiling it: 1 or 2 minutes…");
  const rebuild = () => npm("rebuild", "better-sqlite3");
  if (rebuild() && sqliteLoads()) return;
  console.error("It could not be had ready-made, and to compile it takes Python and a compiler.");
  ensurePackages("compiler");
  if (!rebuild()) {
    throw new SetUpError("`npm rebuild better-sqlite3` did not succeed; see its messages above.");
  }
  if (!sqliteLoads()) {
    throw new SetUpError(
      `better-sqlite3 is installed, but its compiled part does not load in Node ${process.version}. If it is made for another ` +
        "Node, see `npm config get nodedir`; if it is missing, `npm config get ignore-scripts`.",
    );
  }
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function npm(command, ...args) {
  // Headers that came with this Node spare node-gyp a download. npm's way to say so changed with
  // version 11.
  const prefix = dirname(dirname(process.execPath));
  const env = isAccessible(join(prefix, "include/node/node.h"))
    ? { npm_config_nodedir: prefix, npm_package_config_node_gyp_nodedir: prefix }
    : {};
  return succeeds("npm", [command, ...args, "--no-audit", "--no-fund", "--loglevel=error"], env);
}

/**
 * Whether node_modules is what the lock file asks for. npm keeps the list of what it installed in
 * there.
 */
function isCurrent() {
  const installed = lockedVersions("node_modules/.package-lock.json");
  if (!installed) return false;
  const locked = lockedVersions("package-lock.json") ?? new Map();
  // Optional packages are for some platforms only, but for the one that npm drops where it could
  // not be compiled.
  return [...locked].every(
    ([path, { version, optional }]) =>
      installed.get(path)?.version === version ||
      (optional && !installed.has(path) && path !== "node_modules/better-sqlite3"),
  );
}

/**
 * @param {string} file
 * @returns {Map<string, { version: string, optional?: boolean }> | undefined}
 */
function lockedVersions(file) {
  try {
    const { packages } = JSON.parse(readFileSync(join(ROOT, file), "utf8"));
    return new Map(Object.entries(packages).filter(([path]) => path !== ""));
  } catch {
    return undefined;
  }
}

/**
 * Whether there is a version that works, as src/system/sqlite.ts looks for one. In a process of
 * its own: an addon for another Node may do worse than throw.
 */
function sqliteLoads() {
  return ["better-sqlite3-v13", "better-sqlite3"].some((name) => {
    if (name === "better-sqlite3-v13" && Number(process.versions.napi) < 10) return false;
    const probe = `new (require('${name}'))(':memory:').close()`;
    return spawnSync(process.execPath, ["-e", probe], { cwd: ROOT, stdio: "ignore" }).status === 0;
  });
}
