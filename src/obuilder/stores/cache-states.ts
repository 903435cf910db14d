/*
 * What a process knows of its caches besides what is on the disk. Nothing of it needs to outlive
 * the process, as the caches' users end with it.
 */

import { Mutex } from "../../async/index.js";

export interface CacheState {
  /** Held by whoever takes, gives back or removes the cache. */
  readonly lock: Mutex;
  users: number;
  /** Counts the changes of the cache, its removal included. */
  generation: number;
}

/** By names of caches. */
export class CacheStates {
  readonly #states = new Map<string, CacheState>();

  of(name: string): CacheState {
    let state = this.#states.get(name);
    if (!state) {
      state = { lock: new Mutex(), users: 0, generation: 0 };
      this.#states.set(name, state);
    }
    return state;
  }
}
