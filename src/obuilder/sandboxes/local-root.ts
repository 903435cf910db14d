/*
 * A root in a directory of this machine, to be looked at before anything of it runs. Nothing leads
 * out of it: whoever looks follows its links by asking for each component, and the last one is
 * never followed here.
 */

import { lstatSync, readlinkSync } from "node:fs";
import { fromBytes, toBytes } from "../../text/index.js";
import type { RootEntry, RootView } from "../contracts.js";

/** Nothing is at such a path. What is too long a name for the system cannot be there either. */
const NOTHING = new Set(["ENOENT", "ENOTDIR", "ENAMETOOLONG"]);

export class LocalRoot implements RootView {
  readonly #rootfs: string;

  constructor(rootfs: string) {
    this.#rootfs = rootfs;
  }

  entry(path: string): RootEntry | undefined {
    const full = Buffer.concat([Buffer.from(`${this.#rootfs}/`), toBytes(path)]);
    try {
      const stats = lstatSync(full);
      if (stats.isDirectory()) return { kind: "dir" };
      if (!stats.isSymbolicLink()) return { kind: "other" };
      return { kind: "link", target: fromBytes(readlinkSync(full, { encoding: "buffer" })) };
    } catch (error) {
      if (NOTHING.has((error as NodeJS.ErrnoException).code ?? "")) return undefined;
      throw error;
    }
  }
}
