/*
 * The machine that a Dockerfile is for, and the build arguments that tell it: Docker sets them
 * without being asked.
 */

import { platformArchitecture } from "../image/oci-layout.js";

export interface Platform {
  /** `linux`, `windows`, … */
  readonly os: string;
  /** As images name it: `amd64`, `arm64`, … */
  readonly architecture: string;
}

export function thisPlatform(): Platform {
  return { os: "linux", architecture: platformArchitecture() };
}

export function platformName({ os, architecture }: Platform): string {
  return `${os}/${architecture}`;
}

/**
 * Known to FROM, and to stages that ask with ARG. Nothing is built for another machine than the one
 * it is built on.
 */
export function platformArgs(platform: Platform): [string, string][] {
  return ["TARGET", "BUILD"].flatMap((prefix): [string, string][] => [
    [`${prefix}PLATFORM`, platformName(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, ""],
  ]);
}
