/**
 * Which capability file and pool a user means who names none: the variables OCLUSTER_CAP and
 * OCLUSTER_POOL, or else the current one of the named contexts in a configuration file,
 * `$XDG_CONFIG_HOME/ocluster/config` (`~/.config/ocluster/config`):
 *
 *     { "current": "home", "contexts": { "home": { "cap": "/home/me/alice.cap", "pool": "linux-x86_64" } } }
 *
 * A door of its own: command lines are read with it, before anything else is loaded.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { userPath } from "../system/user-directory.js";
import { quoted } from "../text/index.js";

/** What can be done with contexts. */
export const CONTEXT_ACTIONS = ["list", "use", "add", "remove"] as const;

export interface Context {
  /** The absolute path of a capability file. */
  readonly cap: string;
  readonly pool?: string | undefined;
}

export interface Contexts {
  readonly current?: string | undefined;
  readonly contexts: Readonly<Record<string, Context>>;
}

/** The configuration file cannot be read or written, or is none. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

export function configPath(): string {
  return userPath("config", "ocluster/config");
}

/** Throws a `ConfigError`. */
export function readContexts(): Contexts {
  const path = configPath();
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return { contexts: {} };
    throw new ConfigError(`Cannot read the configuration file: ${message}`, { cause: error });
  }
  try {
    return contextsOf(JSON.parse(text));
  } catch (error) {
    throw new ConfigError(
      `The configuration file "${path}" is not understood: ${(error as Error).message}.\n` +
        "Put it right or remove it; `ocluster-client context add` makes a new one.",
      { cause: error },
    );
  }
}

/** Replaces the file as a whole. Throws a `ConfigError`. */
export function writeContexts(contexts: Contexts): void {
  const path = configPath();
  const aside = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(aside, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 });
    renameSync(aside, path);
  } catch (error) {
    const { message } = error as Error;
    throw new ConfigError(`Cannot write the configuration file: ${message}`, { cause: error });
  }
}

/**
 * The capability file of who names none; undefined if there is none either. Throws a `ConfigError`.
 */
export function usualCap(): string | undefined {
  return process.env.OCLUSTER_CAP || current()?.cap;
}

/**
 * The pool of who names none. That of the context goes with its capability file only. Throws a
 * `ConfigError`.
 */
export function usualPool(isCapGiven: boolean): string | undefined {
  if (process.env.OCLUSTER_POOL) return process.env.OCLUSTER_POOL;
  return isCapGiven || process.env.OCLUSTER_CAP ? undefined : current()?.pool;
}

function current(): Context | undefined {
  const { contexts, current: name } = readContexts();
  return name === undefined ? undefined : contexts[name];
}

/** Throws an `Error` that says what is wrong. */
function contextsOf(json: unknown): Contexts {
  if (!isObject(json)) throw new Error("it is no object");
  const { contexts = {}, current: name } = json;
  if (!isObject(contexts)) throw new Error("its contexts are no object");
  if (name !== undefined && typeof name !== "string") throw new Error('"current" is no name');
  const known: [string, Context][] = Object.entries(contexts).map(([each, value]) => {
    const { cap, pool } = isObject(value) ? value : {};
    if (typeof cap !== "string" || (pool !== undefined && typeof pool !== "string")) {
      throw new Error(`the context ${quoted(each)} needs a "cap", and may have a "pool"`);
    }
    return [each, { cap, ...(pool !== undefined && { pool }) }];
  });
  // Without a prototype: a context may be called "constructor".
  return {
    ...(name !== undefined && { current: name }),
    contexts: Object.assign(Object.create(null), Object.fromEntries(known)),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
