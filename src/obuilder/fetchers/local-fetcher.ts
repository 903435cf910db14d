/*
 * Images from a directory of OCI layouts: neither engine nor registry nor network. An image
 * `NAME:TAG` is looked for in
 *
 *     DIR/NAME       a layout with an image that is called TAG
 *     DIR/NAME:TAG   a layout with one image, or with one that is called TAG
 *     DIR            a layout with an image that is called NAME:TAG
 *
 * where NAME may have slashes, `docker.io/library/NAME` is also looked for as `NAME`, TAG is
 * `latest` if absent, and "is called" means the annotation `org.opencontainers.image.ref.name`. Of
 * `NAME@DIGEST`, any image with that digest will do.
 */

import { join } from "node:path";
import { type ImageName, repositoryAliases } from "../../docker/index.js";
import type { FetchedImage, Fetcher, FetchIo, LayerDir } from "../contracts.js";
import { BuildError } from "../errors.js";
import type { ImageFacts } from "../image/image-facts.js";
import { imageNameOf } from "../image/image-name.js";
import {
  type Descriptor,
  imageFacts,
  imageVariables,
  REF_NAME,
  readIndex,
  unpackImage,
} from "../image/oci-layout.js";
import type { Env } from "../spec/spec.js";

interface Found {
  readonly layout: string;
  readonly image: Descriptor;
}

export class LocalFetcher implements Fetcher {
  readonly #dir: string;
  readonly #tmp: string;

  /** Both absolute; `tmp` is for small files. */
  constructor(dir: string, tmp: string) {
    this.#dir = dir;
    this.#tmp = tmp;
  }

  async canFetch(image: string): Promise<boolean> {
    return (await this.#find(imageNameOf(image))) !== undefined;
  }

  async fetch(image: string, layer: LayerDir, { signal }: FetchIo): Promise<FetchedImage> {
    const found = await this.#find(imageNameOf(image));
    if (!found) throw new BuildError(`Image ${image} is not in ${this.#dir}`);
    const rootfs = join(layer.path, "rootfs");
    const env = await unpackImage(found.layout, found.image, rootfs, { tmp: this.#tmp, signal });
    return { env, digest: found.image.digest };
  }

  async knownEnv(image: string): Promise<Env | undefined> {
    const found = await this.#find(imageNameOf(image));
    return found && (await imageVariables(found.layout, found.image));
  }

  /** What is known of the image; undefined if it is not there. */
  async facts(image: string): Promise<ImageFacts | undefined> {
    const found = await this.#find(imageNameOf(image));
    return found && (await imageFacts(found.layout, found.image));
  }

  async resolve(image: string): Promise<string | undefined> {
    return (await this.#find(imageNameOf(image)))?.image.digest;
  }

  async #find(name: ImageName): Promise<Found | undefined> {
    const tag = name.tag ?? "latest";
    for (const repository of repositoryAliases(name)) {
      for (const { path, refs } of [
        { path: join(this.#dir, repository), refs: [tag] },
        {
          path: join(this.#dir, `${repository}:${tag}`),
          refs: [tag, `${repository}:${tag}`, undefined],
        },
        { path: this.#dir, refs: [`${repository}:${tag}`] },
      ]) {
        const index = await readIndex(path);
        const image = index && choose(index.manifests, name.digest, refs);
        if (image) return { layout: path, image };
      }
    }
    return undefined;
  }
}

/**
 * The image with that digest or, if none is given, the first one that is called by one of the
 * names; undefined: the only one.
 */
function choose(
  images: readonly Descriptor[],
  digest: string | undefined,
  refs: readonly (string | undefined)[],
): Descriptor | undefined {
  if (digest !== undefined) return images.find((image) => image.digest === digest);
  for (const ref of refs) {
    const found =
      ref === undefined
        ? images.length === 1
          ? images[0]
          : undefined
        : images.find((image) => image.annotations?.[REF_NAME] === ref);
    if (found) return found;
  }
  return undefined;
}
