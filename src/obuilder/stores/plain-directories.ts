/*
 * What the kinds of stores have in common whose layers are ordinary directories to their file
 * system.
 */

import { mkdir } from "node:fs/promises";
import { plainCacheName } from "./cache-name.js";
import type { CloneEngine } from "./cloning-store.js";
import { discard, freePercent } from "./files.js";
import { pathTooLong } from "./long-paths.js";

type Common =
  | "durable"
  | "cacheName"
  | "create"
  | "pathTooLong"
  | "discard"
  | "completeDeletes"
  | "freePercent";

/** All of an engine but how it clones, and how a clone becomes a layer. */
export const plainDirectories: Pick<CloneEngine, Common> = {
  durable: false,
  cacheName: plainCacheName,
  create: async (path) => {
    await mkdir(path);
  },
  pathTooLong,
  discard,
  completeDeletes: async () => {},
  freePercent,
};
