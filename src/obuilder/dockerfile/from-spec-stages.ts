/*
 * Names of the stages of a Dockerfile. Builds of a spec may be called anything, and builds within
 * builds may have one name twice; stages share one name space with each other and with images, and
 * their names are lower-case words.
 */

import type { Spec } from "../spec/spec.js";

export class StageNames {
  /** Names of images and of stages so far, in lower case. */
  readonly #taken = new Set<string>();

  constructor(spec: Spec) {
    this.#takeImages(spec);
  }

  /** A name for a build; its own if that will do. */
  assign(wanted: string): string {
    let name = wanted;
    for (let n = this.#taken.size; !isUsable(name) || this.#taken.has(name); n++) {
      name = `stage-${n}`;
    }
    this.#taken.add(name);
    return name;
  }

  #takeImages({ children, from }: Spec): void {
    this.#taken.add(from.toLowerCase());
    for (const { spec } of children) this.#takeImages(spec);
  }
}

function isUsable(name: string): boolean {
  return /^[a-z][a-z0-9_.-]*$/.test(name) && name !== "scratch" && name !== "context";
}
