import { type Deferred, deferred } from "./deferred.js";

/** Lets so many pieces of work go on at a time; the others wait, first come, first served. */
export class Permits {
  readonly #waiting: Deferred<void>[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  /** How many pieces of work wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      this.#free--;
    } else {
      const turn = deferred();
      this.#waiting.push(turn);
      await turn.promise;
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next.resolve();
      else this.#free++;
    }
  }
}
