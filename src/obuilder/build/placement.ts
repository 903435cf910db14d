/*
 * Where a `copy` puts things in a root that is there already, so that the result is Docker's
 * whatever tar the image has.
 *
 * Tar programs do not agree on what to do with links and directories that are in their way, and
 * some replace a link like Debian's `/lib` by a directory. So the archive shall meet none: its
 * names are those at which links end. The rules:
 *
 * - Links on the way to the destination, and a destination that is a link, are followed inside of
 *   the root, never out of it. What they point to is made if it is missing.
 * - A directory that exists, or a link to one, is filled. It keeps its mode and owner.
 * - A destination that is a directory is copied into, with a slash at its end or not.
 * - Within what is copied, files and links replace files and links of the same name.
 * - A directory is never replaced by something else, nor anything else by a directory.
 */

import { basename, posix } from "node:path";
import { Slices } from "../../async/index.js";
import { quoted } from "../../text/index.js";
import type { RootEntry, RootView } from "../contracts.js";
import { BuildError } from "../errors.js";
import type { Manifest } from "./copy-manifest.js";

type DirManifest = Manifest & { readonly type: "dir" };

/** A file or link under its name in the archive, `usr/lib/x`. */
export interface PlacedLeaf {
  readonly manifest: Exclude<Manifest, DirManifest>;
  readonly name: string;
  /** Whether a later item of the same copy has the same name, and so is what the archive has. */
  replaced: boolean;
}

export interface PlacedDir {
  readonly manifest: DirManifest;
  /** Empty for the root. */
  readonly name: string;
  /** Whether the copy makes it. */
  readonly isNew: boolean;
  readonly entries: readonly Placed[];
}

export type Placed = PlacedLeaf | PlacedDir;

export interface Placement {
  /** Directories to be made for the destination, outer ones first. */
  readonly parents: readonly string[];
  /** One for each manifest, in their order. */
  readonly items: readonly Placed[];
}

export interface CopyOrder {
  readonly manifests: readonly Manifest[];
  /**
   * Absolute. With a slash at its end the directory to copy into, else the name of the one thing
   * copied.
   */
  readonly dst: string;
}

/** As many links as the kernel follows in one path. */
const MAX_LINKS = 40;

/** Mounted while the archive is unpacked: what is written below them is in no layer. */
const MOUNTED = new Set(["proc", "dev", "sys"]);

const DIR: RootEntry = { kind: "dir" };
const OTHER: RootEntry = { kind: "other" };

/**
 * Plans a copy. Throws `BuildError` if something of another kind is in the way, and the signal's
 * reason when that is aborted.
 */
export function placeCopy(
  { manifests, dst }: CopyOrder,
  root: RootView,
  signal?: AbortSignal,
): Promise<Placement> {
  return new Placer(root, signal).place(manifests, dst);
}

/** A destination as a name in the archive: without drive letter, empty and `.` components. */
export function archiveName(dst: string): string {
  const path = /^[A-Za-z]:/.test(dst) ? dst.slice(2) : dst;
  return path
    .split("/")
    .filter((component) => component !== "" && component !== ".")
    .join("/");
}

/** A place at which all links have ended. */
interface Place {
  readonly path: string;
  /** Never a link, unless that was not to be followed. */
  readonly entry: RootEntry | undefined;
}

class Placer {
  readonly #root: RootView;
  /** What the archive makes, by path: it lies over what the root has. */
  readonly #made = new Map<string, { entry: RootEntry; leaf?: PlacedLeaf }>();
  readonly #slices: Slices;

  constructor(root: RootView, signal: AbortSignal | undefined) {
    this.#root = root;
    this.#slices = new Slices(signal);
  }

