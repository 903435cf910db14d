/*
 * The words that options of the builder can have.
 */

/** Where base images come from (`fetchers/`), in the order in which they are tried by default. */
export const FETCHER_NAMES = ["local", "docker", "skopeo"] as const;
export type FetcherName = (typeof FETCHER_NAMES)[number];

/** What runs steps (`sandboxes/`); `auto`: the fastest one that works. */
export const RUNTIME_CHOICES = ["auto", "runc", "crun"] as const;
export type RuntimeChoice = (typeof RUNTIME_CHOICES)[number];

/** How layers are kept by an rsync store (`stores/rsync-engine.ts`). */
export const RSYNC_MODES = ["copy", "hardlink", "hardlink_unsafe"] as const;
export type RsyncMode = (typeof RSYNC_MODES)[number];

/** How a Docker engine isolates containers; on Linux there is but the default. */
export const DOCKER_ISOLATIONS = ["default", "process", "hyperv"] as const;
export type DockerIsolation = (typeof DOCKER_ISOLATIONS)[number];
