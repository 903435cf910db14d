/**
 * Where the programs of threads are. Each is a file of the build, whether its caller runs from a
 * bundle in there or from the sources beside it.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** @param name of the file in `scheduler/state`, without its ending. */
export function threadFile(name: string): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    const file = join(dir, `dist/scheduler/state/${name}.js`);
    if (existsSync(file)) return file;
    if (dir === dirname(dir)) {
      throw new Error(`dist/scheduler/state/${name}.js is missing: run \`npm run build\``);
    }
  }
}