  async place(manifests: readonly Manifest[], dst: string): Promise<Placement> {
    // As Docker does, `..` takes away the component before it, link or not.
    const path = posix.normalize(`/${archiveName(dst)}`);
    const [first] = manifests;
    if (!dst.endsWith("/") && first) {
      const place = await this.#destination(path, first);
      if (first.type === "dir") return { parents: [], items: [await this.#dir(first, place)] };
      if (place.entry?.kind !== "dir") return { parents: [], items: [this.#leaf(first, place)] };
    }
    const { path: dir } = await this.#follow(path);
    const parents = await this.#makeParents(dir);
    const items: Placed[] = [];
    for (const manifest of manifests) items.push(await this.#into(dir, manifest));
    return { parents, items };
  }

  /** The place that a destination without a slash at its end names. */
  async #destination(path: string, manifest: Manifest): Promise<Place> {
    const end = await this.#follow(path);
    // A link that is copied takes the place of a link, even of one to a directory.
    if (manifest.type === "symlink") return await this.#unfollowed(path, end);
    if (manifest.type === "dir" || end.entry?.kind === "dir") return end;
    // Below what is mounted for the step the file would be lost. Units are masked by links to
    // /dev/null.
    return MOUNTED.has(end.path.split("/", 1)[0]!) ? await this.#unfollowed(path, end) : end;
  }

  /** The place of the link that `path` names; `end` if it is none. */
  async #unfollowed(path: string, end: Place): Promise<Place> {
    const { path: dir } = await this.#follow(posix.dirname(path));
    const link = child(dir, posix.basename(path));
    const entry = await this.#entry(link);
    return entry?.kind === "link" ? { path: link, entry } : end;
  }

  /**
   * Where a path leads to in the root. Missing components count as directories that are still to be
   * made.
   */
  async #follow(path: string): Promise<Place> {
    const left = path.split("/").reverse();
    let at = "";
    let links = 0;
    while (left.length > 0) {
      const name = left.pop()!;
      if (name === "" || name === ".") continue;
      if (name === "..") {
        at = parent(at);
        continue;
      }
      const next = child(at, name);
      const entry = await this.#entry(next);
      if (entry?.kind === "link") {
        if (++links > MAX_LINKS) throw inTheWay(path, "it leads through too many links");
        if (entry.target.startsWith("/")) at = "";
        left.push(...entry.target.split("/").reverse());
        continue;
      }
      const last = left.every((rest) => rest === "" || rest === ".");
      if (entry?.kind === "other" && !last) throw inTheWay(next, "it is not a directory");
      at = next;
    }
    return { path: at, entry: await this.#entry(at) };
  }

  /** The missing ones of a directory and those above it; it is one that `#follow` has found. */
  async #makeParents(dir: string): Promise<string[]> {
    const missing: string[] = [];
    for (let path = dir; ; path = parent(path)) {
      const entry = await this.#entry(path);
      if (entry?.kind === "dir") return missing.reverse();
      if (entry) throw inTheWay(path, "it is not a directory");
      missing.push(path);
      this.#made.set(path, { entry: DIR });
    }
  }

  /** Places something in a directory, which exists or is made. */
  async #into(dir: string, manifest: Manifest): Promise<Placed> {
    await this.#slices.turn();
    // The copy of a source's top directory is the directory itself.
    const path = manifest.path === "" ? dir : child(dir, basename(manifest.path));
    const entry = await this.#entry(path);
    if (manifest.type !== "dir") return this.#leaf(manifest, { path, entry });
    return await this.#dir(
      manifest,
      entry?.kind === "link" ? await this.#follow(path) : { path, entry },
    );
  }

  async #dir(manifest: DirManifest, { path, entry }: Place): Promise<PlacedDir> {
    if (entry && entry.kind !== "dir") throw inTheWay(path, "a directory cannot take its place");
    const isNew = entry === undefined || this.#made.has(path);
    if (isNew) this.#made.set(path, { entry: DIR });
    const entries: Placed[] = [];
    for (const inner of manifest.entries) entries.push(await this.#into(path, inner));
    return { manifest, name: path, isNew, entries };
  }

  #leaf(manifest: PlacedLeaf["manifest"], { path, entry }: Place): PlacedLeaf {
    if (entry?.kind === "dir") throw inTheWay(path, "it is a directory");
    const leaf = { manifest, name: path, replaced: false };
    const earlier = this.#made.get(path)?.leaf;
    if (earlier) earlier.replaced = true;
    const made: RootEntry =
      manifest.type === "symlink" ? { kind: "link", target: manifest.target } : OTHER;
    this.#made.set(path, { entry: made, leaf });
    return leaf;
  }

  async #entry(path: string): Promise<RootEntry | undefined> {
    if (path === "") return DIR;
    const made = this.#made.get(path)?.entry;
    // In a directory that is made there is nothing else.
    if (made || this.#made.get(parent(path))?.entry.kind === "dir") return made;
    return await this.#root.entry(path);
  }
}

function child(dir: string, name: string): string {
  return dir === "" ? name : `${dir}/${name}`;
}

function parent(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

function inTheWay(path: string, why: string): BuildError {
  const absolute = path.startsWith("/") ? path : `/${path}`;
  return new BuildError(`Can't copy to ${quoted(absolute)}: ${why}`);
}
