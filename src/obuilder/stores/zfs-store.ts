/*
 * Layers as ZFS datasets, clones of each other.
 *
 *     POOL/state                       database, sandbox
 *     POOL/result/ID, …@snap           a layer; without the snapshot it is in the making, or junk
 *     POOL/cache/c-NAME, …@snap        a cache
 *     POOL/cache-tmp/N-c-NAME          a user's copy of one
 *
 * A layer is made in its final place, as ZFS cannot rename a dataset that has an open file (the
 * log); it is complete when it has its snapshot, and is read from there.
 */

import { chown, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ProgramError, run } from "../../system/index.js";
import type { LayerDir, LayerId, Lease, Store, StoredLayer } from "../contracts.js";
import { BuildError, StoreError } from "../errors.js";
import type { UnixUser } from "../spec/spec.js";
import { prefixedCacheName } from "./cache-name.js";
import { ensurePrivateDirs, isDirectory, makeRootfs, owner } from "./files.js";
import { type CacheBackend, GenerationCaches } from "./generation-caches.js";
import type { StoreDriver } from "./kind.js";

/** The snapshot that makes a layer or a cache complete. */
const SNAPSHOT = "snap";

/** How long ZFS takes to account for what was freed, in ms ("a few seconds", says its manual). */
const FREEING = 5000;

/** Runs a program to its end and resolves with its output. */
export type Runner = (argv: readonly string[]) => Promise<string>;

export interface ZfsOptions {
  readonly runner?: Runner;
  /** Where a dataset is mounted that ZFS mounts at `/POOL/DATASET`; tests have no ZFS. */
  readonly mountRoot?: string;
}

/** The commands, on datasets by their full names. */
class Zfs {
  readonly run: Runner;

  constructor(runner: Runner) {
    this.run = runner;
  }

  async exists(dataset: string): Promise<boolean> {
    try {
      return (await this.run(["zfs", "list", "-p", "-H", dataset])) !== "";
    } catch (error) {
      if (error instanceof ProgramError && error.status === 1) return false;
      throw error;
    }
  }

  /** Throws `StoreError` if there is none of that name. */
  async needPool(pool: string): Promise<void> {
    try {
      await this.run(["zfs", "list", "-p", "-H", pool]);
    } catch (error) {
      if (!(error instanceof ProgramError && error.status === 1)) throw error;
      throw new StoreError(
        `There is no ZFS pool "${pool}" (${error.stderr}); make one (zpool create ${pool} DEVICE), import it (zpool import ${pool}), or use another kind of store, such as overlayfs:/path`,
      );
    }
  }

  create = (dataset: string) => this.run(["zfs", "create", "--", dataset]);
  promote = (dataset: string) => this.run(["zfs", "promote", dataset]);
  rename = (from: string, to: string) => this.run(["zfs", "rename", "--", from, to]);
  clone = (snapshot: string, dataset: string) =>
    this.run(["zfs", "clone", "--", snapshot, dataset]);
  snapshot = (snapshot: string) => this.run(["zfs", "snapshot", "-r", "--", snapshot]);

  /**
   * `flags`: `-r` with snapshots, `-R` with clones, too, `-d` when nothing uses it any more, `-f`
   * unmounting it.
   */
  destroy = (dataset: string, ...flags: string[]) =>
    this.run(["zfs", "destroy", ...flags, "--", dataset]);

  async mount(dataset: string): Promise<void> {
    const state = await this.run(["zfs", "get", "-pH", "-o", "value", "mounted", dataset]);
    if (state.trim() !== "yes") await this.run(["zfs", "mount", dataset]);
  }
}

export class ZfsStore implements Store {
  readonly root: string;
  readonly stateDir: string;
  readonly #pool: string;
  readonly #parentDir: string;
  readonly #zfs: Zfs;
  readonly #caches: GenerationCaches;
  /** Layers known to be complete and mounted; asking ZFS takes a while. */
  readonly #ready = new Set<LayerId>();

  private constructor(path: string, zfs: Zfs, parentDir: string) {
    this.#pool = basename(path);
    this.#parentDir = parentDir;
    this.#zfs = zfs;
    this.root = this.#pool;
    this.stateDir = this.#path("state");
    this.#caches = new GenerationCaches(this.#backend());
  }

