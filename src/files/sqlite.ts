/**
 * SQLite for this Node, of one interface: better-sqlite3 in version 13 or 12.
 *
 * Neither works everywhere. Version 13 asks for Node-API 10, which Node 20 does not have: it would crash there. Version 12,
 * compiled with the headers of Node 24.19 or later, ends the process with a failed assertion soon after its first statements
 * are collected. Version 13 comes compiled for the two usual processors, and is an optional dependency, as npm leaves those
 * out where Node is too old for them. All code takes SQLite from here: two copies in one process would undo each other's locks.
 */
import { createRequire } from "node:module";
import type Library from "better-sqlite3";

/** Opens databases: `new SQLite(path, options)`. Its `SqliteError` is what they throw. */
export const SQLite: typeof Library = load(createRequire(import.meta.url));

function load(require: NodeJS.Require): typeof Library {
  if (Number(process.versions.napi) >= 10 && ["x64", "arm64"].includes(process.arch)) {
    try {
      return require("better-sqlite3-v13");
    } catch (error) {
      // Left out, as with `npm install --omit=optional`.
      if ((error as { code?: string }).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  return require("better-sqlite3");
}
