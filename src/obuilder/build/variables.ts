/*
 * The variables of a build, as `env` operations set them one after the other. Each operation makes
 * a new set that shares all with the one before, as a spec may have very many; the list is made
 * when a step needs it.
 */

import type { Env, KeyValue } from "../spec/spec.js";

export class Variables {
  /** The list so far … */
  #known: Env;
  /** … and what was set since then, the last one first. */
  #set: Setting | undefined;

  constructor(env: Env = []) {
    this.#known = env;
  }

  /** With a variable that has this value now, and is the first one. */
  with(key: string, value: string): Variables {
    const next = new Variables(this.#known);
    next.#set = { variable: [key, value], before: this.#set };
    return next;
  }

  /**
   * The variable set last comes first. Of several with one key, which only images have, the first
   * one gives way.
   */
  get list(): Env {
    if (!this.#set) return this.#known;
    const list: KeyValue[] = [];
    const hidden = new Set<string>();
    for (let each: Setting | undefined = this.#set; each; each = each.before) {
      const [key] = each.variable;
      if (hidden.has(key)) continue;
      hidden.add(key);
      list.push(each.variable);
    }
    for (const variable of this.#known) {
      if (!hidden.delete(variable[0])) list.push(variable);
    }
    this.#known = list;
    this.#set = undefined;
    return list;
  }
}

interface Setting {
  readonly variable: KeyValue;
  readonly before: Setting | undefined;
}
