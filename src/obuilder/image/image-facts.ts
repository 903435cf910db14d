/*
 * What is known of a base image without unpacking it: what its configuration says, and who its
 * users are.
 */

import type { Env } from "../spec/spec.js";

export interface ImageFacts {
  readonly env: Env;
  /** As USER has it; empty for root. */
  readonly user: string;
  /** Empty for `/`. */
  readonly workdir: string;
  /** Empty for the usual one. */
  readonly shell: readonly string[];
  /** Instructions that builds which begin with the image begin with. */
  readonly onbuild: readonly string[];
  /** `/etc/passwd` and `/etc/group`, empty where there is none; undefined if nobody has looked. */
  readonly accounts: { readonly passwd: string; readonly group: string } | undefined;
}

/** A configuration's `config`, as engines and OCI layouts have it. */
export interface RunConfig {
  readonly Env?: readonly string[] | null;
  readonly User?: string | null;
  readonly WorkingDir?: string | null;
  readonly Shell?: readonly string[] | null;
  readonly OnBuild?: readonly string[] | null;
}

/** Fields that are left out are empty. */
export function settingsIn(config: RunConfig): Omit<ImageFacts, "env" | "accounts"> {
  return {
    user: config.User ?? "",
    workdir: config.WorkingDir ?? "",
    shell: config.Shell ?? [],
    onbuild: config.OnBuild ?? [],
  };
}
