/*
 * What is known here of base images, without fetching any: from a store that has them, a directory
 * of OCI layouts, or the Docker engine. A store knows an image's variables and files; what its
 * configuration says otherwise is not kept there.
 */

import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { baseKey } from "../build/layer-ids.js";
import type { Store } from "../contracts.js";
import type { ImageSettings } from "../dockerfile/image-settings.js";
import { engineFacts } from "../fetchers/docker-fetcher.js";
import { LocalFetcher } from "../fetchers/local-fetcher.js";
import { readImageEnv } from "../image/image-env.js";
import type { ImageFacts } from "../image/image-facts.js";
import type { Env } from "../spec/spec.js";
import { withInspected } from "./inspected.js";

export interface KnownImage {
  readonly env: Env | undefined;
  readonly settings: ImageSettings | undefined;
  readonly accounts: ImageFacts["accounts"];
}

export interface ImageSources {
  readonly imageDir?: string | undefined;
  readonly store?: string | undefined;
}

/** Those of the images that something is known of. */
export async function knownImages(
  images: readonly string[],
  { imageDir, store }: ImageSources,
): Promise<Map<string, KnownImage>> {
  const known = new Map<string, KnownImage>();
  const layouts =
    imageDir === undefined ? undefined : new LocalFetcher(resolve(imageDir), tmpdir());
  for (const image of images) {
    const facts =
      (await layouts?.facts(image)) ?? (await engineFacts(image).catch(() => undefined));
    if (facts) known.set(image, { env: facts.env, settings: facts, accounts: facts.accounts });
  }
  if (store === undefined || images.length === 0) return known;
  await withInspected(store, async (opened) => {
    for (const image of images) {
      const stored = await storedImage(opened.store, image);
      if (stored) known.set(image, { settings: known.get(image)?.settings, ...stored });
    }
  });
  return known;
}

async function storedImage(
  store: Store,
  image: string,
): Promise<Omit<KnownImage, "settings"> | undefined> {
  const { id } = baseKey(image);
  const env = await readImageEnv(store, id);
  if (!env) return undefined;
  const rootfs = await store.rootfs(id);
  try {
    const read = (name: string) => readFile(join(rootfs.path, "etc", name), "utf8").catch(() => "");
    return { env, accounts: { passwd: await read("passwd"), group: await read("group") } };
  } finally {
    await rootfs.release();
  }
}
