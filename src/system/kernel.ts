/*
 * Which kernel this is.
 */

import { release } from "node:os";

export function kernelAtLeast(major: number, minor: number): boolean {
  const [actualMajor = 0, actualMinor = 0] = release()
    .split(".")
    .map((part) => Number.parseInt(part, 10));
  return actualMajor > major || (actualMajor === major && actualMinor >= minor);
}
