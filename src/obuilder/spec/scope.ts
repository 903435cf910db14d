/*
 * Names of nested builds in scope: those of the build itself, and those of the builds around it. An
 * inner scope sees the outer one as it is, without a copy: a spec may have very many builds.
 */

export class Scope<T> {
  readonly #outer: Scope<T> | undefined;
  readonly #own = new Map<string, T>();

  constructor(outer?: Scope<T>) {
    this.#outer = outer;
  }

  /** Gives a name a meaning; one that it had before is hidden. */
  set(name: string, value: T): void {
    this.#own.set(name, value);
  }

  has(name: string): boolean {
    return this.#own.has(name) || (this.#outer?.has(name) ?? false);
  }

  get(name: string): T | undefined {
    return this.#own.has(name) ? this.#own.get(name) : this.#outer?.get(name);
  }

  /** All names, each once, in no particular order. */
  names(): Set<string> {
    const names = this.#outer?.names() ?? new Set();
    for (const name of this.#own.keys()) names.add(name);
    return names;
  }
}
