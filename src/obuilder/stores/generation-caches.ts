/*
 * Caches for users who each have a private copy: the first one to finish wins.
 *
 * A copy is made of the cache as it is. When it is released it becomes the cache, unless the cache
 * has changed since it was made: then it is dropped. Changes are counted in memory, as all copies
 * end with the process.
 */

import type { Lease } from "../contracts.js";
import { CacheBusy } from "../errors.js";
import type { UnixUser } from "../spec/spec.js";
import { CacheStates } from "./cache-states.js";

/** What a store can do with caches. Calls for the same cache come one at a time. */
export interface CacheBackend {
  /**
   * Makes a copy, and the cache itself, empty, if there is none. `serial` is unique in this
   * process. The copy's top belongs to `user`.
   */
  copy(name: string, serial: number, user: UnixUser): Promise<string>;
  /** Makes the copy the cache. `generation` counts the replacements. */
  replace(name: string, copy: string, generation: number): Promise<void>;
  /** Removes a copy. */
  drop(copy: string): Promise<void>;
  /** Removes a cache, if it exists. */
  remove(name: string): Promise<void>;
  /** Whether a cache can be removed while there are copies. */
  readonly removableInUse: boolean;
}

export class GenerationCaches {
  readonly #backend: CacheBackend;
  readonly #states = new CacheStates();
  #serial = 0;

  constructor(backend: CacheBackend) {
    this.#backend = backend;
  }

  take(name: string, user: UnixUser): Promise<Lease> {
    const state = this.#states.of(name);
    return state.lock.run(async () => {
      const { generation } = state;
      const path = await this.#backend.copy(name, this.#serial++, user);
      state.users++;
      const release = () =>
        state.lock.run(async () => {
          state.users--;
          if (state.generation !== generation) return await this.#backend.drop(path);
          state.generation++;
          await this.#backend.replace(name, path, generation);
        });
      return { path, release };
    });
  }

  delete(name: string): Promise<void> {
    const state = this.#states.of(name);
    return state.lock.run(async () => {
      if (state.users > 0 && !this.#backend.removableInUse) throw new CacheBusy(name);
      state.generation++; // what is copied already must not come back
      await this.#backend.remove(name);
    });
  }
}
