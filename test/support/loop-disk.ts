/*
 * File systems of a test's own, on a file or in memory.
 */

import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync } from "node:fs";

/** How to make each kind on a file. */
const MAKE = {
  btrfs: ["mkfs.btrfs", "-q"],
  xfs: ["mkfs.xfs", "-q", "-m", "reflink=1"],
  ext4: ["mkfs.ext4", "-q"],
} as const;

export type DiskKind = keyof typeof MAKE | "tmpfs";

export class LoopDisk {
  readonly path: string;
  readonly #image: string;

  /** Mounts a new file system of `size` (as truncate(1) has it) on the directory `path`. */
  constructor(kind: DiskKind, path: string, size: string) {
    this.path = path;
    this.#image = `${path}.img`;
    mkdirSync(path);
    if (kind === "tmpfs") {
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path]);
      return;
    }
    execFileSync("truncate", ["-s", size, this.#image]);
    const [program, ...args] = MAKE[kind];
    execFileSync(program, [...args, this.#image], { stdio: ["ignore", "ignore", "inherit"] });
    execFileSync("mount", ["-o", "loop", this.#image, path]);
  }

  /** What has been sent to the disk by now, for `cutPower`. */
  freeze(): void {
    execFileSync("cp", ["--sparse=always", this.#image, `${this.#image}.frozen`]);
  }

  /**
   * Mounts the file system as it is found after a power cut at the moment of `freeze`. Nobody must
   * use it.
   */
  cutPower(): void {
    this.#unmount();
    renameSync(`${this.#image}.frozen`, this.#image);
    execFileSync("mount", ["-o", "loop", this.#image, this.path]);
  }

  remove(): void {
    this.#unmount();
    rmSync(this.path, { recursive: true });
    rmSync(this.#image, { force: true });
  }

  /**
   * The kernel closes the files of a process that was killed a moment after it has said that it is
   * gone.
   */
  #unmount(): void {
    for (let left = 50; ; left--) {
      try {
        execFileSync("umount", [this.path], { stdio: ["ignore", "ignore", "pipe"] });
        return;
      } catch (error) {
        if (left === 0) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      }
    }
  }
}
