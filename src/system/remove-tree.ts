import { lstat } from "node:fs/promises";
import { run } from "./process.js";

/**
 * Removes files and whole trees, if they are there, without following links. Another process does
 * it: a tree of a hundred thousand files would keep the few threads of this one, which wait for the
 * disk for all that goes on beside. Throws `ProgramError`.
 */
export async function removeTree(...paths: readonly string[]): Promise<void> {
  const found = await Promise.all(paths.map(mayBeThere));
  const there = paths.filter((_, index) => found[index]);
  if (there.length > 0) await run(["rm", "-rf", "--", ...there]);
}

/** False if there is certainly nothing, not even a link: no program is needed for that. */
async function mayBeThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
}
