/*
 * The root of a container, to be looked at by way of its engine, as it may be kept where we cannot
 * see it.
 */

import type { DockerEngine } from "../../docker/index.js";
import { toBytes } from "../../text/index.js";
import type { RootEntry, RootView } from "../contracts.js";

/** Bits of Go's `os.FileMode`. */
const DIRECTORY = 2 ** 31;
const SYMLINK = 2 ** 27;

export class ContainerRoot implements RootView {
  readonly #engine: DockerEngine;
  readonly #container: string;

  constructor(engine: DockerEngine, container: string) {
    this.#engine = engine;
    this.#container = container;
  }

  async entry(path: string): Promise<RootEntry | undefined> {
    // The engine takes paths of UTF-8 only: a name that is none is taken for one that is not there.
    const stat = await this.#engine.stat(this.#container, `/${toBytes(path).toString("utf8")}`);
    if (!stat) return undefined;
    if (hasBit(stat.mode, DIRECTORY)) return { kind: "dir" };
    if (hasBit(stat.mode, SYMLINK)) return { kind: "link", target: stat.linkTarget };
    return { kind: "other" };
  }
}

function hasBit(mode: number, bit: number): boolean {
  return Math.floor(mode / bit) % 2 === 1;
}
