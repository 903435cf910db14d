/**
 * Files that have arrived, packed as a tar archive in GNU format, compressed or not.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { END_OF_ARCHIVE, padding, tarHeader } from "../../system/index.js";
import { toBytes } from "../../text/index.js";
import type { PlacedEntry } from "./download.js";

export interface PackedEntry extends PlacedEntry {
  /** In the archive. */
  readonly name: string;
}

/** Writes the archive to `path`. Rejects with the system's error. */
export async function packArchive(
  entries: readonly PackedEntry[],
  path: string,
  gzip: boolean,
): Promise<void> {
  const source = Readable.from(blocks(entries), { objectMode: false });
  const target = createWriteStream(path, { mode: 0o666 });
  if (gzip) await pipeline(source, createGzip(), target);
  else await pipeline(source, target);
}

async function* blocks(entries: readonly PackedEntry[]): AsyncGenerator<Buffer> {
  const names = new Map<string, string>();
  for (const { entry, name, path } of entries) {
    const common = {
      name: toBytes(entry.type === "dir" ? `${name}/` : name),
      target: Buffer.alloc(0),
      mode: entry.mode & 0o777,
      ...{ uid: 0n, gid: 0n, size: 0 },
      mtime: Math.floor(entry.mtime),
    };
    if (entry.type === "dir") {
      yield tarHeader({ ...common, type: "dir" });
    } else if (entry.type === "link") {
      yield tarHeader({ ...common, type: "symlink", target: toBytes(entry.target) });
    } else {
      const first = entry.same === undefined ? undefined : names.get(entry.same);
      if (first !== undefined) {
        yield tarHeader({ ...common, type: "link", target: toBytes(first) });
        continue;
      }
      names.set(entry.path, name);
      yield tarHeader({ ...common, type: "file", size: entry.size });
      for await (const data of createReadStream(toBytes(path))) yield data as Buffer;
      yield padding(entry.size);
    }
  }
  yield END_OF_ARCHIVE;
}
