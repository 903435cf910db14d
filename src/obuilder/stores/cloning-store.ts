/*
 * Layers as whole directories: each begins as a clone of its base. How directories are cloned is up
 * to the engine (rsync, reflinks, btrfs snapshots); all else is the same for all of them, the
 * places included:
 *
 *     result/ID/, result-tmp/ID/   layers, and those in the making: rootfs/, log, env
 *     cache/NAME, cache-tmp/N-NAME caches, and their users' copies
 *     state/                       database, sandbox
 *
 * The `-tmp` directories are emptied when the store is opened.
 */

import { chown, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { quoted } from "../../text/index.js";
import type { LayerDir, LayerId, Lease, Store, StoredLayer } from "../contracts.js";
import { BuildError } from "../errors.js";
import type { UnixUser } from "../spec/spec.js";
import { diskUsage, ensurePrivateDirs, isDirectory, layerIds, makeRootfs, owner } from "./files.js";
import { type CacheBackend, GenerationCaches } from "./generation-caches.js";
import { LONGEST_PATH } from "./long-paths.js";
import { Unsynced } from "./unsynced-journal.js";

/** Directories that can be cloned. Paths are absolute. */
export interface CloneEngine {
  /** Whether what `commit` has made survives a power cut. */
  readonly durable: boolean;
  /** A cache's file name. */
  cacheName(name: string): string;
  /**
   * Throws `StoreError` if directories in `root` cannot be cloned like that. Files may be made in
   * `scratch` to find out.
   */
  check(root: string, scratch: string): Promise<void>;
  /** Makes an empty directory. */
  create(path: string): Promise<void>;
  /** Makes `target`, a writable clone. */
  clone(source: string, target: string): Promise<void>;
  /**
   * A path in a directory, relative to it, that is too long for `clone`; none where the length does
   * not matter.
   */
  pathTooLong?(dir: string): Promise<string | undefined>;
  /**
   * Makes `path` appear as `target`, complete and at once, and removes `path`. `base` is what it
   * was cloned from.
   */
  commit(path: string, target: string, base: string | undefined): Promise<void>;
  /** Removes a directory for good; until then it may be left in `trash`, not in its place. */
  discard(path: string, trash: string): Promise<void>;
  completeDeletes(root: string): Promise<void>;
  freePercent(root: string): Promise<number>;
}

export class CloningStore implements Store {
  readonly root: string;
  readonly stateDir: string;
  readonly #engine: CloneEngine;
  readonly #unsynced: Unsynced | undefined;
  readonly #caches: GenerationCaches;

  /** A store that is there, to be looked at only: another process may be using it. */
  static inspect(root: string, engine: CloneEngine): CloningStore {
    return new CloningStore(root, engine);
  }

  private constructor(root: string, engine: CloneEngine, unsynced?: Unsynced) {
    this.root = root;
    this.stateDir = join(root, "state");
    this.#engine = engine;
    this.#unsynced = unsynced;
    this.#caches = new GenerationCaches(cacheBackend(root, engine, unsynced));
  }

  /**
   * Opens or makes a store in the directory `root`, which no other process uses, and which has a
   * directory for state. Throws `StoreError`, before anything is made, if there can be no such
   * store there.
   */
  static async open(root: string, engine: CloneEngine): Promise<CloningStore> {
    await engine.check(root, join(root, "state"));
    const dirs = ["state", "cache", "cache-tmp", "result", "result-tmp"];
    await ensurePrivateDirs(dirs.map((name) => join(root, name)));
    for (const trash of [join(root, "result-tmp"), join(root, "cache-tmp")]) {
      for (const name of await readdir(trash)) await engine.discard(join(trash, name), trash);
    }
    if (engine.durable) return new CloningStore(root, engine);
    return new CloningStore(root, engine, await Unsynced.open(root, join(root, "result-tmp")));
  }

  async build(
    id: LayerId,
    base: LayerId | undefined,
    fill: (layer: LayerDir) => Promise<void>,
  ): Promise<void> {
    const path = join(this.#tmp, id);
    const basePath = base && this.#result(base);
    try {
      if (basePath === undefined) {
        await this.#engine.create(path);
        await makeRootfs(path);
      } else {
        await this.#engine.clone(basePath, path);
        await rm(join(path, "log"), { force: true });
      }
      await fill({ id, path });
      const long = await this.#engine.pathTooLong?.(path);
      if (long !== undefined) throw unclonable(long);
      const commit = () => this.#engine.commit(path, this.#result(id), basePath);
      await (this.#unsynced ? this.#unsynced.layer(id, commit) : commit());
    } catch (error) {
      await this.#engine.discard(path, this.#tmp);
      throw error;
    }
  }

  async result(id: LayerId): Promise<string | undefined> {
    const path = this.#result(id);
    return (await isDirectory(path)) ? path : undefined;
  }

  async logFile(id: LayerId): Promise<string> {
    return join((await this.result(id)) ?? join(this.#tmp, id), "log");
  }

  async rootfs(id: LayerId): Promise<Lease> {
    return { path: join(this.#result(id), "rootfs"), release: async () => {} };
  }

  async failedRoot({ path }: LayerDir): Promise<Lease> {
    return { path: join(path, "rootfs"), release: async () => {} };
  }

  delete(id: LayerId): Promise<void> {
    return this.#engine.discard(this.#result(id), this.#tmp);
  }

  completeDeletes(): Promise<void> {
    return this.#engine.completeDeletes(this.root);
  }

  cache(name: string, user: UnixUser): Promise<Lease> {
    return this.#caches.take(name, user);
  }

  deleteCache(name: string): Promise<void> {
    return this.#caches.delete(name);
  }

  async list(): Promise<StoredLayer[]> {
    return (await layerIds(join(this.root, "result"))).map((id) => ({ id }));
  }

  sizes(ids: readonly LayerId[]): Promise<number[]> {
    return diskUsage(ids.map((id) => this.#result(id)));
  }

  freePercent(): Promise<number> {
    return this.#engine.freePercent(this.root);
  }

  async close(): Promise<void> {
    await this.#unsynced?.close();
  }

  get #tmp(): string {
    return join(this.root, "result-tmp");
  }

  #result(id: LayerId): string {
    return join(this.root, "result", id);
  }
}

function unclonable(path: string): BuildError {
  const shown = `${path.slice(path.indexOf("/"), 60)}…`;
  return new BuildError(
    `The step has left a path of ${Buffer.byteLength(path)} bytes, ${quoted(shown)}, which this kind of store cannot copy into the next layer (with the store's own path, ${LONGEST_PATH} bytes are the system's limit); remove it in the same step, or use an overlayfs or btrfs store`,
  );
}

/** Caches in `cache/`, their copies in `cache-tmp/`. */
function cacheBackend(
  root: string,
  engine: CloneEngine,
  unsynced: Unsynced | undefined,
): CacheBackend {
  const pathOf = (name: string) => join(root, "cache", engine.cacheName(name));
  const trash = join(root, "cache-tmp");
  return {
    copy: async (name, serial, user) => {
      const cache = pathOf(name);
      const copy = join(trash, `${serial}-${engine.cacheName(name)}`);
      if (!(await isDirectory(cache))) await engine.create(cache);
      await engine.clone(cache, copy);
      await chown(copy, ...owner(user));
      return copy;
    },
    replace: async (name, copy) => {
      // Nobody could be given a copy of that.
      if ((await engine.pathTooLong?.(copy)) !== undefined)
        return await engine.discard(copy, trash);
      const commit = async () => {
        await engine.discard(pathOf(name), trash);
        await engine.commit(copy, pathOf(name), undefined);
      };
      try {
        await (unsynced ? unsynced.cache(engine.cacheName(name), commit) : commit());
      } catch (error) {
        await engine.discard(copy, trash);
        throw error;
      }
    },
    drop: (copy) => engine.discard(copy, trash),
    remove: (name) => engine.discard(pathOf(name), trash),
    removableInUse: true,
  };
}
