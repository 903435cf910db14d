/** The columns of a batch's rows, and what templates do with them. */
import type { Escape } from "../../batch/index.js";
import { quoted } from "../../text/index.js";

export class Columns {
  private readonly numbers: ReadonlyMap<string, number>;
  private readonly used = new Set<number>();
  /** That become words of a shell somewhere. */
  private readonly words = new Set<number>();

  constructor(readonly names: readonly string[]) {
    this.numbers = new Map(names.map((name, index) => [name, index]));
  }

  /**
   * The number of a column, which counts as used from now on; null if there is none of that name.
   */
  use(name: string): number | null {
    const number = this.numbers.get(name);
    if (number === undefined) return null;
    this.used.add(number);
    return number;
  }

  /** Notes how a column is used. */
  useAs(column: number, writing: Escape): void {
    if (/word|single|double/.test(writing)) this.words.add(column);
  }

  /** The columns whose values no NUL may be in, as shells take none. */
  get shellWords(): Iterable<number> {
    return this.words;
  }

  /** The columns that nothing uses. */
  get unused(): string[] {
    return this.names.filter((_, index) => !this.used.has(index));
  }

  /** Words for a placeholder that is none of the columns. */
  unknown(name: string): string {
    const known = this.names.map((each) => `{${each}}`).join(", ");
    return `there is no column ${quoted(name)}: there ${this.names.length === 1 ? "is" : "are"} ${known}; for braces write {{${name}}}`;
  }
}
