/*
 * Several fetchers in an order of preference: an image comes from the first one that can be asked
 * for it.
 */

import type { DockerEngine } from "../../docker/index.js";
import type { FetcherName } from "../choices.js";
import type { FetchedImage, Fetcher, FetchIo, LayerDir } from "../contracts.js";
import { BuildError } from "../errors.js";
import type { Env } from "../spec/spec.js";
import { DockerFetcher } from "./docker-fetcher.js";
import { EngineFetcher } from "./engine-fetcher.js";
import { LocalFetcher } from "./local-fetcher.js";
import { SkopeoFetcher } from "./skopeo-fetcher.js";

export interface FetcherOptions {
  readonly order: readonly FetcherName[];
  /** Directory of OCI layouts; without it there is no local fetcher. */
  readonly imageDir?: string | undefined;
  /** Where images may be put for a while. */
  readonly tmp: string;
  /** Of a docker store: the engine that keeps the layers, and takes base images as they are. */
  readonly engine?: DockerEngine | undefined;
}

/** The fetchers by their names, in that order. */
export function createFetcher({ order, imageDir, tmp, engine }: FetcherOptions): Fetcher {
  const create: Record<FetcherName, () => Fetcher[]> = {
    local: () => (imageDir === undefined ? [] : [new LocalFetcher(imageDir, tmp)]),
    docker: () => [engine ? new EngineFetcher(engine) : new DockerFetcher()],
    skopeo: () => [new SkopeoFetcher(tmp)],
  };
  const fetchers = order.flatMap((name) => create[name]());
  return fetchers.length === 1
    ? fetchers[0]!
    : new FirstFetcher(fetchers, { order, imageDir, tmp });
}

class FirstFetcher implements Fetcher {
  readonly #fetchers: readonly Fetcher[];
  readonly #options: FetcherOptions;

  constructor(fetchers: readonly Fetcher[], options: FetcherOptions) {
    this.#fetchers = fetchers;
    this.#options = options;
  }

  async canFetch(image: string): Promise<boolean> {
    return (await this.#first(image)) !== undefined;
  }

  async fetch(image: string, layer: LayerDir, io: FetchIo): Promise<FetchedImage> {
    return await (await this.#existing(image)).fetch(image, layer, io);
  }

  async knownEnv(image: string): Promise<Env | undefined> {
    return await (await this.#first(image))?.knownEnv?.(image);
  }

  async resolve(image: string, signal: AbortSignal): Promise<string | undefined> {
    return await (await this.#existing(image)).resolve(image, signal);
  }

  async #first(image: string): Promise<Fetcher | undefined> {
    for (const fetcher of this.#fetchers) {
      if (await fetcher.canFetch(image)) return fetcher;
    }
    return undefined;
  }

  async #existing(image: string): Promise<Fetcher> {
    const fetcher = await this.#first(image);
    if (fetcher) return fetcher;
    const { order, imageDir } = this.#options;
    const reasons: Record<FetcherName, string> = {
      local:
        imageDir === undefined
          ? "no image directory is set (--obuilder-image-dir)"
          : `it is not in ${imageDir}`,
      docker: "no Docker engine answers",
      skopeo: "skopeo is not installed",
    };
    const tried = order.map((name) => reasons[name]);
    throw new BuildError(`Cannot fetch image ${image}: ${tried.join(", ")}`);
  }
}
