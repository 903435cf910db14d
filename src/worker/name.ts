/**
 * Names of workers that are not written by hand: one command line for a thousand machines, with
 * `{host}` and `{id}` in its `--name`.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { makePrivateDirectory } from "./files.js";

/**
 * In the environment: how whoever has started the worker calls it. An autoscaler finds its workers
 * by it, as their names end with it.
 */
export const WORKER_ID = "OCLUSTER_WORKER_ID";

/** In the state directory, so that a worker that is started again there is the same one. */
const ID_FILE = "worker-id";

/**
 * A name with `{host}` (of the machine) and `{id}` (from the environment, else one that is made
 * once for each state directory) filled in. Throws `DirectoryError`, and the system's errors.
 */
export function workerName(template: string, stateDir: string): string {
  return template
    .replaceAll("{host}", () => hostname())
    .replaceAll("{id}", () => process.env[WORKER_ID] || idOf(stateDir));
}

function idOf(stateDir: string): string {
  makePrivateDirectory(stateDir);
  const path = join(stateDir, ID_FILE);
  try {
    const kept = readFileSync(path, "utf8").trim();
    if (/^[0-9a-f]{8}$/.test(kept)) return kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const id = randomBytes(4).toString("hex");
  writeFileSync(path, `${id}\n`);
  return id;
}
