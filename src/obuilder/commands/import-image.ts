/*
 * `obuilder import-image`: a base image from a root file system, for machines without a registry.
 */

import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { CommandFailed } from "../../console/index.js";
import { BuildError } from "../errors.js";
import { imageNameOf } from "../image/image-name.js";
import { importImage as importInto } from "../image/import-image.js";
import { print } from "./streams.js";

export interface ImportImageOptions {
  readonly imageDir: string;
  readonly env: readonly { readonly key: string; readonly value: string }[];
}

/**
 * Prints the image's name and digest. `source`: a directory, an archive, or `-` for one on standard
 * input.
 */
export async function importImage(
  image: string,
  source: string,
  { imageDir, env }: ImportImageOptions,
): Promise<void> {
  const dir = resolve(imageDir);
  const variables = env.map(({ key, value }) => `${key}=${value}`);
  try {
    const name = imageNameOf(image);
    if (name.digest !== undefined) throw new BuildError("An image gets its digest from what it is");
    const digest = await onDisk(source, dir, (path) =>
      importInto({ imageDir: dir, name, source: path, env: variables }),
    );
    await print(`Imported ${image}: ${digest}`);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    throw new CommandFailed(error.message);
  }
}

/** Calls `use` with the source as a file or directory. */
async function onDisk<T>(
  source: string,
  dir: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  if (source !== "-") return await use(resolve(source));
  const tmp = await mkdtemp(join(dir, ".input-"));
  try {
    await pipeline(process.stdin, createWriteStream(join(tmp, "archive")));
    return await use(join(tmp, "archive"));
  } finally {
    await rm(tmp, { recursive: true, force: true });
  }
}
