/*
 * Source manifests: what a `copy` copies, as far as its layer's id depends on it. Names, contents
 * (as hashes), targets of links; not modes, owners or times. What it excludes is left out here, and
 * so of the archive too.
 */

import { createHash } from "node:crypto";
import { closeSync, fstatSync, readSync, type Stats } from "node:fs";
import { Slices } from "../../async/index.js";
import { type HashMemory, isUnchanged, SourceDir } from "../../system/index.js";
import { quoted } from "../../text/index.js";
import { BuildError } from "../errors.js";

/**
 * Paths are relative to the source's top directory, without empty or `.` components; `""` is
 * itself.
 */
export type Manifest =
  | { readonly type: "file"; readonly path: string; readonly hash: string }
  | { readonly type: "symlink"; readonly path: string; readonly target: string }
  | { readonly type: "dir"; readonly path: string; readonly entries: readonly Manifest[] };

export interface CopySources {
  /** The source's top directory. */
  readonly root: string;
  readonly src: readonly string[];
  /**
   * Names to leave out of directories, at any depth: whole names, no patterns. What `src` names
   * itself is not left out.
   */
  readonly exclude: readonly string[];
  /** The absolute destination. */
  readonly dst: string;
  /** The hashes of files of `root` that are known, and are to be remembered. */
  readonly memory?: HashMemory | undefined;
}

/** Directories within directories. Each holds a descriptor open while it is walked. */
const MAX_DEPTH = 1000;

/** Bytes read from a file at a time. */
const CHUNK = 256 * 1024;

/**
 * The manifests of what is to be copied, one for each source.
 *
 * Throws `BuildError` if a source is missing, lies outside, is of a type that is not copied
 * (devices, sockets) or cannot be read, and if the destination does not suit. When `signal` is
 * aborted, throws its reason.
 */
export async function copyManifests(
  { root, src, exclude, dst, memory }: CopySources,
  signal?: AbortSignal,
): Promise<Manifest[]> {
  const manifests: Manifest[] = [];
  const means: Means = {
    exclude: new Set(exclude),
    slices: new Slices(signal),
    buffer: Buffer.allocUnsafeSlow(CHUNK),
    memory,
  };
  for (const path of src) {
    await means.slices.turn();
    manifests.push(await new ManifestMaker(path, means).make(root));
  }
  if (manifests.length === 0) throw new BuildError("No source items for copy!");
  if (manifests.length > 1 && !dst.endsWith("/")) {
    const message = "When copying multiple items, the destination must end with '/'";
    throw new BuildError(message);
  }
  return manifests;
}

type Kind = "file" | "dir" | "symlink" | "other";

/** What all sources of a copy share: there may be very many. */
interface Means {
  readonly exclude: ReadonlySet<string>;
  readonly slices: Slices;
  /** For the content of files. */
  readonly buffer: Buffer;
  readonly memory: HashMemory | undefined;
}

/** Makes the manifest of one source path. */
class ManifestMaker {
  readonly #src: string;
  readonly #means: Means;

  constructor(src: string, means: Means) {
    this.#src = src;
    this.#means = means;
  }