  /**
   * A store that is there, to be looked at only. `path` is a pool's name, with the directory it is
   * mounted in, if that is not `/`.
   */
  static inspect(path: string, { runner = run, mountRoot }: ZfsOptions = {}): ZfsStore {
    const parentDir = mountRoot ?? (path.includes("/") ? dirname(path) : "/");
    return new ZfsStore(path, new Zfs(runner), parentDir);
  }

  /**
   * Makes what a new store needs. Its directory for state is there afterwards. Throws `StoreError`
   * if there is no such pool.
   */
  async prepare(): Promise<void> {
    await this.#zfs.needPool(this.#pool);
    for (const group of ["state", "result", "cache"]) await this.#ensure(this.#dataset(group));
    if (!(await isDirectory(this.stateDir))) {
      throw new StoreError(
        `ZFS has mounted "${this.#dataset("state")}" elsewhere than at "${this.stateDir}"; use zfs:/DIR/${this.#pool} if the pool is mounted at /DIR/${this.#pool}`,
      );
    }
    await ensurePrivateDirs([this.#path("result"), this.#path("cache")]);
  }

  /** Removes what a killed process left in the making. */
  async purge(): Promise<void> {
    const copies = this.#dataset("cache-tmp");
    if (await this.#zfs.exists(copies)) await this.#zfs.destroy(copies, "-R", "-f");
    await this.#zfs.create(copies);
    await ensurePrivateDirs([this.#path("cache-tmp")]);
  }

  async build(
    id: LayerId,
    base: LayerId | undefined,
    fill: (layer: LayerDir) => Promise<void>,
  ): Promise<void> {
    const dataset = this.#dataset(`result/${id}`);
    const path = this.#path(`result/${id}`);
    if (await this.#zfs.exists(dataset)) await this.#zfs.destroy(dataset, "-r", "-f");
    try {
      if (base === undefined) {
        await this.#zfs.create(dataset);
        await makeRootfs(path);
      } else {
        await this.#zfs.clone(this.#dataset(`result/${base}@${SNAPSHOT}`), dataset);
        await this.#zfs.mount(dataset);
        await rm(join(path, "log"), { force: true });
      }
      await fill({ id, path });
      await this.#zfs.snapshot(`${dataset}@${SNAPSHOT}`);
      this.#ready.add(id);
    } catch (error) {
      await this.#zfs.destroy(dataset, "-r", "-f").catch(() => {}); // the next build of it tries again
      throw error;
    }
  }

  async result(id: LayerId): Promise<string | undefined> {
    const snapshotDir = join(this.#path(`result/${id}`), ".zfs", "snapshot", SNAPSHOT);
    if (this.#ready.has(id)) return snapshotDir;
    const dataset = this.#dataset(`result/${id}`);
    if (!(await this.#zfs.exists(`${dataset}@${SNAPSHOT}`))) return undefined;
    await this.#zfs.mount(dataset);
    this.#ready.add(id);
    return snapshotDir;
  }

  async logFile(id: LayerId): Promise<string> {
    return join((await this.result(id)) ?? this.#path(`result/${id}`), "log");
  }

  async rootfs(id: LayerId): Promise<Lease> {
    const path = await this.result(id);
    if (path === undefined) throw new BuildError(`Layer ${id} is gone; build again`);
    return { path: join(path, "rootfs"), release: async () => {} };
  }

  async failedRoot({ path }: LayerDir): Promise<Lease> {
    return { path: join(path, "rootfs"), release: async () => {} };
  }

  /** Clones that are left were made by a process that was killed before it could record them. */
  async delete(id: LayerId): Promise<void> {
    this.#ready.delete(id);
    const dataset = this.#dataset(`result/${id}`);
    if (await this.#zfs.exists(dataset)) await this.#zfs.destroy(dataset, "-R", "-f");
  }

  async completeDeletes(): Promise<void> {
    await delay(FREEING);
  }

  cache(name: string, user: UnixUser): Promise<Lease> {
    return this.#caches.take(name, user);
  }

  deleteCache(name: string): Promise<void> {
    return this.#caches.delete(name);
  }

  async list(): Promise<StoredLayer[]> {
    const group = this.#dataset("result");
    const snapshots = await this.#lines("list", "-H", "-r", "-t", "snapshot", "-o", "name", group);
    const complete = new Set(snapshots);
    const datasets = await this.#lines("list", "-H", "-r", "-d", "1", "-o", "name,origin", group);
    return datasets.flatMap((line): StoredLayer[] => {
      const [name = "", origin = "-"] = line.split("\t");
      if (!complete.has(`${name}@${SNAPSHOT}`)) return [];
      const id = basename(name);
      return [origin === "-" ? { id } : { id, parent: basename(origin.split("@")[0]!) }];
    });
  }

  async sizes(ids: readonly LayerId[]): Promise<number[]> {
    const group = this.#dataset("result");
    const lines = await this.#lines("list", "-Hp", "-r", "-d", "1", "-o", "name,used", group);
    const sizes = new Map(lines.map((line) => line.split("\t") as [string, string]));
    return ids.map((id) => Number(sizes.get(this.#dataset(`result/${id}`)) ?? 0));
  }

  async freePercent(): Promise<number> {
    const used = await this.#zfs.run(["zpool", "list", "-Hp", "-o", "capacity", this.#pool]);
    return used.trim() === "" ? 0 : 100 - Number.parseFloat(used);
  }

  async close(): Promise<void> {}

  /**
   * A cache is its snapshot. While its lock is held, that exists, or nothing of the cache does;
   * there may be copies, clones of this or of older snapshots, which are marked to be destroyed
   * when their last clone is.
   */
  #backend(): CacheBackend {
    const zfs = this.#zfs;
    const dataset = (name: string) => this.#dataset(`cache/${prefixedCacheName(name)}`);
    const copyName = (name: string, serial: number | string) =>
      `cache-tmp/${serial}-${prefixedCacheName(name)}`;
    return {
      copy: async (name, serial, user) => {
        const cache = dataset(name);
        const copy = copyName(name, serial);
        await this.#ensure(cache);
        if (!(await zfs.exists(`${cache}@${SNAPSHOT}`))) {
          await chown(this.#path(`cache/${prefixedCacheName(name)}`), ...owner(user));
          await zfs.snapshot(`${cache}@${SNAPSHOT}`);
        }
        await zfs.clone(`${cache}@${SNAPSHOT}`, this.#dataset(copy));
        await chown(this.#path(copy), ...owner(user));
        return this.#path(copy);
      },
      replace: async (name, path, generation) => {
        const cache = dataset(name);
        const copy = this.#dataset(`cache-tmp/${basename(path)}`);
        const old = this.#dataset(copyName(name, `old${generation}`));
        const oldSnapshot = `${copy}@old-${generation}`;
        // If we are killed after that, the next process begins with an empty cache.
        await zfs.rename(cache, old);
        // Now the copy owns the cache's snapshots, and all other copies are clones of it.
        await zfs.promote(copy);
        await zfs.destroy(old, "-f");
        await zfs.rename(`${copy}@${SNAPSHOT}`, oldSnapshot);
        await zfs.destroy(oldSnapshot, "-d");
        await zfs.snapshot(`${copy}@${SNAPSHOT}`);
        await zfs.rename(copy, cache);
      },
      drop: async (path) => {
        await zfs.destroy(this.#dataset(`cache-tmp/${basename(path)}`), "-f");
      },
      remove: async (name) => {
        if (await zfs.exists(dataset(name))) await zfs.destroy(dataset(name), "-r", "-f");
      },
      removableInUse: false, // the copies are clones
    };
  }

  async #ensure(dataset: string): Promise<void> {
    if (!(await this.#zfs.exists(dataset))) await this.#zfs.create(dataset);
  }

  async #lines(...args: readonly string[]): Promise<string[]> {
    return (await this.#zfs.run(["zfs", ...args])).split("\n").filter((line) => line !== "");
  }

  #dataset(name: string): string {
    return `${this.#pool}/${name}`;
  }

  #path(name: string): string {
    return join(this.#parentDir, this.#pool, name);
  }
}

export const driver: StoreDriver = {
  directory: (pool) => dirname(ZfsStore.inspect(pool).stateDir),
  prepare: (pool) => ZfsStore.inspect(pool).prepare(),
  open: async (pool) => {
    const store = ZfsStore.inspect(pool);
    await store.purge();
    return { store };
  },
  inspect: async (pool) => ({ store: ZfsStore.inspect(pool) }),
};
