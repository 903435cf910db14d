/**
 * SQLite for this Node, of one interface: better-sqlite3 in version 13 or 12.
 *
 * Neither works everywhere. Version 13 asks for Node-API 10, which Node 20 does not have: it would
 * crash there. Version 12, compiled with the headers of Node 24.19 or later, ends the process with
 * a failed assertion soon after its first statements are collected. Version 13 comes compiled for
 * the two usual processors and glibc 2.34. Both are optional dependencies: npm leaves version 13
 * out where Node is too old for it, and version 12 where its compiled part cannot be had. All code
 * takes SQLite from here: two copies in one process would undo each other's locks.
 */
import { createRequire } from "node:module";
import type Library from "better-sqlite3";

let library: typeof Library | undefined;

const loaded = (): typeof Library =>
  (library ??= chooseLibrary(createRequire(import.meta.url), Number(process.versions.napi)));

/**
 * Opens databases: `new SQLite(path, options)`. Its `SqliteError` is what they throw. The library
 * is loaded by the first use: programs that open none come by here, too, and are started all the
 * time.
 */
export const SQLite: typeof Library = new Proxy(function SQLite() {} as unknown as typeof Library, {
  construct: (_, args, target) => Reflect.construct(loaded(), args, target),
  get: (_, name) => Reflect.get(loaded(), name),
});

/**
 * Version 13 if it works with that Node-API, else version 12, whether that works or not. Exported
 * for tests.
 */
export function chooseLibrary(require: (name: string) => unknown, napi: number): typeof Library {
  if (napi >= 10 && ["x64", "arm64"].includes(process.arch)) {
    try {
      const library = require("better-sqlite3-v13") as typeof Library;
      // The compiled part is loaded with the first database.
      new library(":memory:").close();
      return library;
    } catch (error) {
      // Left out, as with `npm install --omit=optional`, or not for a system as old as this one.
      const { code = "" } = error as { code?: string };
      if (!["MODULE_NOT_FOUND", "ERR_DLOPEN_FAILED"].includes(code)) throw error;
    }
  }
  return require("better-sqlite3") as typeof Library;
}
