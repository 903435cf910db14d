/*
 * Stores by their names on the command line: `overlayfs:/path`, `zfs:pool`, …
 */

import { existsSync } from "node:fs";
import { readdir, rmdir } from "node:fs/promises";
import { dirname, isAbsolute, join, normalize, resolve } from "node:path";
import { DirectoryError, makeDirectory } from "../../system/index.js";
import { RSYNC_MODES, type RsyncMode } from "../choices.js";
import type { Store } from "../contracts.js";
import { MissingStore, StoreError } from "../errors.js";
import { reapSteps } from "../sandboxes/oci-sandbox.js";
import { btrfsEngine, checkKernelForBtrfs } from "./btrfs-engine.js";
import { CloningStore } from "./cloning-store.js";
import { DockerStore } from "./docker-store.js";
import { discard } from "./files.js";
import { OverlayfsStore } from "./overlayfs-store.js";
import { reflinkEngine } from "./reflink-engine.js";
import { rsyncEngine } from "./rsync-engine.js";
import { lockStore } from "./store-lock.js";
import { ZfsStore } from "./zfs-store.js";

export type StoreKind = "overlayfs" | "rsync" | "btrfs" | "xfs" | "zfs" | "docker";

export interface StoreSpec {
  readonly kind: StoreKind;
  /** Absolute; of `zfs`, the pool's name with an optional directory before it. */
  readonly path: string;
}

const KINDS = "overlayfs:/path, rsync:/path, btrfs:/path, xfs:/path, zfs:pool or docker:/path";

/** Reads a store's name. Throws `StoreError`. */
export function parseStoreSpec(text: string): StoreSpec {
  const [, kind = "", path = ""] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  switch (kind) {
    case "qemu":
    case "hcs":
      throw new StoreError(
        `Stores of the kind "${kind}:" are not built into this program; use ${KINDS}`,
      );
    case "zfs":
      if (path !== "" && !path.endsWith("/")) return { kind, path };
      break;
    case "overlayfs":
    case "rsync":
    case "btrfs":
    case "xfs":
      if (isAbsolute(path)) return { kind, path: normalize(path).replace(/(?<=.)\/+$/, "") };
      break;
    case "docker":
      // Of these only, the reference takes a relative path too.
      if (path !== "") return { kind, path: resolve(path) };
      break;
  }
  throw new StoreError(`"${text}" is not a store; it must be ${KINDS}`);
}

export interface OpenedStore {
  readonly store: Store;
  /** Closes the store and lets other processes have it. */
  close(): Promise<void>;
}

export interface OpenStoreOptions {
  /** Must be given for an rsync store, and for no other. */
  readonly rsyncMode?: RsyncMode | undefined;
  /** Whether one that is not there is missed (`MissingStore`) rather than made. */
  readonly existing?: boolean | undefined;
}

/**
 * Opens a store, making it if need be, for this process alone. What a killed process left behind, running steps first,
 * is removed. Throws `StoreError`; what was made by then is removed.
 */
export async function openStore(
  { kind, path }: StoreSpec,
  { rsyncMode, existing = false }: OpenStoreOptions = {},
): Promise<OpenedStore> {
  if (kind === "rsync" && rsyncMode === undefined) {
    throw new StoreError(`An rsync store needs --rsync-mode, one of ${RSYNC_MODES.join(", ")}`);
  }
  if (kind !== "rsync" && rsyncMode !== undefined) {
    throw new StoreError(`--rsync-mode is for rsync stores; this one is ${kind}:${path}`);
  }
  if (process.getuid?.() !== 0) {
    throw new StoreError("Layers belong to many users: run this as root");
  }
  if (existing && !isThere({ kind, path })) throw new MissingStore(`${kind}:${path}`);
  const { stateDir, made } = await makeStateDir({ kind, path });
  const unlock = await lockStore(stateDir);
  try {
    await reapSteps(stateDir);
    const store = await openKind(kind, path, rsyncMode);
    const close = async () => {
      await store.close();
      unlock();
    };
    return { store, close };
  } catch (error) {
    await unmake(path, made).finally(unlock);
    throw error;
  }
}

/** Whether there is anything of a store. */
function isThere({ kind, path }: StoreSpec): boolean {
  const root = kind === "zfs" ? dirname(ZfsStore.inspect(path).stateDir) : path;
  return ["state", "result"].some((name) => existsSync(join(root, name)));
}

/**
 * Removes what was made of a store that could not be opened; `made` are the directories down to the one for state. To be
 * called while the lock is held, which is in that: it goes last, and all at once, and whoever waits for it makes a new one.
 * Others may have put something into the directories above meanwhile, so that only empty ones are removed.
 */
async function unmake(path: string, made: readonly string[]): Promise<void> {
  const stateDir = join(path, "state");
  // With a database, another process has used the store before we had the lock.
  if (!made.includes(stateDir) || existsSync(join(stateDir, "db"))) return;
  const above = made.filter((dir) => dir !== stateDir).reverse();
  if (above.includes(path)) {
    for (const name of await readdir(path)) await removeEmpty(join(path, name));
  }
  await discard(stateDir, path);
  for (const dir of above) await removeEmpty(dir);
}

/** Removes a directory if it can be removed: one that stays does no harm. */
async function removeEmpty(dir: string): Promise<void> {
  await rmdir(dir).catch(() => {});
}

/** A store to be looked at only, whether or not another process uses it. Throws `StoreError` if it is not there. */
export async function inspectStore({ kind, path }: StoreSpec): Promise<Store> {
  switch (kind) {
    case "overlayfs":
      return await OverlayfsStore.inspect(path);
    case "rsync":
      return CloningStore.inspect(path, rsyncEngine("copy"));
    case "xfs":
      return CloningStore.inspect(path, reflinkEngine);
    case "btrfs":
      return CloningStore.inspect(path, btrfsEngine);
    case "zfs":
      return ZfsStore.inspect(path);
    case "docker":
      return await DockerStore.inspect(path);
  }
}

/**
 * Makes the directory for state, in which the lock is, before anything else is touched. `made`: the directories that were
 * not there, but for those of ZFS, which stay.
 */
async function makeStateDir({
  kind,
  path,
}: StoreSpec): Promise<{ stateDir: string; made: readonly string[] }> {
  if (kind === "zfs") {
    const store = ZfsStore.inspect(path);
    await store.prepare();
    return { stateDir: store.stateDir, made: [] };
  }
  const stateDir = join(path, "state");
  try {
    return { stateDir, made: makeDirectory(stateDir, `for the state of ${kind}:${path}`) };
  } catch (error) {
    if (!(error instanceof DirectoryError)) throw error;
    throw new StoreError(error.message, { cause: error });
  }
}

async function openKind(
  kind: StoreKind,
  path: string,
  rsyncMode: RsyncMode | undefined,
): Promise<Store> {
  switch (kind) {
    case "overlayfs":
      return await OverlayfsStore.open(path);
    case "rsync":
      return await CloningStore.open(path, rsyncEngine(rsyncMode!));
    case "xfs":
      return await CloningStore.open(path, reflinkEngine);
    case "btrfs":
      checkKernelForBtrfs();
      return await CloningStore.open(path, btrfsEngine);
    case "zfs": {
      const store = ZfsStore.inspect(path);
      await store.purge();
      return store;
    }
    case "docker":
      return await DockerStore.open(path);
  }
}
