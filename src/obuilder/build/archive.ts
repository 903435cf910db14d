/*
 * The archive of a `copy`: what is to be placed where, as a tar file in GNU format, to be unpacked
 * at the top of the root.
 *
 * Everything belongs to the step's user; modes are reduced to what the layer's id stands for,
 * executable or not. Files are read again here, and must be what they were when the id was
 * computed: else a layer would be kept under the id of another.
 */

import { createHash } from "node:crypto";
import { closeSync, readSync, type Stats } from "node:fs";
import { basename } from "node:path";
import type { Writable } from "node:stream";
import {
  END_OF_ARCHIVE,
  type EntryType,
  padding,
  SourceDir,
  tarHeader,
} from "../../system/index.js";
import { quoted, toBytes } from "../../text/index.js";
import { SourceChanged } from "../errors.js";
import { unixUser } from "../sandboxes/oci-config.js";
import type { UnixUser, User } from "../spec/spec.js";
import type { Manifest } from "./copy-manifest.js";
import type { Placed, PlacedDir, PlacedLeaf, Placement } from "./placement.js";

export interface ArchiveContent {
  /** The directory that the manifests' paths are relative to. */
  readonly root: string;
  readonly placement: Placement;
  readonly user: User;
}

/** Bytes read from a file at a time. */
const CHUNK = 256 * 1024;

/** Writes the archive, not its end of stream. Rejects with `SourceChanged` if a source has. */
export async function writeArchive(content: ArchiveContent, out: Writable): Promise<void> {
  const writer = new ArchiveWriter(out, unixUser(content.user));
  await writer.parents(content.placement.parents);
  using root = SourceDir.open(content.root);
  for (const item of content.placement.items) await writer.item(root, item);
  await writer.end();
}

class ArchiveWriter {
  readonly #out: Writable;
  readonly #user: UnixUser;
  readonly #buffer = Buffer.allocUnsafeSlow(CHUNK);

  constructor(out: Writable, user: UnixUser) {
    this.#out = out;
    this.#user = user;
  }

  /** Directories that must be made first: not every tar makes those that are missing. */
  async parents(paths: readonly string[]): Promise<void> {
    for (const path of paths) await this.#header("dir", `${path}/`, 0, 0);
  }

  /** What the item's manifest lists, in `root`. */
  async item(root: SourceDir, item: Placed): Promise<void> {
    const { manifest } = item;
    const components = manifest.path === "" ? [] : manifest.path.split("/");
    const last = components.pop();
    const opened: SourceDir[] = [];
    try {
      let dir = root;
      for (const component of components) {
        dir = this.#unchanged(manifest, () => dir.openDir(component));
        opened.push(dir);
      }
      await this.#entry(dir, last, item);
    } finally {
      for (const dir of opened) dir[Symbol.dispose]();
    }
  }

  async end(): Promise<void> {
    await this.#write(END_OF_ARCHIVE);
  }

  /** `entry` is the manifest's name in `dir`; undefined for `dir` itself. */
  async #entry(dir: SourceDir, entry: string | undefined, placed: Placed): Promise<void> {
    const { manifest } = placed;
    const stats = this.#unchanged(manifest, () => dir.stat(entry ?? "."));
    if (!stats) throw changed(manifest);
    const mtime = seconds(stats);
    if (isPlacedDir(placed)) return await this.#dir(dir, entry, placed, mtime);
    if (placed.manifest.type === "file") return await this.#file(dir, entry!, placed);
    const target = this.#unchanged(manifest, () => dir.readLink(entry!));
    if (target !== placed.manifest.target) throw changed(manifest);
    if (!placed.replaced) await this.#header("symlink", placed.name, 0, mtime, { target });
  }

  async #dir(
    dir: SourceDir,
    entry: string | undefined,
    placed: PlacedDir,
    mtime: number,
  ): Promise<void> {
    // One that is there stays as it is. Its header would change its mode, owner and time.
    if (placed.isNew) await this.#header("dir", `${placed.name}/`, 0, mtime);
    const opened =
      entry === undefined ? undefined : this.#unchanged(placed.manifest, () => dir.openDir(entry));
    try {
      for (const inner of placed.entries) {
        await this.#entry(opened ?? dir, basename(inner.manifest.path), inner);
      }
    } finally {
      opened?.[Symbol.dispose]();
    }
  }

  async #file(dir: SourceDir, entry: string, placed: PlacedLeaf): Promise<void> {
    const { manifest, name, replaced } = placed;
    if (replaced || manifest.type !== "file") return;
    const { fd, stats } = this.#unchanged(manifest, () => dir.openFile(entry));
    try {
      const { size } = stats;
      const executable = isExecutable(stats);
      await this.#header("file", name, size, seconds(stats), { executable });
      const hash = createHash("sha256");
      for (let left = size; left > 0; ) {
        const length = readSync(fd, this.#buffer, 0, Math.min(left, CHUNK), null);
        if (length === 0) throw changed(manifest);
        left -= length;
        const data = this.#buffer.subarray(0, length);
        hash.update(data);
        await this.#write(data);
      }
      if (hash.digest("hex") !== manifest.hash) throw changed(manifest);
      await this.#write(padding(size));
    } finally {
      closeSync(fd);
    }
  }

  async #header(
    type: EntryType,
    name: string,
    size: number,
    mtime: number,
    { target = "", executable = true }: { target?: string; executable?: boolean } = {},
  ): Promise<void> {
    const mode = type === "symlink" ? 0o777 : executable ? 0o755 : 0o644;
    const { uid, gid } = this.#user;
    await this.#write(
      tarHeader({
        type,
        name: toBytes(name),
        target: toBytes(target),
        mode,
        uid,
        gid,
        size,
        mtime,
      }),
    );
  }

  /** Resolves when the buffer may be used again. */
  #write(data: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#out.write(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  /**
   * Calls `read`; what was there when the manifest was made, and is not now, has been changed by
   * somebody.
   */
  #unchanged<T>(manifest: Manifest, read: () => T): T {
    try {
      return read();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP" || code === "EINVAL") {
        throw changed(manifest);
      }
      throw error;
    }
  }
}

function changed({ path }: Manifest): SourceChanged {
  return new SourceChanged(
    `Source path ${quoted(path)} was changed while it was copied; try again`,
  );
}

function isPlacedDir(placed: Placed): placed is PlacedDir {
  return placed.manifest.type === "dir";
}

/** The time of the last change, in whole seconds. */
function seconds({ mtimeMs }: Stats): number {
  return Math.trunc(mtimeMs / 1000);
}

function isExecutable({ mode }: Stats): boolean {
  return (mode & 0o111) !== 0;
}
