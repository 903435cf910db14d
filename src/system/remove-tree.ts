import { run } from "./process.js";

/**
 * Removes files and whole trees, if they are there, without following links. Another process does
 * it: a tree of a hundred thousand files would keep the few threads of this one, which wait for the
 * disk for all that goes on beside. Throws `ProgramError`.
 */
export async function removeTree(...paths: readonly string[]): Promise<void> {
  if (paths.length > 0) await run(["rm", "-rf", "--", ...paths]);
}
