/**
 * Lists the entries of a tar archive in GNU format. Knows no more than is needed to see what was
 * written, and shares nothing with what writes archives.
 */

import { fromBytes } from "../../src/text/bytes.js";

export interface TarListing {
  readonly name: string;
  readonly type: "file" | "dir" | "symlink" | string;
  /** Octal. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Seconds. */
  readonly mtime: number;
  readonly size: number;
  readonly target?: string;
}

const BLOCK = 512;
const TYPES: Record<string, string> = { "0": "file", "\0": "file", "2": "symlink", "5": "dir" };

/** Throws if the archive is cut off or a checksum is wrong. */
export function tarEntries(archive: Buffer): TarListing[] {
  const entries: TarListing[] = [];
  let longName: string | undefined;
  let longTarget: string | undefined;
  for (let pos = 0; ; ) {
    const header = archive.subarray(pos, pos + BLOCK);
    if (header.length < BLOCK) throw new Error("archive without an end");
    if (header.every((byte) => byte === 0)) return entries;
    verify(header);
    const size = number(header.subarray(124, 136));
    const body = archive.subarray(pos + BLOCK, pos + BLOCK + size);
    pos += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    const flag = header.toString("latin1", 156, 157);
    if (flag === "L") {
      longName = text(body);
    } else if (flag === "K") {
      longTarget = text(body);
    } else {
      const target = longTarget ?? text(header.subarray(157, 257));
      entries.push({
        name: longName ?? text(header.subarray(0, 100)),
        type: TYPES[flag] ?? `flag ${flag}`,
        mode: number(header.subarray(100, 108)).toString(8),
        uid: number(header.subarray(108, 116)),
        gid: number(header.subarray(116, 124)),
        mtime: number(header.subarray(136, 148)),
        size,
        ...(target === "" ? {} : { target }),
      });
      longName = undefined;
      longTarget = undefined;
    }
  }
}

function text(field: Buffer): string {
  const end = field.indexOf(0);
  return fromBytes(end < 0 ? field : field.subarray(0, end));
}

/** Octal text, or, with the top bit set, a big-endian number. */
function number(field: Buffer): number {
  if (field[0]! < 0x80) return Number.parseInt(text(field).trim() || "0", 8);
  const magnitude = BigInt(`0x${field.toString("hex")}`);
  return Number(BigInt.asIntN(field.length * 8 - 1, magnitude));
}

/** The checksum is that of the header with blanks in its place. */
function verify(header: Buffer): void {
  const blanked = Buffer.from(header).fill(" ", 148, 156);
  const sum = blanked.reduce((total, byte) => total + byte, 0);
  if (sum !== number(header.subarray(148, 156))) throw new Error("wrong checksum in a tar header");
}
