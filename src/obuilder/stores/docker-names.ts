/*
 * What a docker store calls its images, containers and volumes, the same as the reference:
 *
 *     PREFIX-image-ID            a layer
 *     PREFIX-image-tmp-…         a layer in the making
 *     PREFIX-container-ID        the step that makes it
 *     PREFIX-cache-c-NAME        a cache
 *     PREFIX-cache-tmp-N-c-NAME  a user's copy of one
 *
 * where PREFIX is `obuilder-` and seven digits that stand for the store's directory: several stores
 * can share an engine.
 */

import { createHash, randomBytes } from "node:crypto";
import { realpathSync } from "node:fs";
import { toBytes } from "../../text/index.js";
import type { LayerId } from "../contracts.js";
import { prefixedCacheName } from "./cache-name.js";

export class DockerNames {
  readonly prefix: string;

  /** `root`: the store's directory, which must exist. */
  constructor(root: string) {
    this.prefix = `obuilder-${sha256(Buffer.from(realpathSync(root))).slice(0, 7)}`;
  }

  image(id: LayerId): string {
    return `${this.images}${id}`;
  }

  /** What all names of images begin with. */
  get images(): string {
    return `${this.prefix}-image-`;
  }

  /**
   * The layer that an image of this name (with or without a tag) is; undefined for other images.
   */
  layerOf(image: string): LayerId | undefined {
    if (!image.startsWith(this.images)) return undefined;
    return /^([0-9a-f]{64})(?::latest)?$/.exec(image.slice(this.images.length))?.[1];
  }

  /**
   * A new name each time: what an engine still does for a process that was killed must not get into
   * a layer.
   */
  temporaryImage(id: LayerId): string {
    return `${this.temporaryImages}${id}-${randomBytes(4).toString("hex")}`;
  }

  get temporaryImages(): string {
    return `${this.images}tmp-`;
  }

  container(id: LayerId): string {
    return `${this.containers}${id}`;
  }

  get containers(): string {
    return `${this.prefix}-container-`;
  }

  cache(name: string): string {
    return `${this.prefix}-cache-${volumePart(name)}`;
  }

  temporaryCache(serial: number, name: string): string {
    return `${this.temporaryCaches}${serial}-${volumePart(name)}`;
  }

  get temporaryCaches(): string {
    return `${this.prefix}-cache-tmp-`;
  }
}

/**
 * Longest name of a cache that is part of its volume's name, which is a file's name on the engine's
 * disk.
 */
const MAX_NAME = 128;

/**
 * Names that an engine does not take for volumes are replaced by a hash. (The reference fails for
 * them.)
 */
function volumePart(name: string): string {
  const part = prefixedCacheName(name);
  return part.includes("%") || part.length > MAX_NAME ? `h-${sha256(toBytes(name))}` : part;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
