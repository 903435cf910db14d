/**
 * The rows of a batch as cells of a grid. As many rows as share a cell as it takes for the grid to
 * stay readable: a hundred thousand are some thousand cells. A cell shows what matters most of its
 * rows: a failure before all else.
 */

export type CellState = "failed" | "running" | "open" | "cancelled" | "succeeded";

export interface Cell {
  readonly state: CellState;
  /** The share of its rows that are in this state. */
  readonly share: number;
}

export interface Counts {
  readonly failed: number;
  readonly running: number;
  readonly open: number;
  readonly cancelled: number;
  readonly succeeded: number;
}

/** By letters of the API: what is none of them has not begun. */
const STATES: Readonly<Record<string, CellState>> = {
  f: "failed",
  r: "running",
  s: "succeeded",
  c: "cancelled",
};

/** What matters more comes first. */
const WEIGHT: readonly CellState[] = ["failed", "running", "open", "cancelled", "succeeded"];

export interface Shape {
  /** Cells in a line. */
  readonly columns: number;
  readonly lines: number;
  /** Rows in a cell. */
  readonly rowsPerCell: number;
  readonly cells: number;
}

/** A grid of at most so many lines. Rows in a cell are a round number: 1, 2, 5, 10, 20, … */
export function shapeOf(rows: number, columns: number, maxLines: number): Shape {
  const wide = Math.max(1, columns);
  let rowsPerCell = 1;
  for (let power = 1; rowsPerCell * wide * maxLines < rows; power *= 10) {
    for (const factor of [1, 2, 5]) {
      rowsPerCell = power * factor;
      if (rowsPerCell * wide * maxLines >= rows) break;
    }
  }
  const cells = Math.ceil(rows / rowsPerCell);
  return { columns: wide, lines: Math.ceil(cells / wide), rowsPerCell, cells };
}

/** How many of each there are from row `from` on, which is counted from 0; `to` is not included. */
export function countsOf(states: string, from: number, to: number): Counts {
  const counts = { failed: 0, running: 0, open: 0, cancelled: 0, succeeded: 0 };
  for (let row = from; row < to; row++) counts[STATES[states[row] ?? "."] ?? "open"]++;
  return counts;
}

export function cellAt(states: string, rows: number, index: number, { rowsPerCell }: Shape): Cell {
  const from = index * rowsPerCell;
  const to = Math.min(rows, from + rowsPerCell);
  const counts = countsOf(states, from, to);
  const state = WEIGHT.find((each) => counts[each] > 0) ?? "open";
  return { state, share: counts[state] / Math.max(1, to - from) };
}

/** A cell in words: `rows 41 to 60: 19 succeeded, 1 failed`. Rows are counted from 1. */
export function tellCell(states: string, rows: number, index: number, shape: Shape): string {
  const from = index * shape.rowsPerCell;
  const to = Math.min(rows, from + shape.rowsPerCell);
  const counts = countsOf(states, from, to);
  const parts = WEIGHT.filter((each) => counts[each] > 0).map((each) => {
    const word = each === "open" ? "not begun" : each;
    return to - from === 1 ? word : `${counts[each]} ${word}`;
  });
  const which = to - from === 1 ? `row ${to}` : `rows ${from + 1} to ${to}`;
  return `${which}: ${parts.join(", ")}`;
}
