/*
 * The builder: builds specs (`walk.ts`, `build-steps.ts`) and looks after the layers of a store.
 */

import type { HashMemory } from "../../system/index.js";
import type { BuildLog, Fetcher, LayerId, Sandbox, Store } from "../contracts.js";
import { BuildCancelled, BuildError, isMachineFailure } from "../errors.js";
import { BaseImages } from "../image/base-images.js";
import type { Spec } from "../spec/spec.js";
import { BuildSteps } from "./build-steps.js";
import type { LayerDatabase } from "./database.js";
import { type CacheStats, type FailedRootReader, Layers, type PruneOptions } from "./layers.js";
import type { Secrets } from "./run-input.js";
import { walkSpec } from "./walk.js";

export interface BuilderParts {
  readonly store: Store;
  readonly sandbox: Sandbox;
  readonly fetcher: Fetcher;
  readonly database: LayerDatabase;
  /** Age in ms at which a base image's tag is looked up again; undefined: never. */
  readonly baseRefresh?: number | undefined;
  /** Called when the builder has been closed, to close its parts. */
  readonly onClose?: () => Promise<void>;
}

export interface BuildRequest {
  readonly spec: Spec;
  /**
   * Absolute path of the directory that `(copy (from context) …)` reads. It must stay until the
   * build has ended.
   */
  readonly sourceDir: string;
  readonly log: BuildLog;
  readonly secrets?: Secrets;
  /** Of the files of `sourceDir`, which a builder of many directories does without. */
  readonly memory?: HashMemory | undefined;
  /** Cancels the build; steps that others have asked for as well go on. */
  readonly signal?: AbortSignal;
  /**
   * Is shown the root of the last layer, which stays until the promise is settled. If it rejects,
   * so does the build.
   */
  readonly onResult?: ((root: string) => Promise<void>) | undefined;
  /** Is shown what a step that fails has left in its root. Never rejects. */
  readonly onFailedRoot?: FailedRootReader | undefined;
}

export class Builder {
  readonly #store: Store;
  readonly #sandbox: Sandbox;
  readonly #database: LayerDatabase;
  readonly #onClose: () => Promise<void>;
  readonly #layers: Layers;
  readonly #bases: BaseImages;

  constructor({ store, sandbox, fetcher, database, baseRefresh, onClose }: BuilderParts) {
    this.#onClose = onClose ?? (async () => {});
    this.#store = store;
    this.#database = database;
    this.#sandbox = sandbox;
    this.#layers = new Layers(store, database);
    this.#bases = new BaseImages({
      store,
      layers: this.#layers,
      fetcher,
      refreshAfter: baseRefresh,
    });
  }

  /**
   * Resolves with the id of the last layer. Rejects with `BuildError`, whose message is for the
   * user, or with `BuildCancelled` as soon as the signal is aborted.
   */
  async build(request: BuildRequest): Promise<LayerId> {
    const pins = new Pins(this.#layers);
    try {
      const id = await this.#build(request, pins);
      if (request.onResult) await this.#show(id, request.onResult);
      return id;
    } finally {
      pins.release();
    }
  }

  async #show(id: LayerId, read: (root: string) => Promise<void>): Promise<void> {
    const view = await this.#store.rootfs(id);
    try {
      await read(view.path);
    } finally {
      await view.release();
    }
  }

  async #build(
    { spec, sourceDir, log, secrets = [], memory, signal, onFailedRoot }: BuildRequest,
    pins: Pins,
  ): Promise<LayerId> {
    try {
      const shared = {
        store: this.#store,
        sandbox: this.#sandbox,
        layers: this.#layers,
        bases: this.#bases,
      };
      const job = { sourceDir, log, secrets, memory, signal, onFailedRoot, pin: pins.add };
      return await walkSpec(spec, new BuildSteps(shared, job));
    } catch (error) {
      throw signal?.aborted ? new BuildCancelled() : asBuildError(error);
    }
  }

  /** Finds or imports a base image, so that a build does not have to. Rejects like `build`. */
  async importImage(image: string, signal?: AbortSignal): Promise<void> {
    const pins = new Pins(this.#layers);
    try {
      await this.#bases.get(image, { log: SILENT, signal, pin: pins.add });
    } catch (error) {
      throw signal?.aborted ? new BuildCancelled() : asBuildError(error);
    } finally {
      pins.release();
    }
  }

  /**
   * Removes a layer and, first, all that were made from it; `onDelete` is told of each before it
   * goes. A layer that is not known is looked for on the disk anyway. Resolves with whether it was
   * known. Rejects with `BuildError` if a running build uses one of them.
   */
  delete(id: LayerId, onDelete?: (id: LayerId) => void): Promise<boolean> {
    return this.#layers.delete(id, onDelete);
  }

  /**
   * Removes layers that have been unused for longest, but none that a running build needs; resolves
   * with their number.
   */
  prune(options: PruneOptions): Promise<number> {
    return this.#layers.prune(options);
  }

  /**
   * Removes a cache. Rejects with `CacheBusy` if it is in use and the store cannot take it away.
   */
  deleteCache(name: string): Promise<void> {
    return this.#store.deleteCache(name);
  }

  /** Free space of the store in per cent. */
  freePercent(): Promise<number> {
    return this.#store.freePercent();
  }

  /** A directory on the disk of the store. */
  get stateDir(): string {
    return this.#store.stateDir;
  }

  /** Number of layers. */
  count(): number {
    return this.#database.count();
  }

  /** How many layers were found in the store and how many had to be made, since it was opened. */
  get stats(): CacheStats {
    return this.#layers.stats;
  }

  /** Cancels what is running, and waits until it has ended. */
  async close(): Promise<void> {
    await this.#layers.close();
    await this.#onClose();
  }
}

/** The layers that one build keeps from being pruned. */
class Pins {
  readonly #layers: Layers;
  readonly #ids: LayerId[] = [];

  constructor(layers: Layers) {
    this.#layers = layers;
  }

  readonly add = (id: LayerId): void => {
    this.#layers.pin(id);
    this.#ids.push(id);
  };

  release(): void {
    for (const id of this.#ids.splice(0)) this.#layers.unpin(id);
  }
}

const SILENT: BuildLog = { heading() {}, note() {}, output() {} };

/** What is wrong with the machine is the user's concern as well; anything else is a bug. */
function asBuildError(error: unknown): unknown {
  if (error instanceof BuildError || error instanceof BuildCancelled) return error;
  const system = error instanceof Error && "code" in error && "syscall" in error;
  if (system || isMachineFailure(error)) return new BuildError((error as Error).message);
  return error;
}
