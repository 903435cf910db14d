/*
 * Base images for a docker store: they are in the engine already, or it pulls them. Nothing is
 * unpacked; the image is given the layer's name.
 */

import type { DockerEngine } from "../../docker/index.js";
import { runLogged } from "../../system/index.js";
import type { FetchedImage, Fetcher, FetchIo, LayerDir } from "../contracts.js";
import { BuildError, StoreError } from "../errors.js";
import { parseVariable } from "../image/variables.js";
import type { Env } from "../spec/spec.js";
import { DockerFetcher, imageDigest, localName } from "./docker-fetcher.js";

export class EngineFetcher implements Fetcher {
  readonly #engine: DockerEngine;
  readonly #docker = new DockerFetcher();

  constructor(engine: DockerEngine) {
    this.#engine = engine;
  }

  canFetch(): Promise<boolean> {
    return this.#docker.canFetch();
  }

  async fetch(image: string, layer: LayerDir, { log, signal }: FetchIo): Promise<FetchedImage> {
    if (layer.image === undefined) throw new StoreError("This is for docker stores only");
    const name = await localName(image);
    // The command knows where credentials for registries are.
    if (!(await this.#engine.image(name)))
      await runLogged(["docker", "pull", "--", name], { log, signal });
    const info = await this.#engine.image(name);
    if (!info) throw new BuildError(`Image ${name} was pulled, but the engine does not have it`);
    await this.#engine.tag(info.Id, layer.image);
    const env = (info.Config.Env ?? []).map(parseVariable);
    const digest = await imageDigest(name);
    return digest === undefined ? { env } : { env, digest };
  }

  knownEnv(image: string): Promise<Env | undefined> {
    return this.#docker.knownEnv(image);
  }

  resolve(image: string, signal: AbortSignal): Promise<string | undefined> {
    return this.#docker.resolve(image, signal);
  }
}
