/*
 * Clones by rsync: slow, and every layer takes the space of its whole root (or, with hard links, of
 * what it changed); works on any file system.
 *
 * - `copy`: a layer is a copy of its base.
 * - `hardlink`: when it is complete, files that equal the base's, by a checksum of their content,
 *   become links to them.
 * - `hardlink_unsafe`: the same without a checksum: files of equal size and time, to the
 *   nanosecond, are taken to be equal.
 */

import { mkdir, rename } from "node:fs/promises";
import { run } from "../../system/index.js";
import type { RsyncMode } from "../choices.js";
import { type CloneEngine, CloningStore } from "./cloning-store.js";
import { discard } from "./files.js";
import type { StoreDriver } from "./kind.js";
import { plainDirectories } from "./plain-directories.js";

// Everything that belongs to a file: links among the files, ACLs and extended attributes
// (capabilities) too. Holes stay holes. Times are equal only to the nanosecond: within a second, a
// step can write a file anew.
const RSYNC = ["rsync", "-aHAXSq", "--modify-window=-1"];

export function rsyncEngine(mode: RsyncMode): CloneEngine {
  return {
    ...plainDirectories,
    check: async () => {},
    clone: async (source, target) => {
      await mkdir(target);
      await run([...RSYNC, "--", `${source}/`, target]);
    },
    commit: async (path, target, base) => {
      if (mode === "copy" || base === undefined) return await rename(path, target);
      const linked = `${path}-linked`;
      const checksum = mode === "hardlink" ? ["--checksum"] : [];
      try {
        await mkdir(linked);
        await run([...RSYNC, ...checksum, `--link-dest=${base}`, "--", `${path}/`, linked]);
        await rename(linked, target);
      } catch (error) {
        await discard(linked, `${path}/..`);
        throw error;
      }
      await discard(path, `${path}/..`);
    },
  };
}

export const driver: StoreDriver = {
  takesRsyncMode: true,
  open: async (path, mode) => ({ store: await CloningStore.open(path, rsyncEngine(mode!)) }),
  inspect: async (path) => ({ store: CloningStore.inspect(path, rsyncEngine("copy")) }),
};
