/** Lets so many in at a time; others wait in a line that has an end. */
import { Permits } from "../../async/index.js";
import { tooMany } from "./errors.js";

export class Turnstile {
  private readonly permits: Permits;

  /** @param room how many at a time; @param line how many wait at most, at least one */
  constructor(
    room: number,
    private readonly line: number,
  ) {
    this.permits = new Permits(room);
  }

  /** What `use` comes to. Rejects with an `ApiError` (too_many) if the line is full. */
  async run<T>(use: () => Promise<T>): Promise<T> {
    if (this.permits.waiting >= this.line) throw tooMany("There is too much to do: wait.", 2);
    return await this.permits.run(use);
  }
}
