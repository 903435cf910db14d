// The npm packages: installed when they are not what package-lock.json says, with better-sqlite3's
// native addon working.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensurePackages } from "./debian.mjs";
import { isAccessible, ROOT, SetUpError, succeeds } from "./process.mjs";

/** Installs what is missing or stale. */
export function ensureDependencies() {
  if (isCurrent() && addonLoads()) return;
  console.error("Installing npm dependencies…");
  // The addon comes as a download for usual platforms; where there is none it is compiled, which
  // takes a minute.
  if (install() && addonLoads()) return;
  console.error("The native part of better-sqlite3 could not be had ready-made: compiling it.");
  ensurePackages("compiler");
  if (!install()) throw new SetUpError("`npm ci` did not succeed; see its messages above.");
  if (!addonLoads()) {
    throw new SetUpError(
      `better-sqlite3 is installed, but its compiled part does not load in Node ${process.version}. If it is made for another ` +
        "Node, see `npm config get nodedir`; if it is missing, `npm config get ignore-scripts`.",
    );
  }
}

function install() {
  // Headers that came with this Node spare node-gyp a download. npm's way to say so changed with
  // version 11.
  const prefix = dirname(dirname(process.execPath));
  const env = isAccessible(join(prefix, "include/node/node.h"))
    ? { npm_config_nodedir: prefix, npm_package_config_node_gyp_nodedir: prefix }
    : {};
  return succeeds("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], env);
}

/**
 * Whether node_modules is what the lock file asks for. npm keeps the list of what it installed in
 * there.
 */
function isCurrent() {
  const installed = lockedVersions("node_modules/.package-lock.json");
  if (!installed) return false;
  const locked = lockedVersions("package-lock.json") ?? new Map();
  // Optional packages are for some platforms only.
  return [...locked].every(
    ([path, { version, optional }]) =>
      installed.get(path)?.version === version || (optional && !installed.has(path)),
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

/** In a process of its own: an addon for another Node may do worse than throw. */
function addonLoads() {
  const probe = "new (require('better-sqlite3'))(':memory:').close()";
  return spawnSync(process.execPath, ["-e", probe], { cwd: ROOT, stdio: "ignore" }).status === 0;
}
