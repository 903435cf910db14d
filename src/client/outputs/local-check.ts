/**
 * What can be known before a job is queued of where its files are to be put: that there is a
 * directory that can be written to, and that nothing is in the way.
 */
import { accessSync, constants, lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { CommandFailed } from "../../console/index.js";
import { quoted } from "../../text/index.js";
import type { LocalTarget, OutputSpec } from "./output-spec.js";

/** Throws a `CommandFailed` that names what is wrong, and with which output. */
export function checkTargets(outputs: readonly OutputSpec[]): void {
  const places = new Map<string, string>();
  for (const { local, remote } of outputs) {
    if (!local) continue;
    const place = local.kind === "stdout" ? "-" : resolve(local.path);
    const other = local.kind === "into" || local.kind === "under" ? undefined : places.get(place);
    if (other !== undefined) {
      throw new CommandFailed(`Both ${quoted(other)} and ${quoted(remote)} are to go to ${place}.`);
    }
    places.set(place, remote);
    checkTarget(local);
  }
}

function checkTarget(local: LocalTarget): void {
  if (local.kind === "stdout") return;
  const { kind, path } = local;
  const stats = lookAt(path, lstatSync);
  if (kind === "into" || kind === "under") {
    if (!stats) checkWritable(path);
    else if (!lookAt(path, statSync)?.isDirectory()) throw inTheWay(path);
    else checkAccess(path);
    return;
  }
  if (stats?.isDirectory() && (kind === "archive" || readdirSync(path).length > 0)) {
    throw inTheWay(path);
  }
  if (stats && !stats.isDirectory() && !stats.isFile()) throw inTheWay(path);
  checkWritable(path);
}

/** Undefined if there is nothing, or cannot be: what it would be in is no directory. */
function lookAt(path: string, look: typeof statSync | typeof lstatSync): Stats | undefined {
  try {
    return look(path, { throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return undefined;
    throw error;
  }
}

/** The nearest directory that there is must be one that others can be made in. */
function checkWritable(path: string): void {
  const parent = dirname(resolve(path));
  const stats = lookAt(parent, statSync);
  if (stats && !stats.isDirectory()) throw inTheWay(parent);
  if (stats) checkAccess(parent);
  else if (parent !== dirname(parent)) checkWritable(parent);
}

function checkAccess(directory: string): void {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new CommandFailed(
      `Nothing can be written to ${quoted(directory)} (${(error as NodeJS.ErrnoException).code}): ` +
        "choose another place for --output.",
      { cause: error },
    );
  }
}

/** Something is where files are to be put. */
export function inTheWay(path: string): CommandFailed {
  return new CommandFailed(`${quoted(path)} is in the way: remove it, or choose another place.`);
}
