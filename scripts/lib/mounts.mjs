// File systems mounted below a directory.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Unmounts everything below `dir`, innermost first.
 * @param {string} dir
 */
export function unmountBelow(dir) {
  const points = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    // Spaces and the like are in octal.
    .map((path) => path.replace(/\\(\d{3})/g, (_, code) => String.fromCharCode(parseInt(code, 8))));
  for (const point of points.filter((path) => path.startsWith(`${dir}/`)).reverse()) {
    spawnSync("umount", ["--lazy", point]);
  }
}

/**
 * Whether an overlay can be mounted in `dir`: not so on top of another overlay, as in most
 * containers.
 * @param {string} dir
 */
export function canOverlay(dir) {
  const probe = join(dir, "overlay-probe");
  for (const name of ["lower", "upper", "work", "merged"]) {
    mkdirSync(join(probe, name), { recursive: true });
  }
  const options = `lowerdir=${probe}/lower,upperdir=${probe}/upper,workdir=${probe}/work`;
  const { status } = spawnSync("mount", [
    ...["-t", "overlay", "overlay", "-o", options],
    join(probe, "merged"),
  ]);
  unmountBelow(probe);
  return status === 0;
}
