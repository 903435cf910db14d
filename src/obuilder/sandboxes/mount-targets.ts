/*
 * Where the mounts of a step lead to in its root. A spec names their targets, and whoever built the
 * root, or wrote to a cache, has the links on the way. So links are followed here, inside of the
 * root, before a runtime sees a target; what it then gets leads through no link.
 *
 * Nothing of a spec is mounted on `/`, nor at or below `/dev`, `/proc` and `/sys`. What is there is
 * the runtime's: a cache in their place could have a link where the runtime opens, makes or masks a
 * file.
 *
 * A link is looked up as the runtime will find it: in the caches, too, that are mounted before.
 * Each of these is a copy of its user's own, and nothing of the step runs yet, so what is found
 * stays true.
 */

import { quoted } from "../../text/index.js";
import type { CacheMount, SandboxStep, SecretMount } from "../contracts.js";
import { BuildError } from "../errors.js";
import { usesHostNetwork } from "./oci-config.js";

/** Mounted whole, by the runtime: what is below them is in no layer. */
const FILE_SYSTEMS = ["/proc", "/dev", "/sys"] as const;

/** As many links as the kernel follows in one path. */
const MAX_LINKS = 40;

/** A place in a root, once some caches are mounted there. */
export interface Place {
  /** Absolute, from the step's root. Leads through no link. */
  readonly path: string;
  /** Those that are mounted before, in this order. A later one may cover an earlier one. */
  readonly caches: readonly CacheMount[];
}

/** A place for something to be mounted on. */
export interface MountPoint extends Place {
  readonly kind: "dir" | "file";
}

/**
 * A step whose targets lead through no links, and all its mount points in the order of mounting.
 */
export interface ResolvedStep {
  readonly step: SandboxStep;
  readonly points: readonly MountPoint[];
}

/** Tells what the link at a place points to, or undefined if there is none. */
export type ReadLink = (place: Place) => string | undefined | Promise<string | undefined>;

/**
 * Follows the targets of the step, each in the root and the caches that are mounted before it.
 * Throws `BuildError` for those where nothing may be mounted, and for a working directory that none
 * may be.
 */
export async function resolveMounts(step: SandboxStep, readLink: ReadLink): Promise<ResolvedStep> {
  const caches: CacheMount[] = [];
  const secrets: SecretMount[] = [];
  const points: MountPoint[] = [];
  for (const path of FILE_SYSTEMS) {
    if ((await follow(path, caches, readLink)) !== path)
      throw new BuildError(`The image has a link in place of ${path}; it must be a directory`);
    points.push({ kind: "dir", path, caches: [] });
  }
  const resolve = async (what: string, kind: MountPoint["kind"], target: string) => {
    const path = await follow(target, caches, readLink);
    checkPlace(what, target, path);
    points.push({ kind, path, caches: [...caches] });
    return path;
  };
  const own = ["/etc/hosts", ...(usesHostNetwork(step.network) ? ["/etc/resolv.conf"] : [])];
  for (const target of own) await resolve("file of the sandbox", "file", target);
  for (const { value, target } of step.secrets)
    secrets.push({ value, target: await resolve("secret", "file", target) });
  for (const { source, target } of step.caches)
    caches.push({ source, target: await resolve("cache", "dir", target) });
  checkWorkdir(step.cwd, await follow(step.cwd, caches, readLink));
  return { step: { ...step, secrets, caches }, points };
}

/**
 * Where a path leads to. What is missing on the way is taken for directories that are still to be
 * made.
 */
async function follow(
  target: string,
  caches: readonly CacheMount[],
  readLink: ReadLink,
): Promise<string> {
  const left = target.split("/").reverse();
  const path: string[] = [];
  let links = 0;
  while (left.length > 0) {
    const name = left.pop()!;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      path.pop();
      continue;
    }
    path.push(name);
    const link = await readLink({ path: `/${path.join("/")}`, caches });
    if (link === undefined) continue;
    if (++links > MAX_LINKS)
      throw new BuildError(`${quoted(target)} leads through too many links in the image`);
    path.pop();
    if (link.startsWith("/")) path.length = 0;
    left.push(...link.split("/").reverse());
  }
  return `/${path.join("/")}`;
}

function checkPlace(what: string, target: string, path: string): void {
  const place = path === "/" ? path : FILE_SYSTEMS.find((dir) => isWithin(path, dir));
  if (place === undefined) return;
  const through = path === target ? "" : `, which leads to ${quoted(path)}`;
  const where = place === "/" ? "on /" : `at or below ${place}`;
  throw new BuildError(
    `No ${what} can be mounted ${where}: ${quoted(target)}${through}; give it a target elsewhere`,
  );
}

/** Of a process, such as the runtime, `/proc` has links to what it has open on the host. */
function checkWorkdir(cwd: string, path: string): void {
  if (!isWithin(path, "/proc") && !isWithin(path, "/dev/fd")) return;
  const through = path === cwd ? "" : `, which leads to ${quoted(path)}`;
  throw new BuildError(`No step can work in /proc or /dev/fd: ${quoted(cwd)}${through}`);
}

function isWithin(path: string, dir: string): boolean {
  return path === dir || path.startsWith(`${dir}/`);
}
