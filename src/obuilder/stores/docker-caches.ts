/*
 * Caches as volumes of a Docker engine. What is in a volume is a directory on this machine's disk,
 * so volumes are copied and replaced there; the engine has no command for either.
 */

import { chown, mkdir, rename } from "node:fs/promises";
import type { DockerEngine } from "../../docker/index.js";
import { run } from "../../system/index.js";
import { StoreError } from "../errors.js";
import type { DockerNames } from "./docker-names.js";
import { isDirectory, owner } from "./files.js";
import type { CacheBackend } from "./generation-caches.js";

/** Copies and caches are the names of their volumes. */
export function dockerCacheBackend(engine: DockerEngine, names: DockerNames): CacheBackend {
  return {
    copy: async (name, serial, user) => {
      const cache = names.cache(name);
      const copy = names.temporaryCache(serial, name);
      const source = await local(
        (await engine.volume(cache)) ?? (await engine.createVolume(cache)),
      );
      const target = await local(await engine.createVolume(copy));
      await run(["cp", "-aT", "--reflink=auto", "--", source, target]);
      await chown(target, ...owner(user));
      return copy;
    },
    replace: async (name, copy) => {
      const source = await engine.volume(copy);
      if (source === undefined) throw new StoreError(`Volume ${copy} is gone from the engine`);
      // If we are killed in between, the next user begins with an empty cache, never with a part of
      // one.
      await engine.removeVolume(names.cache(name));
      await rename(source, await engine.createVolume(names.cache(name)));
      await mkdir(source); // or the engine might not find what it is to remove
      await engine.removeVolume(copy);
    },
    drop: (copy) => engine.removeVolume(copy),
    remove: (name) => engine.removeVolume(names.cache(name)),
    removableInUse: true,
  };
}

/** Throws `StoreError` if the engine is on another machine. */
async function local(path: string): Promise<string> {
  if (await isDirectory(path)) return path;
  throw new StoreError(`The Docker engine must be on this machine: it has no ${path}`);
}
