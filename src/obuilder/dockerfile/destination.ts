/*
 * Where a file goes that COPY names no directory for: to a file of the destination's name, or into a directory of that
 * name. Docker looks; here it is known, or guessed and said.
 */

import { basename } from "node:path/posix";
import type { KnownPaths } from "./known-paths.js";

export interface FileCopy {
  /** One source. */
  readonly src: string;
  /** Whether that is a file for sure; if not, it may be a directory as well. */
  readonly isKnown: boolean;
  /** Without a slash at its end. */
  readonly dst: string;
}

/** Directories that next to all images have. */
const USUAL = new Set(
  ["bin", "etc", "home", "lib", "opt", "root", "sbin", "srv", "tmp", "usr", "usr/bin", "usr/lib"]
    .concat(["usr/local", "usr/local/bin", "usr/local/lib", "usr/local/sbin", "usr/local/share"])
    .concat(["usr/sbin", "usr/share", "var", "var/lib", "var/log", "var/tmp"])
    .map((path) => `/${path}`),
);

/** The destination, with a slash at its end if it is a directory; what the copy makes is noted in `paths`. */
export function fileDestination(
  { src, isKnown, dst }: FileCopy,
  paths: KnownPaths,
  warn: (message: string) => void,
): string {
  const known = paths.kindOf(dst);
  const isDirectory = known === "dir" || (known === undefined && USUAL.has(dst));
  // Somebody who repeats the name means the file.
  const isNamed = known === "file" || basename(src) === basename(dst);
  const isFile = isKnown || isNamed || /\.\w{1,5}$/.test(src);
  if (isDirectory && isFile) {
    if (known !== "dir" || !isKnown) warn(`${src} is taken for a file, and ${dst} for a directory`);
    paths.add(`${dst}/${basename(src)}`, "file");
    return `${dst}/`;
  }
  if (isDirectory) {
    warn(
      `${src} is taken for a directory, whose contents go to ${dst}; if it is a file, write ${dst}/`,
    );
    return dst;
  }
  if (!isNamed) {
    const doubt = isKnown ? "" : `${src} is a file and `;
    warn(
      `if ${doubt}${dst} is a directory by then, ${src} takes its place; write ${dst}/ to copy into it`,
    );
  }
  if (isKnown) paths.add(dst, "file");
  return dst;
}
