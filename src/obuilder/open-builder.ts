/*
 * A builder from its options: the parts chosen, opened and put together.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Builder } from "./builder.js";
import { FETCHER_NAMES, type FetcherName, type RsyncMode, type RuntimeChoice } from "./choices.js";
import { LayerDatabase } from "./database.js";
import { createFetcher } from "./fetchers/choose-fetcher.js";
import { chooseRuntime } from "./sandboxes/choose-runtime.js";
import type { Limits } from "./sandboxes/oci-config.js";
import { openStore, parseStoreSpec } from "./stores/open-store.js";

export interface BuilderOptions {
  /** `overlayfs:/path`, `rsync:/path`, `btrfs:/path`, `xfs:/path`, `zfs:pool` or `docker:/path`. */
  readonly store: string;
  /** For rsync stores, and required there. */
  readonly rsyncMode?: RsyncMode | undefined;
  /** Directory of OCI layouts to take base images from (`local-fetcher.ts`). */
  readonly imageDir?: string | undefined;
  /** Where base images come from, the preferred source first. */
  readonly fetch?: readonly FetcherName[] | undefined;
  readonly runtime?: RuntimeChoice | undefined;
  /** Whether steps wait for the disk when they ask to (fsync and the like). */
  readonly fastSync?: boolean | undefined;
  /** For each step. */
  readonly limits?: Limits | undefined;
  /** Age in ms at which a base image's tag is looked up again; undefined: never. */
  readonly baseRefresh?: number | undefined;
}

/** Opens the store and gets everything ready to build. Throws `StoreError`. */
export async function openBuilder(options: BuilderOptions): Promise<Builder> {
  const { store, close } = await openStore(parseStoreSpec(options.store), options);
  try {
    const { stateDir } = store;
    mkdirSync(join(stateDir, "db"), { recursive: true });
    const database = new LayerDatabase(join(stateDir, "db", "db.sqlite"));
    try {
      database.reconcile(await store.list(), new Date());
      const sandbox = await chooseRuntime(options.runtime ?? "auto", {
        stateDir,
        fastSync: options.fastSync ?? false,
        limits: options.limits ?? {},
      });
      const fetcher = createFetcher({
        order: options.fetch ?? FETCHER_NAMES,
        imageDir: options.imageDir,
        tmp: join(stateDir, "private"),
      });
      const onClose = async () => {
        sandbox.close();
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
