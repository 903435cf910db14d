/*
 * What is said of a conversion that succeeds: each thing once, and with its line.
 */

import type { Problem } from "./errors.js";

/** Say how an image is to be run, and change nothing of what a build does. */
const OF_RUNNING = new Set([
  ...["CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "STOPSIGNAL", "VOLUME"],
]);

export class Remarks {
  /** Of the instruction that is looked at, from 1. */
  line = 1;
  readonly #warnings: Problem[] = [];
  readonly #warnedOnce = new Set<string>();
  /** Instructions that were left out, and where the first of each stands. */
  readonly #leftOut = new Map<string, number>();

  readonly warn = (message: string): void => {
    this.#warnings.push({ line: this.line, message });
  };

  /** Of several messages that differ in nothing but their example only the first is given. */
  readonly warnOnce = (message: string): void => {
    const kind = message.replace(/^\S+ has mode.*?, /, "");
    if (this.#warnedOnce.has(kind)) return;
    this.#warnedOnce.add(kind);
    this.warn(message);
  };

  /** Whether a spec has no use for such an instruction, which is then said. */
  isLeftOut(keyword: string): boolean {
    if (!OF_RUNNING.has(keyword)) return false;
    if (!this.#leftOut.has(keyword)) this.#leftOut.set(keyword, this.line);
    return true;
  }

  get all(): Problem[] {
    return [...this.#warnings, ...this.#aboutLeftOut()];
  }

  #aboutLeftOut(): Problem[] {
    const [first] = this.#leftOut;
    if (!first) return [];
    const names = [...this.#leftOut.keys()];
    const list =
      names.length === 1 ? names[0] : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
    const [say, verb] = names.length === 1 ? ["it says", "is"] : ["they say", "are"];
    const message = `${list} ${verb} left out: ${say} how to run the image, and a spec says how to build it`;
    const volumes =
      "; what is below a VOLUME is kept, as BuildKit does and the classic builder does not";
    return [{ line: first[1], message: names.includes("VOLUME") ? message + volumes : message }];
  }
}
