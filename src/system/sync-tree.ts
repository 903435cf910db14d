/**
 * Has files and directories on disk, before they are told of by another name.
 */
import { open } from "node:fs/promises";
import { run } from "./process.js";
import { syncDirectory } from "./sync-directory.js";

/** From so many on their whole file system is synced: each by itself takes the disk some ms. */
const MANY = 32;

/**
 * Resolves when all that is at `paths` (files and directories, no links) is on disk, and the names
 * in `directory`, in which they are. What cannot be opened has its file system synced; where that
 * cannot be done either, it is left to the kernel.
 */
export async function syncTree(
  paths: readonly (string | Buffer)[],
  directory: string,
): Promise<void> {
  if (paths.length <= MANY && (await syncEach(paths))) {
    await syncDirectory(directory);
    return;
  }
  await run(["sync", "-f", directory]).catch(() => {});
}

/** False if one cannot be opened. */
async function syncEach(paths: readonly (string | Buffer)[]): Promise<boolean> {
  for (const path of paths) {
    const file = await open(path, "r").catch(() => undefined);
    if (!file) return false;
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
  return true;
}
