/*
 * The places in a root where something is mounted for a step. A runtime makes those that are
 * missing, and they stay in the layer; but with which mode depends on the runtime. So they are made
 * here, as runc does: layers shall not differ.
 *
 * The root belongs to whoever built it. Its links are followed as the step would, never out of it
 * (`mount-targets.ts`); and nothing of it runs while this looks at it.
 */

import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import type { SandboxStep } from "../contracts.js";
import { LocalRoot } from "./local-root.js";
import { type MountPoint, type Place, resolveMounts } from "./mount-targets.js";
import { checkStepText } from "./step-text.js";

/**
 * Makes what is missing, and gives the step with targets that lead through no links. What cannot be
 * made is left to the runtime to complain about. Throws `BuildError` for targets where nothing may
 * be mounted.
 */
export async function makeMountPoints(rootfs: string, step: SandboxStep): Promise<SandboxStep> {
  const { step: resolved, points } = await resolveMounts(step, (place) => {
    const { root, path } = onHost(rootfs, place);
    const entry = new LocalRoot(root).entry(path);
    return entry?.kind === "link" ? entry.target : undefined;
  });
  checkStepText(resolved); // Links, too, may have bytes that no runtime can be told.
  for (const point of points) make(rootfs, point);
  return resolved;
}

/**
 * A place on this machine: the directory that is mounted for it, and its path from there, like
 * `usr/lib`.
 */
function onHost(rootfs: string, { path, caches }: Place): { root: string; path: string } {
  const cache = caches.findLast(({ target }) => path === target || path.startsWith(`${target}/`));
  if (!cache) return { root: rootfs, path: path.slice(1) };
  return { root: cache.source, path: path.slice(cache.target.length + 1) };
}

/** Makes a mount point and the directories above it. */
function make(rootfs: string, { kind, path, caches }: MountPoint): void {
  const names = path.slice(1).split("/");
  for (let length = 1; length <= names.length; length++) {
    const place = { path: `/${names.slice(0, length).join("/")}`, caches };
    const { root, path: inner } = onHost(rootfs, place);
    const entry = new LocalRoot(root).entry(inner);
    if (entry?.kind === "dir") continue;
    if (entry) return;
    const full = join(root, inner);
    if (length === names.length && kind === "file") closeSync(openSync(full, "wx"));
    else mkdirSync(full);
    chmodSync(full, 0o755); // whatever the umask
  }
}
