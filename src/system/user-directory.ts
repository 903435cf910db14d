/**
 * Where programs keep what is a user's own: the base directories of the XDG Base Directory
 * Specification. A door of its own, as command lines are read with it.
 */
import { homedir } from "node:os";
import { join } from "node:path";

const BASES = {
  cache: { variable: "XDG_CACHE_HOME", usual: ".cache" },
  config: { variable: "XDG_CONFIG_HOME", usual: ".config" },
  state: { variable: "XDG_STATE_HOME", usual: ".local/state" },
} as const;

/** The path of `name` below the user's base directory of that kind; it need not be there. */
export function userPath(kind: keyof typeof BASES, name: string): string {
  const { usual, variable } = BASES[kind];
  const base = process.env[variable];
  // As the specification has it: what is no absolute path is to be ignored.
  return join(base?.startsWith("/") ? base : join(homedir(), usual), name);
}
