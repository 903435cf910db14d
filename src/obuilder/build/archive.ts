/*
 * The archive of a `copy`: what its manifests list, as a tar file in GNU format, to be unpacked at the top of the root.
 *
 * Everything belongs to the step's user; modes are reduced to what the layer's id stands for, executable or not. Files
 * are read again here, and must be what they were when the id was computed: else a layer would be kept under the id of
 * another.
 */

import { createHash } from "node:crypto";
import { closeSync, readSync, type Stats } from "node:fs";
import { basename } from "node:path";
import type { Writable } from "node:stream";
import { END_OF_ARCHIVE, type EntryType, padding, tarHeader } from "../../system/tar-header.js";
import { toBytes } from "../../text/bytes.js";
import { quoted } from "../../text/quoting.js";
import { SourceChanged } from "../errors.js";
import { unixUser } from "../sandboxes/oci-config.js";
import type { UnixUser, User } from "../spec/spec.js";
import type { Manifest } from "./manifest.js";
import { SourceDir } from "./source-dir.js";

export interface ArchiveContent {
  /** The directory that the manifests' paths are relative to. */
  readonly root: string;
  readonly manifests: readonly Manifest[];
  /** Absolute. With a slash at its end the directory to copy into, else the name of the one thing copied. */
  readonly dst: string;
  readonly user: User;
}

/** Bytes read from a file at a time. */
const CHUNK = 256 * 1024;

/** Writes the archive, not its end of stream. Rejects with `SourceChanged` if a source has. */
export async function writeArchive(content: ArchiveContent, out: Writable): Promise<void> {
  const writer = new ArchiveWriter(out, unixUser(content.user));
  const dst = archiveName(content.dst);
  if (content.dst.endsWith("/")) await writer.parents(dst);
  using root = SourceDir.open(content.root);
  for (const manifest of content.manifests) {
    const name = content.dst.endsWith("/") ? inDirectory(dst, manifest) : dst;
    await writer.item(root, manifest, name);
  }
  await writer.end();
}

/** A destination as a name in the archive: without drive letter, empty and `.` components. */
export function archiveName(dst: string): string {
  const path = /^[A-Za-z]:/.test(dst) ? dst.slice(2) : dst;
  return path
    .split("/")
    .filter((component) => component !== "" && component !== ".")
    .join("/");
}

function inDirectory(dir: string, { path }: Manifest): string {
  return path === "" ? dir : child(dir, basename(path));
}

function child(dir: string, name: string): string {
  return dir === "" ? name : `${dir}/${name}`;
}

class ArchiveWriter {
  readonly #out: Writable;
  readonly #user: UnixUser;
  readonly #buffer = Buffer.allocUnsafeSlow(CHUNK);

  constructor(out: Writable, user: UnixUser) {
    this.#out = out;
    this.#user = user;
  }

  /** A directory entry for each component: not every tar makes the directories that are missing. */
  async parents(dst: string): Promise<void> {
    let path = "";
    for (const component of dst === "" ? [] : dst.split("/")) {
      path = child(path, component);
      await this.#header("dir", `${path}/`, 0, 0);
    }
  }

  /** What the manifest lists, in `root`, under the name `name`. */
  async item(root: SourceDir, manifest: Manifest, name: string): Promise<void> {
    const components = manifest.path === "" ? [] : manifest.path.split("/");
    const last = components.pop();
    const opened: SourceDir[] = [];
    try {
      let dir = root;
      for (const component of components) {
        dir = this.#unchanged(manifest, () => dir.openDir(component));
        opened.push(dir);
      }
      await this.#entry(dir, last, manifest, name);
    } finally {
      for (const dir of opened) dir[Symbol.dispose]();
    }
  }

  async end(): Promise<void> {
    await this.#write(END_OF_ARCHIVE);
  }

  /** `entry` is the manifest's name in `dir`; undefined for `dir` itself. */
  async #entry(
    dir: SourceDir,
    entry: string | undefined,
    manifest: Manifest,
    name: string,
  ): Promise<void> {
    const stats = this.#unchanged(manifest, () => dir.stat(entry ?? "."));
    if (!stats) throw changed(manifest);
    const mtime = Math.trunc(stats.mtimeMs / 1000);
    switch (manifest.type) {
      case "symlink": {
        const target = this.#unchanged(manifest, () => dir.readLink(entry!));
        if (target !== manifest.target) throw changed(manifest);
        return await this.#header("symlink", name, 0, mtime, { target });
      }
      case "file":
        return await this.#file(dir, entry!, manifest, name);
      case "dir": {
        await this.#header("dir", `${name}/`, 0, mtime);
        const opened =
          entry === undefined ? undefined : this.#unchanged(manifest, () => dir.openDir(entry));
        try {
          for (const inner of manifest.entries) {
            const innerName = basename(inner.path);
            await this.#entry(opened ?? dir, innerName, inner, child(name, innerName));
          }
        } finally {
          opened?.[Symbol.dispose]();
        }
      }
    }
  }

  async #file(
    dir: SourceDir,
    entry: string,
    manifest: Manifest & { type: "file" },
    name: string,
  ): Promise<void> {
    const { fd, stats } = this.#unchanged(manifest, () => dir.openFile(entry));
    try {
      const { size } = stats;
      const executable = isExecutable(stats);
      await this.#header("file", name, size, Math.trunc(stats.mtimeMs / 1000), { executable });
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

  /** Calls `read`; what was there when the manifest was made, and is not now, has been changed by somebody. */
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

function isExecutable({ mode }: Stats): boolean {
  return (mode & 0o111) !== 0;
}
