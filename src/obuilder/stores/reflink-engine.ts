/*
 * Clones by reflinks, for xfs and any other file system that has them: a layer takes the space of what it changed, but
 * each of its files is made anew.
 */

import { mkdir, rename } from "node:fs/promises";
import { run } from "../process.js";
import { plainCacheName } from "./cache-name.js";
import type { CloneEngine } from "./cloning-store.js";
import { needReflinks } from "./file-system.js";
import { discard, freePercent } from "./files.js";

export const reflinkEngine: CloneEngine = {
  durable: false,
  cacheName: plainCacheName,
  check: needReflinks,
  create: async (path) => {
    await mkdir(path);
  },
  clone: async (source, target) => {
    await run(["cp", "-aT", "--reflink=always", "--", source, target]);
  },
  commit: (path, target) => rename(path, target),
  discard,
  completeDeletes: async () => {},
  freePercent,
};
