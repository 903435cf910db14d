/*
 * Opening stores: names read, locks taken, leftovers of killed processes removed. What is different
 * from kind to kind, the kind's driver knows (`kind.ts`).
 */

import { existsSync } from "node:fs";
import { readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { DirectoryError, makeDirectory } from "../../system/index.js";
import { RSYNC_MODES, type RsyncMode } from "../choices.js";
import { MissingStore, StoreError } from "../errors.js";
import { reapSteps } from "../sandboxes/oci-sandbox.js";
import { discard } from "./files.js";
import { examplesOf, type StoreDriver, type StoreKind, type StoreParts } from "./kind.js";
import { STORE_KINDS } from "./kinds.js";
import { lockStore } from "./store-lock.js";

export interface StoreSpec {
  readonly kind: StoreKind;
  /**
   * As the kind has it: an absolute path or, of `zfs`, the pool's name with an optional directory
   * before it.
   */
  readonly path: string;
}

/** Kinds that the reference has on other systems. */
const ELSEWHERE = ["qemu", "hcs"];

/** Reads a store's name, of one of the kinds. Throws `StoreError`. */
export function parseStoreSpec(text: string, kinds: readonly StoreKind[] = STORE_KINDS): StoreSpec {
  const [, name = "", place = ""] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  const kind = kinds.find((each) => each.name === name);
  const path = kind?.place.parse(place);
  if (kind && path !== undefined) return { kind, path };
  if (!kind && ELSEWHERE.includes(name)) {
    throw new StoreError(
      `Stores of the kind "${name}:" are not built into this program; use ${examplesOf(kinds)}`,
    );
  }
  throw new StoreError(`"${text}" is not a store; it must be ${examplesOf(kinds)}`);
}

export interface OpenedStore extends StoreParts {
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
 * Opens a store, making it if need be, for this process alone. What a killed process left behind,
 * running steps first, is removed. Throws `StoreError`; what was made by then is removed.
 */
export async function openStore(
  { kind, path }: StoreSpec,
  { rsyncMode, existing = false }: OpenStoreOptions = {},
): Promise<OpenedStore> {
  const { driver } = await kind.load();
  const name = `${kind.name}:${path}`;
  if (driver.takesRsyncMode && rsyncMode === undefined) {
    throw new StoreError(
      `An ${kind.name} store needs --rsync-mode, one of ${RSYNC_MODES.join(", ")}`,
    );
  }
  if (!driver.takesRsyncMode && rsyncMode !== undefined) {
    throw new StoreError(`--rsync-mode is for rsync stores; this one is ${name}`);
  }
  if (process.getuid?.() !== 0) {
    throw new StoreError("Layers belong to many users: run this as root");
  }
  const directory = driver.directory?.(path) ?? path;
  if (existing && !isThere(directory)) throw new MissingStore(name);
  const stateDir = join(directory, "state");
  const made = await makeStateDir(name, { driver, path, stateDir });
  const unlock = await lockStore(stateDir);
  try {
    await reapSteps(stateDir);
    const parts = await driver.open(path, rsyncMode);
    const close = async () => {
      await parts.store.close();
      unlock();
    };
    return { ...parts, close };
  } catch (error) {
    await unmake(directory, made).finally(unlock);
    throw error;
  }
}

/**
 * A store to be looked at only, whether or not another process uses it. Throws `StoreError` if it
 * is not there.
 */
export async function inspectStore({ kind, path }: StoreSpec): Promise<StoreParts> {
  const { driver } = await kind.load();
  return await driver.inspect(path);
}

/** Whether there is anything of a store. */
function isThere(directory: string): boolean {
  return ["state", "result"].some((name) => existsSync(join(directory, name)));
}

interface ToMake {
  readonly driver: StoreDriver;
  readonly path: string;
  readonly stateDir: string;
}

/**
 * Makes the directory for state, in which the lock is, before anything else is touched. Resolves
 * with the directories that were not there, but for those that a driver has made, which stay.
 */
async function makeStateDir(
  name: string,
  { driver, path, stateDir }: ToMake,
): Promise<readonly string[]> {
  if (driver.prepare) {
    await driver.prepare(path);
    return [];
  }
  try {
    return makeDirectory(stateDir, `for the state of ${name}`);
  } catch (error) {
    if (!(error instanceof DirectoryError)) throw error;
    throw new StoreError(error.message, { cause: error });
  }
}

/**
 * Removes what was made of a store that could not be opened; `made` are the directories down to the
 * one for state. To be called while the lock is held, which is in that: it goes last, and all at
 * once, and whoever waits for it makes a new one. Others may have put something into the
 * directories above meanwhile, so that only empty ones are removed.
 */
async function unmake(directory: string, made: readonly string[]): Promise<void> {
  const stateDir = join(directory, "state");
  // With a database, another process has used the store before we had the lock.
  if (!made.includes(stateDir) || existsSync(join(stateDir, "db"))) return;
  const above = made.filter((dir) => dir !== stateDir).reverse();
  if (above.includes(directory)) {
    for (const name of await readdir(directory)) await removeEmpty(join(directory, name));
  }
  await discard(stateDir, directory);
  for (const dir of above) await removeEmpty(dir);
}

/** Removes a directory if it can be removed: one that stays does no harm. */
async function removeEmpty(dir: string): Promise<void> {
  await rmdir(dir).catch(() => {});
}
