/**
 * Which rows of a very long list are in view, and where its scroll bar is. All rows have one
 * height. Browsers draw nothing beyond some tens of millions of pixels, so that a list that would
 * be higher than `MAX_HEIGHT` is scaled: its scroll bar moves by more than a row for each row.
 */

/** Of a row, in pixels. */
export const ROW = 20;
export const MAX_HEIGHT = 8_000_000;

export interface Extent {
  /** Rows. */
  readonly total: number;
  /** Of what can be seen at a time, in pixels. */
  readonly height: number;
}

export function isScaled({ total }: Extent): boolean {
  return total * ROW > MAX_HEIGHT;
}

/** Of all rows, in pixels. */
export function contentHeight({ total }: Extent): number {
  return Math.min(MAX_HEIGHT, total * ROW);
}

/** The last row that can be at the top, with a fraction. */
export function lastTop({ height, total }: Extent): number {
  return Math.max(0, total - height / ROW);
}

/** The row at the top edge, with a fraction. */
export function topOf(scrollTop: number, extent: Extent): number {
  const room = contentHeight(extent) - extent.height;
  if (room <= 0) return 0;
  const top = isScaled(extent) ? (scrollTop / room) * lastTop(extent) : scrollTop / ROW;
  return Math.max(0, Math.min(lastTop(extent), top));
}

/** Where to scroll to for that row to be at the top. */
export function scrollOf(top: number, extent: Extent): number {
  const bounded = Math.max(0, Math.min(lastTop(extent), top));
  if (!isScaled(extent)) return Math.round(bounded * ROW);
  return (bounded / lastTop(extent)) * (contentHeight(extent) - extent.height);
}

/** The rows that are in view, with the parts of rows at both edges. */
export function rowsAt(top: number, { height, total }: Extent): { first: number; last: number } {
  const first = Math.max(0, Math.floor(top));
  return { first, last: Math.min(total - 1, Math.floor(top + height / ROW)) };
}

/** The top with which a row is in view, with some before it; the same top if it is already. */
export function topToShow(row: number, top: number, extent: Extent): number {
  const rows = extent.height / ROW;
  if (row >= top + 1 && row <= top + rows - 2) return top;
  return Math.max(0, Math.min(lastTop(extent), row - Math.floor(rows / 3)));
}
