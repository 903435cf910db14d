/*
 * A builder from its options: the parts chosen, opened and put together.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Builder } from "./build/builder.js";
import { LayerDatabase } from "./build/database.js";
import { isOutOfSpace, noSpaceText } from "./build/no-space.js";
import {
  type DockerIsolation,
  FETCHER_NAMES,
  type FetcherName,
  type RsyncMode,
  type RuntimeChoice,
} from "./choices.js";
import type { Fetcher, Sandbox } from "./contracts.js";
import { StoreError } from "./errors.js";
import { createFetcher } from "./fetchers/choose-fetcher.js";
import { chooseRuntime } from "./sandboxes/choose-runtime.js";
import { DockerSandbox } from "./sandboxes/docker-sandbox.js";
import type { Limits } from "./sandboxes/oci-config.js";
import { mostPids } from "./sandboxes/shared-cgroup.js";
import type { StoreKind, StoreParts } from "./stores/kind.js";
import { STORE_KINDS } from "./stores/kinds.js";
import { openStore, parseStoreSpec, type StoreSpec } from "./stores/open-store.js";

export interface BuilderOptions {
  /** `overlayfs:/path`, `zfs:pool`, …: a kind (`stores/kinds.ts`), and where it is. */
  readonly store: string;
  /**
   * The kinds that `store` may be of, for programs that bring one of their own. Default: those that
   * are built in.
   */
  readonly storeKinds?: readonly StoreKind[] | undefined;
  /** For rsync stores, and required there. */
  readonly rsyncMode?: RsyncMode | undefined;
  /** Whether a store that is not there is missed (`MissingStore`) rather than made. */
  readonly existing?: boolean | undefined;
  /** Directory of OCI layouts to take base images from (`local-fetcher.ts`). */
  readonly imageDir?: string | undefined;
  /** Where base images come from, the preferred source first. */
  readonly fetch?: readonly FetcherName[] | undefined;
  readonly runtime?: RuntimeChoice | undefined;
  /**
   * Whether the runtime is tried when the first step is to be run, rather than now: for a program
   * that makes one build, of which all steps may be cached.
   */
  readonly tryRuntimeLater?: boolean | undefined;
  /** Whether steps wait for the disk when they ask to (fsync and the like). */
  readonly fastSync?: boolean | undefined;
  /** For each step. */
  readonly limits?: Limits | undefined;
  /** For the containers of a docker store. */
  readonly docker?: DockerOptions | undefined;
  /** Age in ms at which a base image's tag is looked up again; undefined: never. */
  readonly baseRefresh?: number | undefined;
}

export interface DockerOptions {
  /** Instead of those in `limits`. */
  readonly cpus?: number | undefined;
  readonly memory?: number | undefined;
  /** The network of steps that do not ask for one; by default there is none. */
  readonly network?: string | undefined;
  readonly isolation?: DockerIsolation | undefined;
}

/**
 * Opens the store and gets everything ready to build. Throws `StoreError`. One that is on a full
 * disk is opened, too, so that layers can be removed.
 */
export async function openBuilder(options: BuilderOptions): Promise<Builder> {
  const spec = parseStoreSpec(options.store, options.storeKinds ?? STORE_KINDS);
  try {
    return await open(spec, options);
  } catch (error) {
    if (!isOutOfSpace(error)) throw error;
    throw new StoreError(noSpaceText((error as Error).message, spec.path, undefined));
  }
}

async function open(spec: StoreSpec, options: BuilderOptions): Promise<Builder> {
  const { close, ...parts } = await openStore(spec, options);
  const { store } = parts;
  try {
    const { stateDir } = store;
    mkdirSync(join(stateDir, "db"), { recursive: true });
    const database = new LayerDatabase(join(stateDir, "db", "db.sqlite"));
    try {
      database.reconcile(await store.list(), new Date());
      const sandbox = await openSandbox(parts, options);
      const fetcher = fetcherFor(parts, options);
      const onClose = async () => {
        sandbox.close?.();
        database.close();
        await close();
      };
      return new Builder({
        store,
        sandbox,
        fetcher,
        database,
        baseRefresh: options.baseRefresh,
        onClose,
      });
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    await close();
    throw error;
  }
}

/** What gets base images for a store. */
export function fetcherFor(
  { store, docker }: StoreParts,
  { fetch = FETCHER_NAMES, imageDir }: Pick<BuilderOptions, "fetch" | "imageDir">,
): Fetcher {
  return createFetcher({
    order: fetch,
    imageDir,
    tmp: join(store.stateDir, "private"),
    engine: docker?.engine,
  });
}

/** The layers of a docker store are run by its engine, those of others by an OCI runtime. */
async function openSandbox(
  { store, docker: images }: StoreParts,
  options: BuilderOptions,
): Promise<Sandbox & { close?(): void }> {
  const { stateDir } = store;
  const { fastSync = false, limits = {}, docker = {} } = options;
  if (!images) {
    const { runtime = "auto", tryRuntimeLater: later } = options;
    return await chooseRuntime(runtime, { stateDir, fastSync, limits }, { later });
  }
  const pids = mostPids();
  const bound = pids === undefined ? {} : { pids };
  const { cpus = limits.cpus, memory = limits.memory, network, isolation } = docker;
  return new DockerSandbox({
    ...images,
    stateDir,
    fastSync,
    network,
    isolation,
    limits: { ...bound, ...limits, ...(cpus && { cpus }), ...(memory && { memory }) },
  });
}
