/*
 * Layers as images of a Docker engine, which must be on this machine.
 *
 *     logs/ID.log        a layer's log, also while it is being made
 *     layers/ID/         what else there is to know of it: env, a base image's variables
 *     in-progress/ID/    the same while it is being made, and a base image's rootfs
 *     views/N            roots that are being read from (`docker-views.ts`)
 *     empty/             what the reference takes for its layers' directory
 *     state/             database, sandbox
 *
 * What there is in the engine, `docker-names.ts` says. An image gets its layer's name when it is
 * complete. Others may remove it from the engine at any time, so whether a layer is there is asked
 * anew each time.
 */

import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DockerEngine, EngineError, type ImageInfo, type ListedImage } from "../../docker/index.js";
import { endingText, ProgramError, removeTree, start, unmountBelow } from "../../system/index.js";
import type { LayerDir, LayerId, Lease, Store, StoredLayer } from "../contracts.js";
import { BuildError } from "../errors.js";
import { readEnv, writeEnv } from "../image/image-env.js";
import { parseVariable } from "../image/variables.js";
import type { Env, UnixUser } from "../spec/spec.js";
import { dockerCacheBackend } from "./docker-caches.js";
import { DockerNames } from "./docker-names.js";
import { DockerViews } from "./docker-views.js";
import { emptyDir, ensurePrivateDirs, freePercent, isDirectory, makeRootfs } from "./files.js";
import { GenerationCaches } from "./generation-caches.js";
import type { StoreDriver, StoreParts } from "./kind.js";

interface Parts {
  readonly engine: DockerEngine;
  readonly names: DockerNames;
  readonly views: DockerViews;
  readonly onClose: () => Promise<void>;
}

export class DockerStore implements Store {
  readonly root: string;
  readonly stateDir: string;
  readonly engine: DockerEngine;
  readonly names: DockerNames;
  readonly #views: DockerViews;
  readonly #caches: GenerationCaches;
  readonly #onClose: () => Promise<void>;

  private constructor(root: string, { engine, names, views, onClose }: Parts) {
    this.root = root;
    this.stateDir = join(root, "state");
    this.engine = engine;
    this.names = names;
    this.#views = views;
    this.#caches = new GenerationCaches(dockerCacheBackend(engine, names));
    this.#onClose = onClose;
  }

  /** Opens or makes a store in the directory `root`, which no other process uses. */
  static async open(root: string): Promise<DockerStore> {
    const dirs = ["state", "logs", "layers", "in-progress", "views"];
    await ensurePrivateDirs(dirs.map((name) => join(root, name)));
    await mkdir(join(root, "empty"), { mode: 0, recursive: true });
    await unmountBelow(join(root, "views"));
    for (const name of ["in-progress", "views"]) await emptyDir(join(root, name));
    const engine = new DockerEngine();
    const names = new DockerNames(root);
    const views = new DockerViews(engine, join(root, "views"));
    const store = new DockerStore(root, { engine, names, views, onClose: async () => {} });
    await store.#purge();
    return store;
  }

  /** A store that is there, to be looked at only: another process may be using it. */
  static async inspect(root: string): Promise<DockerStore> {
    const scratch = await mkdtemp(join(tmpdir(), "obuilder-docker-"));
    const engine = new DockerEngine();
    const names = new DockerNames(root);
    const views = new DockerViews(engine, scratch);
    return new DockerStore(root, { engine, names, views, onClose: () => removeTree(scratch) });
  }

