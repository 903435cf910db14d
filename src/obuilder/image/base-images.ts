/*
 * Base images as layers. The layer's id is the hash of the image's name, so by default a name is
 * imported once and never looked up again. With a refresh interval, a tag is resolved to its digest
 * from time to time; if that has changed, the image is imported anew under the id of `NAME@DIGEST`,
 * as if the spec had said so, and serves from then on. Layers made from the old one stay as they
 * are until they are pruned.
 */

import { NamedMutex } from "../../async/index.js";
import { fromHeading } from "../build/headings.js";
import { baseKey } from "../build/layer-ids.js";
import type { Layers } from "../build/layers.js";
import type { BuildLog, Fetcher, LayerId, Store } from "../contracts.js";
import { BuildCancelled, BuildError, isMachineFailure } from "../errors.js";
import type { Env } from "../spec/spec.js";
import { readImageEnv, writeEnv } from "./image-env.js";
import { TagRecords } from "./tag-records.js";

export interface BaseImagesOptions {
  readonly store: Store;
  readonly layers: Layers;
  readonly fetcher: Fetcher;
  /** Age in ms at which what is known of a tag is looked up again; undefined: never. */
  readonly refreshAfter?: number | undefined;
}

/** One build's request for a base image. */
export interface BaseRequest {
  readonly log: BuildLog;
  readonly signal?: AbortSignal | undefined;
  /** Called with the layer's id before anything else is done with it. */
  readonly pin: (id: LayerId) => void;
}

export interface BaseImage {
  readonly id: LayerId;
  readonly env: Env;
}

export class BaseImages {
  readonly #options: BaseImagesOptions;
  readonly #tags: TagRecords;
  /** One lookup at a time for each image. */
  readonly #lookups = new NamedMutex();

  constructor(options: BaseImagesOptions) {
    this.#options = options;
    this.#tags = new TagRecords(options.store.stateDir);
  }

  /** Finds or imports an image. An import goes on when the asker has left. */
  async get(image: string, { log, signal, pin }: BaseRequest): Promise<BaseImage> {
    log.heading(fromHeading(image));
    const name = await this.#nameFor(image, log, signal);
    const { id } = baseKey(name);
    pin(id);
    await this.#options.layers.need(
      { id, log, uncancellable: true, ...(signal ? { signal } : {}) },
      async (layer, io) => {
        const { env, digest } = await this.#options.fetcher.fetch(name, layer, io);
        await writeEnv(layer.path, env);
        if (digest !== undefined) await this.#tags.put(image, { digest, name, checked: now() });
      },
    );
    const env = await readImageEnv(this.#options.store, id);
    if (!env) throw new BuildError(`Layer ${id} is gone; build again`);
    return { id, env };
  }

  async #nameFor(image: string, log: BuildLog, signal: AbortSignal | undefined): Promise<string> {
    const { refreshAfter } = this.#options;
    if (refreshAfter === undefined || image.includes("@")) return image;
    return await this.#lookups.hold(image, signal, async () => {
      const { id } = baseKey(image);
      const record = await this.#tags.get(image);
      if (!record && !(await this.#options.store.result(id))) return image;
      const name = record?.name ?? image;
      if (record && Date.now() - Date.parse(record.checked) < refreshAfter) return name;
      const digest = await this.#resolve(image, log, signal);
      if (digest === undefined) return name;
      if (digest === record?.digest) {
        await this.#tags.put(image, { digest, name, checked: now() });
        return name;
      }
      log.note(`Image ${image} is now ${digest}`);
      const newName = `${image}@${digest}`;
      await this.#tags.put(image, { digest, name: newName, checked: now() });
      return newName;
    });
  }

  /** A registry that does not answer is no reason to fail: what is in the store will do. */
  async #resolve(
    image: string,
    log: BuildLog,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    try {
      return await this.#options.fetcher.resolve(image, signal ?? new AbortController().signal);
    } catch (error) {
      if (signal?.aborted) throw new BuildCancelled();
      if (!(isMachineFailure(error) || error instanceof BuildError)) throw error;
      log.note(
        `Cannot look up image ${image}, going on with what is in the store: ${error.message}`,
      );
      return undefined;
    }
  }
}

function now(): string {
  return new Date().toISOString();
}