  async make(root: string): Promise<Manifest> {
    const opened = [openRoot(root)];
    try {
      const names: string[] = [];
      const components = this.#src.split("/");
      for (const [i, name] of components.entries()) {
        if (name === "" || name === ".") continue;
        if (name === "..") throw this.#refused("Can't use .. in source paths!");
        const dir = opened.at(-1)!;
        const stats = this.#stat(dir, name);
        if (!stats) throw new BuildError(`Source path ${quoted(this.#src)} not found`);
        const kind = kindOf(stats);
        names.push(name);
        const last = i === components.length - 1;
        // The reference shows the components in reverse, and its words are kept.
        const reverse = names.toReversed().join("/");
        if (kind === "dir") {
          opened.push(attempt(this.#src, () => dir.openDir(name)));
        } else if (last && kind !== "other") {
          return await this.#leaf(dir, name, stats, names.join("/"));
        } else {
          const expected = kind === "file" ? "directory" : "regular file";
          throw this.#refused(`Not a ${expected}: ${reverse}`);
        }
      }
      const path = names.join("/");
      return { type: "dir", path, entries: await this.#entries(opened.at(-1)!, path, 0) };
    } finally {
      for (const dir of opened) dir[Symbol.dispose]();
    }
  }

  async #entries(dir: SourceDir, parent: string, depth: number): Promise<Manifest[]> {
    if (depth > MAX_DEPTH) {
      throw this.#refused(`Directories are nested more than ${MAX_DEPTH} deep`);
    }
    const { exclude, slices } = this.#means;
    const entries: Manifest[] = [];
    for (const name of attempt(parent, () => dir.names())) {
      if (slices.over) await slices.turn();
      if (exclude.has(name)) continue;
      const path = parent === "" ? name : `${parent}/${name}`;
      const stats = this.#stat(dir, name);
      if (!stats) throw new BuildError(`File ${quoted(path)} not found in source directory`);
      const kind = kindOf(stats);
      if (kind === "other") throw new BuildError(`Unsupported file type for ${quoted(path)}`);
      entries.push(
        kind === "dir"
          ? await this.#subdirectory(dir, name, path, depth)
          : await this.#leaf(dir, name, stats, path),
      );
    }
    return entries;
  }

  async #subdirectory(
    parent: SourceDir,
    name: string,
    path: string,
    depth: number,
  ): Promise<Manifest> {
    using dir = attempt(path, () => parent.openDir(name));
    return { type: "dir", path, entries: await this.#entries(dir, path, depth + 1) };
  }

  /** `stats`: those of a file or a link. */
  async #leaf(dir: SourceDir, name: string, stats: Stats, path: string): Promise<Manifest> {
    if (stats.isSymbolicLink()) {
      return { type: "symlink", path, target: attempt(path, () => dir.readLink(name)) };
    }
    const known = this.#means.memory?.find(path, stats);
    return { type: "file", path, hash: known ?? (await this.#hash(dir, name, path)) };
  }

  async #hash(dir: SourceDir, name: string, path: string): Promise<string> {
    const { buffer, memory, slices } = this.#means;
    const began = Date.now();
    const { fd, stats } = attempt(path, () => dir.openFile(name));
    try {
      const hash = createHash("sha256");
      for (;;) {
        const length = attempt(path, () => readSync(fd, buffer));
        if (length === 0) break;
        hash.update(buffer.subarray(0, length));
        if (slices.over) await slices.turn();
      }
      const digest = hash.digest("hex");
      if (memory && isUnchanged(stats, fstatSync(fd))) memory.note(path, stats, digest, began);
      return digest;
    } finally {
      closeSync(fd);
    }
  }

  /** Undefined if there is nothing by that name. */
  #stat(dir: SourceDir, name: string): Stats | undefined {
    if (name.includes("\0")) return undefined;
    return attempt(this.#src, () => dir.stat(name));
  }

  #refused(why: string): BuildError {
    return new BuildError(`${why} (in ${quoted(this.#src)})`);
  }
}

function kindOf(stats: Stats): Kind {
  if (stats.isDirectory()) return "dir";
  if (stats.isFile()) return "file";
  return stats.isSymbolicLink() ? "symlink" : "other";
}

function openRoot(root: string): SourceDir {
  try {
    return SourceDir.open(root);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new BuildError(`Can't open the source directory: ${why}`);
  }
}

/** Calls `read`, and turns the system's errors into the user's. */
function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (typeof code !== "string") throw error;
    const changed = code === "ELOOP" || code === "ENOTDIR" || code === "ENOENT";
    const why = changed ? "it changed while it was read; try again" : code;
    throw new BuildError(`Can't read source path ${quoted(path)}: ${why}`);
  }
}
