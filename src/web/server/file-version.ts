import { statSync } from "node:fs";

/** Another text whenever the file at the path may have other content; "" if there is none. */
export function fileVersion(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : "";
}

/** How often files are looked at that somebody replaces now and then, in ms. */
export const FILE_LOOK_MS = 10_000;
