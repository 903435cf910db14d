/*
 * The places in a root where something is mounted for a step. A runtime makes those that are missing, and they stay in
 * the layer; but with which mode depends on the runtime. So they are made here, as runc does: layers shall not differ.
 *
 * The root belongs to whoever built it. Its links are followed as the step would, never out of it; and nothing of it
 * runs while this looks at it.
 */

import { chmodSync, closeSync, lstatSync, mkdirSync, openSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { SandboxStep } from "../contracts.js";
import { usesHostNetwork } from "./oci-config.js";

/** As many links as the kernel follows in one path. */
const MAX_LINKS = 40;

/** Mounted whole: what is below them is not in the layer. */
const FILE_SYSTEMS = ["/proc", "/dev", "/sys"];

/** Makes what is missing. What cannot be made is left to the runtime to complain about. */
export function makeMountPoints(rootfs: string, step: SandboxStep): void {
  for (const dir of FILE_SYSTEMS) make(rootfs, dir, "dir");
  make(rootfs, "/etc/hosts", "file");
  if (usesHostNetwork(step.network)) make(rootfs, "/etc/resolv.conf", "file");
  for (const { target } of step.secrets) make(rootfs, target, "file");
  for (const { target } of step.caches) make(rootfs, target, "dir");
}

function make(rootfs: string, target: string, kind: "dir" | "file"): void {
  if (FILE_SYSTEMS.some((dir) => target.startsWith(`${dir}/`)) || target.includes("\0")) return;
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
    const full = join(rootfs, ...path, name);
    const stats = lstatSync(full, { throwIfNoEntry: false });
    if (stats?.isSymbolicLink()) {
      if (++links > MAX_LINKS) return;
      const link = readlinkSync(full);
      if (link.startsWith("/")) path.length = 0;
      left.push(...link.split("/").reverse());
      continue;
    }
    if (!stats) {
      const last = left.every((rest) => rest === "" || rest === ".");
      if (last && kind === "file") closeSync(openSync(full, "wx"));
      else mkdirSync(full);
      chmodSync(full, 0o755); // whatever the umask
      if (last && kind === "file") return;
    } else if (!stats.isDirectory()) {
      return;
    }
    path.push(name);
  }
}