  async build(
    id: LayerId,
    base: LayerId | undefined,
    fill: (layer: LayerDir) => Promise<void>,
  ): Promise<void> {
    const path = join(this.root, "in-progress", id);
    const image = this.names.temporaryImage(id);
    try {
      await mkdir(path);
      if (base === undefined) {
        await makeRootfs(path);
        await fill({ id, path, image });
        if (!(await this.engine.image(image))) await this.#import(path, image);
        await removeTree(join(path, "rootfs"));
      } else {
        await this.#borrow(base, image);
        await fill({ id, path, image });
      }
      await removeTree(this.#dir(id));
      await rename(path, this.#dir(id));
      await this.engine.tag(image, this.names.image(id));
    } catch (error) {
      await removeTree(path, await this.logFile(id));
      throw error;
    } finally {
      await this.engine.removeImage(image);
    }
  }

  async result(id: LayerId): Promise<string | undefined> {
    const image = await this.engine.image(this.names.image(id));
    if (!image) return undefined;
    if (!(await isDirectory(this.#dir(id)))) await this.#adopt(id, image);
    return this.#dir(id);
  }

  async logFile(id: LayerId): Promise<string> {
    return join(this.root, "logs", `${id}.log`);
  }

  async rootfs(id: LayerId): Promise<Lease> {
    return await this.#views.open((await this.engine.image(this.names.image(id))) ?? gone(id));
  }

  async failedRoot(): Promise<undefined> {}

  async delete(id: LayerId): Promise<void> {
    await this.engine.removeImage(this.names.image(id));
    await removeTree(this.#dir(id), await this.logFile(id));
  }

  async completeDeletes(): Promise<void> {}

  cache(name: string, user: UnixUser): Promise<Lease> {
    return this.#caches.take(name, user);
  }

  deleteCache(name: string): Promise<void> {
    return this.#caches.delete(name);
  }

  async list(): Promise<StoredLayer[]> {
    const images = await this.#images();
    const byImage = new Map<string, LayerId[]>();
    for (const { id, image } of images)
      byImage.set(image.id, [...(byImage.get(image.id) ?? []), id]);
    return images.map(({ id, image }) => {
      const [parent, other] = byImage.get(image.parent) ?? [];
      // Base images that are the same have several names: which of them it was, the engine does not
      // know.
      return parent === undefined || other !== undefined ? { id } : { id, parent };
    });
  }

  async sizes(ids: readonly LayerId[]): Promise<number[]> {
    const images = await this.#images();
    const sizeOf = new Map(images.map(({ image }) => [image.id, image.size]));
    const own = new Map(
      images.map(({ id, image }) => [id, image.size - (sizeOf.get(image.parent) ?? 0)]),
    );
    return ids.map((id) => own.get(id) ?? 0);
  }

  /** Of the engine's disk. */
  async freePercent(): Promise<number> {
    return await freePercent(await this.engine.rootDir());
  }

  close(): Promise<void> {
    return this.#onClose();
  }

  /**
   * Removes what a killed process left in the making, and what is known of layers that are gone
   * from the engine.
   */
  async #purge(): Promise<void> {
    const { engine, names } = this;
    for (const name of await engine.containers(names.containers))
      await engine.removeContainer(name);
    for (const image of await engine.images(names.temporaryImages)) {
      for (const name of image.names) await engine.removeImage(name);
    }
    for (const name of await engine.volumes(names.temporaryCaches)) await engine.removeVolume(name);
    const there = new Set((await this.#images()).map(({ id }) => id));
    for (const name of await readdir(join(this.root, "logs"))) {
      if (!there.has(name.replace(/\.log$/, ""))) await rm(join(this.root, "logs", name));
    }
    for (const name of await readdir(join(this.root, "layers"))) {
      if (!there.has(name)) await removeTree(this.#dir(name));
    }
  }

  /** All layers with their images. */
  async #images(): Promise<{ id: LayerId; image: ListedImage }[]> {
    const images = await this.engine.images(this.names.images);
    return images.flatMap((image) =>
      image.names.flatMap((name) => {
        const id = this.names.layerOf(name);
        return id === undefined ? [] : [{ id, image }];
      }),
    );
  }

  /** Gives the layer's image another name, by which it stays for as long as the step needs it. */
  async #borrow(id: LayerId, name: string): Promise<void> {
    try {
      await this.engine.tag(this.names.image(id), name);
    } catch (error) {
      if (error instanceof EngineError && error.status === 404) gone(id);
      throw error;
    }
  }

  /** Makes an image of the root in a directory. */
  async #import(path: string, image: string): Promise<void> {
    const rootfs = join(path, "rootfs");
    const argv = [
      "tar",
      "--numeric-owner",
      "--xattrs",
      "--xattrs-include=*",
      "-C",
      rootfs,
      "-cf",
      "-",
      ".",
    ];
    const tar = start(argv, { stdio: ["ignore", "pipe", "ignore"] });
    try {
      await this.engine.importImage(
        tar.process.stdout!,
        image,
        envInstructions(await readEnv(path)),
      );
    } finally {
      tar.process.kill("SIGKILL"); // without effect if it has ended
    }
    const ending = await tar.ended;
    if (ending.status !== 0) {
      throw new ProgramError(endingText(argv, ending), ending.status, "");
    }
  }

  /**
   * Makes the directory of a layer that the reference has made, or of one of ours whose directory
   * is lost.
   */
  async #adopt(id: LayerId, image: ImageInfo): Promise<void> {
    const path = join(this.root, "in-progress", `adopted-${id}`);
    await mkdir(path, { recursive: true });
    // Names without a value are what our own steps did without.
    const variables = (image.Config.Env ?? []).filter((variable) => variable.includes("="));
    await writeEnv(path, variables.map(parseVariable));
    await rename(path, this.#dir(id));
  }

  #dir(id: LayerId): string {
    return join(this.root, "layers", id);
  }
}

export const driver: StoreDriver = {
  open: async (path) => partsOf(await DockerStore.open(path)),
  inspect: async (path) => partsOf(await DockerStore.inspect(path)),
};

function partsOf(store: DockerStore): StoreParts {
  const { engine, names } = store;
  return { store, docker: { engine, names } };
}

function gone(id: LayerId): never {
  throw new BuildError(`Layer ${id} is gone from the Docker engine; build again`);
}

/**
 * The variables in the image's configuration, for those who use it without us: what builds go by is
 * the file. Those that cannot be written on one line are left out.
 */
function envInstructions(env: Env): string[] {
  return env
    .filter(([key, value]) => /^\w+$/.test(key) && !/[\0-\x1f\x7f]/.test(value))
    .map(([key, value]) => `ENV ${key}="${value.replace(/["\\$]/g, "\\$&")}"`);
}
