/*
 * Archives that ADD unpacks: those whose content is a tar file, compressed or not, whatever they
 * are called.
 */

import { closeSync, openSync, readSync } from "node:fs";
import { constants, gunzipSync } from "node:zlib";
import { toBytes } from "../../text/index.js";

/** Bytes looked at: more than the header of an archive takes, compressed badly. */
const HEAD = 64 * 1024;

/** The option of `tar` for a compression; not every tar finds out by itself. */
export type TarOption = "" | "-z" | "-j" | "-J" | "--zstd";

const GZIP = [0x1f, 0x8b, 0x08];
/** Of other compressions what is inside is not looked at. */
const OTHERS: readonly { readonly magic: readonly number[]; readonly option: TarOption }[] = [
  { magic: [0x42, 0x5a, 0x68], option: "-j" },
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], option: "-J" },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], option: "--zstd" },
];

/** How `tar` reads a file; false if it is no archive. */
export function archiveIn(path: string): TarOption | false {
  const head = Buffer.alloc(HEAD);
  const fd = openSync(toBytes(path), "r");
  let length: number;
  try {
    length = readSync(fd, head, 0, HEAD, 0);
  } finally {
    closeSync(fd);
  }
  const bytes = head.subarray(0, length);
  const begins = (magic: readonly number[]) => magic.every((byte, i) => bytes[i] === byte);
  if (begins(GZIP)) return isTar(gunzipped(bytes)) && "-z";
  const other = OTHERS.find(({ magic }) => begins(magic));
  if (other) return archiveNamed(path) !== false && other.option;
  return isTar(bytes) && "";
}

/** The same, by the file's name. */
export function archiveNamed(path: string): TarOption | false {
  const [, name] = /\.(tar(?:\.\w+)?|t\w{2,3})$/.exec(path) ?? [];
  const options: Readonly<Record<string, TarOption>> = {
    ...{ tar: "", "tar.gz": "-z", tgz: "-z", "tar.bz2": "-j", tbz: "-j", tbz2: "-j" },
    ...{ "tar.xz": "-J", txz: "-J", "tar.zst": "--zstd", tzst: "--zstd" },
  };
  return (name === undefined ? undefined : options[name]) ?? false;
}

/** The beginning; the end may be missing, or too large to be wanted. */
function gunzipped(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, {
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: 128 * 1024 * 1024,
    });
  } catch {
    return Buffer.alloc(0);
  }
}

/** Whether these bytes begin with a header whose checksum is right. */
function isTar(bytes: Buffer): boolean {
  if (bytes.length < 512) return false;
  const header = bytes.subarray(0, 512);
  const written = Number.parseInt(header.toString("latin1", 148, 156), 8);
  let sum = 0;
  for (const [i, byte] of header.entries()) sum += i >= 148 && i < 156 ? 0x20 : byte;
  return sum === written && sum > 256;
}
