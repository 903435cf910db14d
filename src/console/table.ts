/**
 * Tables of text: columns as wide as they need, and no wider together than the terminal.
 *
 * Where there is no terminal, nothing is cut. Columns without content are left out, unless they are
 * to stay. Cells are shown as they are: names of others must have been made visible before.
 */
import { clipText, widthOfText } from "./cells.js";
import type { Sink } from "./terminal.js";

export interface Column {
  readonly head: string;
  /** Right for numbers, which are never cut. */
  readonly align?: "left" | "right";
  /** Left out before others when there is no room for all columns; the last one first. */
  readonly expendable?: boolean;
  /** Stays, with its head, where it has no content. */
  readonly keep?: boolean;
}

type Row = readonly string[];

/** A column that is cut keeps so many characters. */
const MIN_WIDTH = 6;

const GAP = "  ";

/** Lays rows out as they come, by the widths of the first ones. */
export class Table {
  private widths: number[] | undefined;

  /** @param width of the terminal in columns; Infinity without one */
  constructor(
    private readonly columns: readonly Column[],
    private readonly width: number = widthOf(process.stdout),
  ) {}

  /** Lines for these rows; the heads are before the first ones. */
  lines(rows: readonly Row[]): string[] {
    if (this.widths) return rows.map((row) => this.layOut(row));
    this.widths = this.fit(rows);
    return [this.columns.map(({ head }) => head), ...rows].map((row) => this.layOut(row));
  }

  /** The widths of columns; 0 of those that are left out. */
  private fit(rows: readonly Row[]): number[] {
    const widths = this.columns.map(({ head, keep }, i) => {
      const longest = rows.reduce((most, row) => Math.max(most, widthOfText(row[i]!)), 0);
      return longest === 0 && !keep ? 0 : Math.max(longest, head.length);
    });
    const least = widths.map((width, i) => Math.min(width, this.leastOf(i)));
    // Rather a column less than a number that is cut; the first one says what a row is about.
    for (const isLast of [false, true]) {
      for (let i = widths.length - 1; i > 0 && total(least) > this.width; i--) {
        if (isLast || this.columns[i]!.expendable) widths[i] = least[i] = 0;
      }
    }
    for (let excess = total(widths) - this.width; excess > 0; excess--) {
      const widest = indexOfMost(widths.map((width, i) => (width > least[i]! ? width : 0)));
      if (widths[widest] === least[widest]) break;
      widths[widest]!--;
    }
    return widths;
  }

  /** However narrow the terminal is. */
  private leastOf(index: number): number {
    const { align, head } = this.columns[index]!;
    return align === "right" ? Infinity : Math.max(MIN_WIDTH, head.length);
  }

  private layOut(row: Row): string {
    const cells = this.columns.flatMap(({ align }, i) => {
      const width = this.widths![i]!;
      if (width === 0) return [];
      const cell = this.width === Infinity ? row[i]! : cut(row[i]!, width);
      const padding = " ".repeat(Math.max(0, width - widthOfText(cell)));
      return [align === "right" ? padding + cell : cell + padding];
    });
    const line = cells.join(GAP).trimEnd();
    return this.width === Infinity ? line : cut(line, this.width);
  }
}

/**
 * How wide the terminal is; Infinity where there is none. A serial line may say that it has 0
 * columns.
 */
export function widthOf(sink: Sink): number {
  return sink.isTTY === true ? sink.columns || 80 : Infinity;
}

function cut(text: string, width: number): string {
  if (widthOfText(text) <= width) return text;
  return `${clipText(text, Math.max(0, width - 1))}…`;
}

/** Of the columns that are shown, with what is between them. */
function total(widths: readonly number[]): number {
  const shown = widths.filter((width) => width > 0);
  return shown.reduce((a, b) => a + b + GAP.length, -GAP.length);
}

/** The last of the largest. */
function indexOfMost(numbers: readonly number[]): number {
  return numbers.lastIndexOf(Math.max(...numbers));
}
