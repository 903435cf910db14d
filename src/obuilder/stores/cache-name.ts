/*
 * File names for caches, whose own names are any bytes.
 */

import { toBytes } from "../../text/index.js";

const PLAIN = /^[A-Za-z0-9._-]*$/;

/**
 * `c-NAME`, with `%` and hexadecimal digits for all but letters, digits, `.`, `_` and `-`: btrfs,
 * zfs, docker.
 */
export function prefixedCacheName(name: string): string {
  return `c-${escapeName(name)}`;
}

/**
 * Simple names as they are, as the reference has them in the stores on plain directories; others
 * escaped. (There the reference fails for names with a slash.)
 */
export function plainCacheName(name: string): string {
  if (name === "" || name === "." || name === "..") return `%${name}`;
  return escapeName(name);
}

function escapeName(name: string): string {
  if (PLAIN.test(name)) return name;
  let out = "";
  for (const byte of toBytes(name)) {
    const char = String.fromCharCode(byte);
    out += PLAIN.test(char) ? char : `%${byte.toString(16)}`;
  }
  return out;
}
