/*
 * Clones by reflinks, for xfs and any other file system that has them: a layer takes the space of
 * what it changed, but each of its files is made anew.
 */

import { rename } from "node:fs/promises";
import { run } from "../../system/index.js";
import { type CloneEngine, CloningStore } from "./cloning-store.js";
import { needReflinks } from "./file-system.js";
import type { StoreDriver } from "./kind.js";
import { plainDirectories } from "./plain-directories.js";

const reflinkEngine: CloneEngine = {
  ...plainDirectories,
  check: needReflinks,
  clone: async (source, target) => {
    await run(["cp", "-aT", "--reflink=always", "--", source, target]);
  },
  commit: (path, target) => rename(path, target),
};

export const driver: StoreDriver = {
  open: async (path) => ({ store: await CloningStore.open(path, reflinkEngine) }),
  inspect: async (path) => ({ store: CloningStore.inspect(path, reflinkEngine) }),
};
