/*
 * Layers as differences, on overlayfs (any file system below it that can carry one: ext4, xfs,
 * tmpfs, …).
 *
 *     result/ID/       what the layer adds: rootfs/, log, and the links
 *                      parent → the layer it was made from (absolute), env → the base image's variables
 *     in-progress/ID/  the same while it is being made; merged/ID and work/ID go with it
 *     cache/NAME/      a cache (`overlay-caches.ts`)
 *     lower/N          a short name for a layer in this process's mounts
 *     state/           database, sandbox
 *
 * A layer's root is the overlay of all its ancestors, which a mount names in one option string of
 * at most a page: with relative short names that is enough for as many layers as the kernel takes.
 */

import { readlinkSync } from "node:fs";
import { mkdir, mkdtemp, readlink, rename, rm, rmdir, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { OverlayMount } from "../../system/index.js";
import { mountOverlay, removeTree, unmount, unmountBelow, VOLATILE } from "../../system/index.js";
import type { LayerDir, LayerId, Lease, Store, StoredLayer } from "../contracts.js";
import { BuildError } from "../errors.js";
import type { UnixUser } from "../spec/spec.js";
import {
  discard,
  diskUsage,
  emptyDir,
  ensurePrivateDirs,
  freePercent,
  isDirectory,
  layerIds,
  makeRootfs,
} from "./files.js";
import type { StoreDriver } from "./kind.js";
import { OverlayCaches } from "./overlay-caches.js";
import { Unsynced } from "./unsynced-journal.js";

/** How many directories the kernel takes below the writable one. */
const MAX_LAYERS = 500;

/** Directories for what is in the making. They are emptied when the store is opened. */
const TRANSIENT = [
  "in-progress",
  "merged",
  "work",
  "lower",
  "cache-result",
  "cache-work",
  "cache-merged",
];

export class OverlayfsStore implements Store {
  readonly root: string;
  readonly stateDir: string;
  readonly #caches: OverlayCaches;
  /**
   * Where `lower` and `merged` are: the root, or a place of one's own in a store that others use.
   */
  readonly #scratch: string;
  readonly #onClose: () => Promise<void>;
  /** None where a store is only looked at. */
  readonly #unsynced: Unsynced | undefined;
  /** The layers whose parents were looked up already; null for base images. */
  readonly #parents = new Map<LayerId, LayerId | null>();
  readonly #shortNames = new Map<LayerId, Promise<string>>();
  #nextName = 0;
  #nextView = 0;

  private constructor(
    root: string,
    scratch: string,
    onClose: () => Promise<void>,
    unsynced?: Unsynced,
  ) {
    this.root = root;
    this.stateDir = join(root, "state");
    this.#caches = new OverlayCaches(root, unsynced);
    this.#scratch = scratch;
    this.#onClose = onClose;
    this.#unsynced = unsynced;
  }

  /**
   * Opens or makes a store in the directory `root`, which no other process uses. Unmounts what one
   * left behind.
   */
  static async open(root: string): Promise<OverlayfsStore> {
    await ensurePrivateDirs(
      ["state", "cache", "result", ...TRANSIENT].map((name) => join(root, name)),
    );
    await unmountBelow(root);
    for (const name of TRANSIENT) await emptyDir(join(root, name));
    const unsynced = await Unsynced.open(root, join(root, "in-progress"));
    const store = new OverlayfsStore(root, root, () => unsynced.close(), unsynced);
    await store.#dropOrphans();
    return store;
  }

  /** A store that is there, to be looked at only: another process may be using it. */
  static async inspect(root: string): Promise<OverlayfsStore> {
    const scratch = await mkdtemp(join(tmpdir(), "obuilder-overlayfs-"));
    await ensurePrivateDirs([join(scratch, "lower"), join(scratch, "merged")]);
    return new OverlayfsStore(root, scratch, () => removeTree(scratch));
  }

  async build(
    id: LayerId,
    base: LayerId | undefined,
    fill: (layer: LayerDir) => Promise<void>,
  ): Promise<void> {
    const upper = join(this.root, "in-progress", id);
    const merged = join(this.root, "merged", id);
    const work = join(this.root, "work", id);
    try {
      await mkdir(upper);
      if (base === undefined) {
        await makeRootfs(upper);
        await fill({ id, path: upper });
      } else {
        const parent = join(this.root, "result", base);
        await symlink(parent, join(upper, "parent"));
        await symlink(join(parent, "env"), join(upper, "env"));
        await Promise.all([mkdir(merged), mkdir(work)]);
        const lower = await this.#lowerDirs(base);
        const options = `lowerdir=${lower},upperdir=../in-progress/${id},workdir=../work/${id},${VOLATILE}`;
        await fill({ id, path: merged, overlay: this.#overlay(options, merged) });
      }
      await this.#unsynced!.layer(id, () => rename(upper, this.#result(id)));
    } catch (error) {
      await removeTree(upper, merged, work);
      throw error;
    }
    if (base !== undefined) {
      await Promise.all([rmdir(merged), rm(work, { recursive: true, force: true })]);
    }
  }

  async result(id: LayerId): Promise<string | undefined> {
    const path = this.#result(id);
    return (await isDirectory(path)) ? path : undefined;
  }

  async logFile(id: LayerId): Promise<string> {
    return join((await this.result(id)) ?? join(this.root, "in-progress", id), "log");
  }

  async rootfs(id: LayerId): Promise<Lease> {
    if ((await this.#parent(id)) === null) {
      return { path: join(this.#result(id), "rootfs"), release: async () => {} };
    }
    return await this.#view(await this.#lowerDirs(id));
  }

  async failedRoot({ id, path }: LayerDir): Promise<Lease> {
    const upper = join(this.root, "in-progress", id);
    if (path === upper) return { path: join(path, "rootfs"), release: async () => {} };
    const base = basename(await readlink(join(upper, "parent")));
    return await this.#view(`../in-progress/${id}:${await this.#lowerDirs(base)}`);
  }

  /** Mounts what these directories come to, to be read. */
  async #view(lower: string): Promise<Lease> {
    const view = join(this.#scratch, "merged", `view-${this.#nextView++}`);
    await mkdir(view);
    await mountOverlay(this.#overlay(`ro,lowerdir=${lower}`, view));
    return {
      path: join(view, "rootfs"),
      release: async () => {
        await unmount(view);
        await rmdir(view);
      },
    };
  }

  async delete(id: LayerId): Promise<void> {
    this.#parents.delete(id);
    await discard(this.#result(id), join(this.root, "in-progress"));
    const name = await this.#shortNames.get(id);
    this.#shortNames.delete(id);
    if (name !== undefined) await rm(join(this.#scratch, "lower", name));
  }

  async completeDeletes(): Promise<void> {}

  cache(name: string, user: UnixUser): Promise<Lease> {
    return this.#caches.take(name, user);
  }

  deleteCache(name: string): Promise<void> {
    return this.#caches.delete(name);
  }

  async list(): Promise<StoredLayer[]> {
    const ids = await layerIds(join(this.root, "result"));
    return await Promise.all(
      ids.map(async (id) => {
        const parent = await this.#parent(id);
        return parent === null ? { id } : { id, parent };
      }),
    );
  }

  sizes(ids: readonly LayerId[]): Promise<number[]> {
    return diskUsage(ids.map((id) => this.#result(id)));
  }

  freePercent(): Promise<number> {
    return freePercent(this.root);
  }

  close(): Promise<void> {
    return this.#onClose();
  }

  #result(id: LayerId): string {
    return join(this.root, "result", id);
  }

  #overlay(options: string, target: string): OverlayMount {
    return { cwd: join(this.#scratch, "lower"), options, target };
  }

  /** The layer and its ancestors, as the `lowerdir` option has them: the nearest first. */
  async #lowerDirs(id: LayerId): Promise<string> {
    const names: string[] = [];
    for (let at: LayerId | null = id; at !== null; at = await this.#parent(at)) {
      names.push(await this.#shortName(at));
      if (names.length > MAX_LAYERS) {
        throw new BuildError(
          `Layer ${id} is based on more than ${MAX_LAYERS} others, which is all that overlayfs takes; put several commands into one run`,
        );
      }
    }
    return names.join(":");
  }

  /**
   * The layer's parent, null for a base image. Throws `BuildError` if the layer or its parent is
   * gone.
   */
  async #parent(id: LayerId): Promise<LayerId | null> {
    const known = this.#parents.get(id);
    if (known !== undefined) return known;
    const parent = this.#parentLink(id);
    if (!(await isDirectory(this.#result(parent ?? id)))) {
      throw new BuildError(`Layer ${parent ?? id} is gone, but was to be built upon; build again`);
    }
    this.#parents.set(id, parent);
    return parent;
  }

  #parentLink(id: LayerId): LayerId | null {
    try {
      // The link is absolute; a store that was moved keeps working with the last part alone.
      return basename(readlinkSync(join(this.#result(id), "parent")));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
  }

  /**
   * Removes layers that stand on others which somebody has removed, or a fault of the disk: they
   * are of no use. The parents of all others are known from then on.
   */
  async #dropOrphans(): Promise<void> {
    const parents = new Map<LayerId, LayerId | null>();
    for (const id of await layerIds(join(this.root, "result"))) {
      // A promise of each would take ten times as long, and a store has thousands.
      parents.set(id, this.#parentLink(id));
    }
    for (let before = -1; before !== parents.size; ) {
      before = parents.size;
      for (const [id, parent] of parents) {
        if (parent === null || parents.has(parent)) continue;
        await this.delete(id);
        parents.delete(id);
      }
    }
    for (const [id, parent] of parents) this.#parents.set(id, parent);
  }

  #shortName(id: LayerId): Promise<string> {
    let name = this.#shortNames.get(id);
    if (name === undefined) {
      const short = (this.#nextName++).toString(36);
      const path = join(this.#scratch, "lower", short);
      name = symlink(this.#result(id), path).then(() => short);
      this.#shortNames.set(id, name);
    }
    return name;
  }
}

export const driver: StoreDriver = {
  open: async (path) => ({ store: await OverlayfsStore.open(path) }),
  inspect: async (path) => ({ store: await OverlayfsStore.inspect(path) }),
};
