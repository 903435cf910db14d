/*
 * A directory that others have filled, read without being led out of it.
 *
 * What is copied into a build comes from a checked-out repository or from the root file system of
 * a build, and whoever made these may still be changing them. A path with several components
 * could at any moment lead through a symbolic link to anywhere on this machine. So directories
 * are opened one by one, none through a link, and every name is looked up in an open directory
 * (by way of /proc/self/fd, Node having no openat).
 *
 * The calls are synchronous: a source tree has many small files, and a round trip through Node's
 * thread pool costs ten times the call. Whoever walks a tree must pause now and then.
 */

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  type Stats,
} from "node:fs";
import { fromBytes, toBytes } from "../text/index.js";

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

export class SourceDir implements Disposable {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens the top directory, which the caller vouches for: links on the way to it are followed. */
  static open(path: string): SourceDir {
    return new SourceDir(openSync(toBytes(path), O_RDONLY | O_DIRECTORY));
  }

  /** The names in the directory, in the order of their bytes. */
  names(): string[] {
    const names = readdirSync(`/proc/self/fd/${this.#fd}`, { encoding: "buffer" });
    return names.sort(Buffer.compare).map((name) => fromBytes(name));
  }

  /** Undefined if there is nothing by that name. Links are not followed. */
  stat(name: string): Stats | undefined {
    return lstatSync(this.#path(name), { throwIfNoEntry: false });
  }

  /** Throws ELOOP or ENOTDIR if it is no directory. To be disposed by the caller. */
  openDir(name: string): SourceDir {
    return new SourceDir(openSync(this.#path(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  }

  /** The descriptor of a regular file, to be closed by the caller. Throws ELOOP if it is none. */
  openFile(name: string): { fd: number; stats: Stats } {
    // A pipe or device that takes the file's place must not be waited for.
    const fd = openSync(this.#path(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const stats = fstatSync(fd);
    if (stats.isFile()) return { fd, stats };
    closeSync(fd);
    throw Object.assign(new Error(`${name} is not a regular file`), { code: "ELOOP" });
  }

  readLink(name: string): string {
    return fromBytes(readlinkSync(this.#path(name), { encoding: "buffer" }));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #path(name: string): Buffer {
    return Buffer.concat([Buffer.from(`/proc/self/fd/${this.#fd}/`), toBytes(name)]);
  }
}
