/** Lets so many in at a time; others wait in a line that has an end. */
import { tooMany } from "./errors.js";

export class Turnstile {
  private inside = 0;
  private readonly waiting: (() => void)[] = [];

  /** @param room how many at a time; @param line how many wait at most */
  constructor(
    private readonly room: number,
    private readonly line: number,
  ) {}

  /** What `use` comes to. Rejects with an `ApiError` (too_many) if the line is full. */
  async run<T>(use: () => Promise<T>): Promise<T> {
    if (this.inside < this.room) {
      this.inside++;
    } else {
      if (this.waiting.length >= this.line) throw tooMany("There is too much to do: wait.", 2);
      // Whoever leaves gives its place on.
      await new Promise<void>((enter) => this.waiting.push(enter));
    }
    try {
      return await use();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.inside--;
    }
  }
}
