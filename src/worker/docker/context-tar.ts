/**
 * A build context as the archive that the engine takes: everything in a directory but what
 * `.dockerignore` leaves out. All belongs to root in there, as when Docker's own client sends it;
 * whose it is on this machine is nobody's business.
 */
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { Readable } from "node:stream";
import { END_OF_ARCHIVE, padding, tarHeader } from "../../system/index.js";
import { DockerIgnore, readIgnoreFile } from "./dockerignore.js";

/**
 * Packs `src`; `dockerfile` (relative to it) is always in. Throws `JobFailed`, early, if
 * `.dockerignore` is not usable.
 */
export async function packContext(src: string, dockerfile: string): Promise<Readable> {
  const ignore = new DockerIgnore(await readIgnoreFile(src, [".dockerignore"]));
  const needed = [dockerfile, ".dockerignore"];
  return Readable.from(entries(src, ignore, needed), { objectMode: false });
}

/** Names are bytes, which need not be text; the rules of `.dockerignore` see them as text. */
type Name = Buffer;

async function* entries(
  src: string,
  ignore: DockerIgnore,
  needed: readonly string[],
): AsyncGenerator<Buffer> {
  const pending: Name[][] = [[]];
  for (let directory = pending.pop(); directory; directory = pending.pop()) {
    const names = await readdir(pathOf(src, directory), { encoding: "buffer" });
    for (const name of names.sort(Buffer.compare)) {
      const parts = [...directory, name];
      const path = parts.map(String).join("/");
      const stat = await lstat(pathOf(src, parts));
      const isNeeded = needed.some((file) => file === path || file.startsWith(`${path}/`));
      const ignored = !isNeeded && ignore.ignores(path);
      if (stat.isDirectory()) {
        // What is in an ignored directory may be an exception; if nothing is, an empty directory
        // does no harm.
        if (ignored && !ignore.hasExceptions) continue;
        pending.push(parts);
      } else if (ignored || !(stat.isFile() || stat.isSymbolicLink())) {
        continue;
      }
      yield* entry(pathOf(src, parts), Buffer.concat(parts.flatMap(withSlash).slice(1)), stat);
    }
  }
  yield END_OF_ARCHIVE;
}

const SLASH = Buffer.from("/");

function withSlash(part: Buffer): Buffer[] {
  return [SLASH, part];
}

function pathOf(src: string, parts: readonly Name[]): Buffer {
  return Buffer.concat([Buffer.from(src), ...parts.flatMap(withSlash)]);
}

async function* entry(
  path: Buffer,
  name: Buffer,
  stat: Awaited<ReturnType<typeof lstat>>,
): AsyncGenerator<Buffer> {
  const common = {
    name,
    target: Buffer.alloc(0),
    mode: Number(stat.mode) & 0o7777,
    uid: 0n,
    gid: 0n,
    size: 0,
    mtime: Math.floor(Number(stat.mtimeMs) / 1000),
  };
  if (stat.isDirectory()) {
    yield tarHeader({ ...common, type: "dir", name: Buffer.concat([name, SLASH]) });
  } else if (stat.isSymbolicLink()) {
    const target = await readlink(path, { encoding: "buffer" });
    yield tarHeader({ ...common, type: "symlink", target });
  } else {
    const size = Number(stat.size);
    yield tarHeader({ ...common, type: "file", size });
    if (size > 0)
      for await (const data of createReadStream(path, { end: size - 1 })) yield data as Buffer;
    yield padding(size);
  }
}
