/*
 * Root file systems of a Docker engine's images, to be read from on this machine.
 *
 * A container of the image would not do: the engine puts files of its own into every one. With the
 * engine's usual storage driver, overlay2, the image's directories are on the disk and are mounted
 * as the engine would. From others the image is saved, converted and unpacked, which takes its
 * time.
 */

import { createWriteStream } from "node:fs";
import { mkdir, readFile, realpath, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { DockerEngine, ImageInfo } from "../../docker/index.js";
import { mountOverlay, removeTree, run, unmount } from "../../system/index.js";
import type { Lease } from "../contracts.js";
import { StoreError } from "../errors.js";
import { readIndex, unpackRoot } from "../image/oci-layout.js";

export class DockerViews {
  readonly #engine: DockerEngine;
  readonly #dir: string;
  #next = 0;

  /** `dir`: where to mount and unpack; it is there. */
  constructor(engine: DockerEngine, dir: string) {
    this.#engine = engine;
    this.#dir = dir;
  }

  /** Holds the image's root. The image must stay as long. */
  async open(image: ImageInfo): Promise<Lease> {
    const layers = await overlayDirs(image);
    if (layers === undefined) return await this.#unpack(image);
    const [top, ...others] = layers.names;
    if (others.length === 0) {
      return { path: await realpath(join(layers.dir, top!)), release: async () => {} };
    }
    const target = join(this.#dir, String(this.#next++));
    await mkdir(target);
    const options = `ro,lowerdir=${layers.names.join(":")}`;
    await mountOverlay({ cwd: layers.dir, options, target });
    const release = async () => {
      await unmount(target);
      await rmdir(target);
    };
    return { path: target, release };
  }

  async #unpack(image: ImageInfo): Promise<Lease> {
    const dir = join(this.#dir, String(this.#next++));
    const [archive, layout, rootfs] = ["archive", "layout", "rootfs"].map((name) =>
      join(dir, name),
    );
    await mkdir(rootfs!, { recursive: true });
    const release = () => removeTree(dir);
    try {
      await pipeline(await this.#engine.saveImage(image.Id), createWriteStream(archive!));
      const convert = ["skopeo", "--insecure-policy", "copy", "--quiet"];
      await run([...convert, `docker-archive:${archive}`, `oci:${layout}:image`]);
      const found = (await readIndex(layout!))?.manifests[0];
      if (!found) throw new StoreError(`skopeo has left no image in ${layout}`);
      const signal = new AbortController().signal;
      await unpackRoot(layout!, found, rootfs!, { tmp: dir, signal });
      return { path: rootfs!, release };
    } catch (error) {
      await release();
      throw error;
    }
  }
}

/**
 * The image's directories, the top one first, by short names relative to the engine's `overlay2`:
 * their full names would soon be more than mount(2) takes. Undefined if the engine keeps images
 * otherwise, or elsewhere.
 */
async function overlayDirs({
  GraphDriver: driver,
}: ImageInfo): Promise<{ dir: string; names: string[] } | undefined> {
  // What is in there depends on the driver; newer engines may say nothing.
  const data = driver?.Data as { readonly UpperDir?: string } | null | undefined;
  const upper = driver?.Name === "overlay2" ? data?.UpperDir : undefined;
  if (upper === undefined || basename(upper) !== "diff") return undefined;
  const layer = dirname(upper);
  const link = await readIfThere(join(layer, "link"));
  if (link === undefined) return undefined;
  const lower = await readIfThere(join(layer, "lower"));
  const below = lower === undefined ? [] : lower.trim().split(":");
  return { dir: dirname(layer), names: [join("l", link.trim()), ...below] };
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}
