/**
 * The two directories that BuildKit asks a build's client for: `context`, and `dockerfile` with the
 * Dockerfile. That is how Docker's own client gives them. From a context in one archive BuildKit
 * would read the Dockerfile, too, so that it had to be there, and got into images whose
 * `.dockerignore` leaves it out.
 *
 * The context is what its ignore file leaves. The engine could ask for that by patterns, after it
 * has read the file; but it sends each of them as a header, of which there cannot be many. So
 * `dockerfile` has an ignore file that leaves nothing out.
 */
import { constants, type Dirent } from "node:fs";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { Slices } from "../../async/index.js";
import { IgnoreFile } from "../../text/index.js";
import { readIgnoreFile } from "./dockerignore.js";
import type { SyncEntry } from "./file-sync.js";
import { followPaths } from "./follow-paths.js";
import { PathFilter } from "./path-filter.js";

/**
 * What of a directory is asked for. All are patterns, as in `.dockerignore`; empty lists mean
 * everything.
 */
export interface FileRequest {
  readonly excludes: readonly string[];
  readonly includes: readonly string[];
  /** Taken with what links on the way lead to; more of what is included. */
  readonly followed: readonly string[];
}

/** A directory to send, as its entries for a request. */
export type SessionDirectory = (
  request: FileRequest,
  signal: AbortSignal,
) => AsyncIterable<SyncEntry>;

/**
 * Both for the context `src`, in which `dockerfile` is the path of a regular file. An ignore file
 * for one Dockerfile is BuildKit's invention, and comes first. Throws `JobFailed` if it is not
 * usable.
 */
export async function sessionDirectories(
  src: string,
  dockerfile: string,
): Promise<ReadonlyMap<string, SessionDirectory>> {
  const ignored = await readIgnoreFile(src, [`${dockerfile}.dockerignore`, ".dockerignore"]);
  return new Map([
    ["context", contextDirectory(src, new IgnoreFile(ignored))],
    ["dockerfile", dockerfileDirectory(src, dockerfile)],
  ]);
}

/** The directory `src` without what `ignored` leaves out. */
function contextDirectory(src: string, ignored: IgnoreFile): SessionDirectory {
  return async function* (request, signal) {
    yield* walk(src, await filterOf(src, ignored, request), signal);
  };
}

async function filterOf(
  src: string,
  ignored: IgnoreFile,
  { excludes, followed, includes }: FileRequest,
): Promise<PathFilter> {
  const all = [ignored, new IgnoreFile(excludes)];
  const targets = followed.length === 0 ? [] : await followPaths(src, followed);
  if (targets === undefined || includes.length + targets.length === 0) return new PathFilter(all);
  return new PathFilter(all, new IgnoreFile([...includes, ...targets]));
}

/**
 * Only the Dockerfile, `path` in the context `src`, and an ignore file for it that leaves nothing
 * out.
 */
function dockerfileDirectory(src: string, path: string): SessionDirectory {
  const name = basename(path);
  return async function* () {
    const file = await describe(Buffer.from(join(src, path)), Buffer.from(name), new Map());
    if (!file?.read) throw new Error(`${path} is no regular file any more`);
    yield file;
    const text = Buffer.from("# What is left out has been left out already.\n");
    yield {
      path: Buffer.from(`${name}.dockerignore`),
      mode: constants.S_IFREG | 0o644,
      size: BigInt(text.length),
      mtime: file.mtime,
      async *read() {
        yield text;
      },
    };
  };
}

/** A directory that the walk is in. */
interface Level {
  readonly path: Buffer;
  readonly names: Iterator<Dirent<Buffer>>;
  /** Itself, until it is sent: only when something in it is, if it is not for its own sake. */
  unsent: SyncEntry | undefined;
}

const TOP = Buffer.alloc(0);
const SLASH = Buffer.from("/");

/**
 * All that the filter takes, in the order for `SyncEntry`. Only files, directories and links:
 * nothing else is in a source.
 */
async function* walk(
  root: string,
  filter: PathFilter,
  signal: AbortSignal,
): AsyncGenerator<SyncEntry> {
  const slices = new Slices(signal);
  const full = (path: Buffer) => Buffer.concat([Buffer.from(root), SLASH, path]);
  const known = new Map<string, Buffer>();
  const levels: Level[] = [{ path: TOP, names: await list(full(TOP)), unsent: undefined }];
  for (let level = levels.at(-1); level; level = levels.at(-1)) {
    await slices.turn();
    const { done, value } = level.names.next();
    if (done) {
      levels.pop();
      continue;
    }
    const path = level.path === TOP ? value.name : Buffer.concat([level.path, SLASH, value.name]);
    const { isTaken, mayHoldMore } = filter.judge(String(path));
    const isEntered = value.isDirectory() && mayHoldMore;
    if (!isTaken && !isEntered) continue;
    const entry = await describe(full(path), path, known);
    if (!entry) continue;
    if (isTaken) {
      for (const above of levels) {
        if (above.unsent) yield above.unsent;
        above.unsent = undefined;
      }
      yield entry;
    }
    if (isEntered) {
      levels.push({ path, names: await list(full(path)), unsent: isTaken ? undefined : entry });
    }
  }
}

/** Sorted by the bytes of their names. */
async function list(directory: Buffer): Promise<Iterator<Dirent<Buffer>>> {
  const entries = await readdir(directory, { withFileTypes: true, encoding: "buffer" });
  return entries.sort((a, b) => Buffer.compare(a.name, b.name)).values();
}

/** `known` has the first path of each file that may have several. */
async function describe(
  full: Buffer,
  path: Buffer,
  known: Map<string, Buffer>,
): Promise<SyncEntry | undefined> {
  const stat = await lstat(full, { bigint: true });
  const common = { path, mode: Number(stat.mode), size: 0n, mtime: stat.mtimeNs };
  if (stat.isDirectory()) return common;
  if (stat.isSymbolicLink()) {
    return { ...common, size: stat.size, link: await readlink(full, { encoding: "buffer" }) };
  }
  if (!stat.isFile()) return undefined;
  if (stat.nlink > 1n) {
    const file = `${stat.dev}:${stat.ino}`;
    const link = known.get(file);
    if (link) return { ...common, link };
    known.set(file, path);
  }
  return { ...common, size: stat.size, read: () => contentOf(full) };
}

/** Only the file that was there: a link in its place is not followed. */
async function* contentOf(path: Buffer): AsyncGenerator<Uint8Array> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags);
  try {
    for await (const data of file.createReadStream({ autoClose: false })) yield data as Buffer;
  } finally {
    await file.close();
  }
}
