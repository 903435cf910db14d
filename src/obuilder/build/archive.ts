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

/** Bytes written at a time: small files go together. */
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
  /** One is filled while the other is written. */
  #buffer = Buffer.allocUnsafeSlow(CHUNK);
  #other = Buffer.allocUnsafeSlow(CHUNK);
  #filled = 0;
  #written: Promise<void> = Promise.resolve();

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
    await this.#put(END_OF_ARCHIVE);
    await this.#flush();
    await this.#written;
  }

  /** `entry` is the manifest's name in `dir`; undefined for `dir` itself. */
  async #entry(dir: SourceDir, entry: string | undefined, placed: Placed): Promise<void> {
    if (isPlacedDir(placed)) return await this.#dir(dir, entry, placed);
    const { manifest } = placed;
    if (manifest.type === "file") return await this.#file(dir, entry!, placed);
    const mtime = this.#mtime(dir, entry!, manifest);
    const target = this.#unchanged(manifest, () => dir.readLink(entry!));
    if (target !== manifest.target) throw changed(manifest);
    if (!placed.replaced) await this.#header("symlink", placed.name, 0, mtime, { target });
  }

  async #dir(dir: SourceDir, entry: string | undefined, placed: PlacedDir): Promise<void> {
    const mtime = this.#mtime(dir, entry ?? ".", placed.manifest);
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
        if (this.#filled === CHUNK) await this.#flush();
        const room = Math.min(left, CHUNK - this.#filled);
        const length = readSync(fd, this.#buffer, this.#filled, room, null);
        if (length === 0) throw changed(manifest);
        hash.update(this.#buffer.subarray(this.#filled, this.#filled + length));
        this.#filled += length;
        left -= length;
      }
      if (hash.digest("hex") !== manifest.hash) throw changed(manifest);
      await this.#put(padding(size));
    } finally {
      closeSync(fd);
    }
  }

  #mtime(dir: SourceDir, entry: string, manifest: Manifest): number {
    const stats = this.#unchanged(manifest, () => dir.stat(entry));
    if (!stats) throw changed(manifest);
    return seconds(stats);
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
    await this.#put(
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

  async #put(bytes: Buffer): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      if (this.#filled === CHUNK) await this.#flush();
      const length = rest.copy(this.#buffer, this.#filled);
      this.#filled += length;
      rest = rest.subarray(length);
    }
  }

  /** Resolves when there is a buffer to be filled. Rejects if what was before was not written. */
  async #flush(): Promise<void> {
    await this.#written;
    const data = this.#buffer.subarray(0, this.#filled);
    this.#written = new Promise((resolve, reject) => {
      this.#out.write(data, (error) => (error ? reject(error) : resolve()));
    });
    // It is awaited before the next write; nobody may be there to hear of it meanwhile.
    this.#written.catch(() => {});
    [this.#buffer, this.#other] = [this.#other, this.#buffer];
    this.#filled = 0;
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
