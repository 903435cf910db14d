/*
 * What others use of the builder.
 *
 *     const builder = await openBuilder({ store: "overlayfs:/var/cache/obuilder" });
 *     const id = await builder.build({ spec: readSpec(text), sourceDir, log, signal });
 *     await builder.close();
 */

export { Builder, type BuildRequest } from "./build/builder.js";
export type { CacheStats, PruneOptions } from "./build/layers.js";
export { fullDisk, isOutOfSpace, NoSpaceError } from "./build/no-space.js";
export type { Secrets } from "./build/run-input.js";
export {
  DOCKER_ISOLATIONS,
  type DockerIsolation,
  FETCHER_NAMES,
  type FetcherName,
  RSYNC_MODES,
  type RsyncMode,
  RUNTIME_CHOICES,
  type RuntimeChoice,
} from "./choices.js";
export type { BuildLog, LayerId, Store } from "./contracts.js";
export {
  BuildCancelled,
  BuildError,
  CacheBusy,
  isMachineFailure,
  MissingStore,
  StoreError,
} from "./errors.js";
export { type HealthcheckOptions, healthcheck } from "./healthcheck.js";
export { platformArchitecture } from "./image/oci-layout.js";
export { type BuilderOptions, openBuilder } from "./open-builder.js";
export { hasRoom, type PruneUntilOptions, pruneUntil, type Room } from "./prune.js";
export type { Limits } from "./sandboxes/oci-config.js";
export { SexpError } from "./sexp/errors.js";
export type { Spec } from "./spec/spec.js";
export { readingSpec, readSpec } from "./spec/spec-reader.js";
export type { StoreDriver, StoreKind, StoreParts } from "./stores/kind.js";
export { STORE_KINDS } from "./stores/kinds.js";
