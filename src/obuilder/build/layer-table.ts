/*
 * A store's layers as a table for people.
 */

import type { StoredLayer } from "../contracts.js";
import type { LayerRow } from "./database.js";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

const AGES = [
  { unit: "d", seconds: 86_400 },
  { unit: "h", seconds: 3600 },
  { unit: "min", seconds: 60 },
  { unit: "s", seconds: 1 },
];

/** One line for each layer, the longest unused first, and a last one with the sums. Sizes in bytes, in the order of `layers`. */
export function layerTable(
  layers: readonly StoredLayer[],
  sizes: readonly number[],
  rows: readonly LayerRow[],
  now: Date,
): string {
  const known = new Map(rows.map((row) => [row.id, row]));
  const lines = layers
    .map(({ id }, index) => ({ id, size: sizes[index] ?? 0, row: known.get(id) }))
    .sort((a, b) => (a.row?.used.getTime() ?? 0) - (b.row?.used.getTime() ?? 0))
    .map(({ id, size, row }) => [
      id,
      formatSize(size),
      row ? formatAge(now, row.created) : "?",
      row ? formatAge(now, row.used) : "?",
      row ? String(row.children) : "?",
      row?.parent?.slice(0, 12) ?? "",
    ]);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return [
    ...aligned([["LAYER", "SIZE", "CREATED", "USED", "CHILDREN", "BASE"], ...lines]),
    `${layers.length} layers, ${formatSize(total)}`,
  ].join("\n");
}

/** Columns two spaces apart: the first and last one to the left, the others to the right. */
function aligned(table: readonly (readonly string[])[]): string[] {
  const widths = table[0]!.map((_, column) =>
    Math.max(...table.map((cells) => cells[column]!.length)),
  );
  return table.map((cells) =>
    cells
      .map((cell, column) => {
        const width = widths[column]!;
        const left = column === 0 || column === cells.length - 1;
        return left ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd(),
  );
}

/** `1.5 MiB` */
export function formatSize(bytes: number): string {
  let unit = 0;
  let size = bytes;
  for (; size >= 1024 && unit < UNITS.length - 1; unit++) size /= 1024;
  return `${unit === 0 ? size : size.toFixed(1)} ${UNITS[unit]}`;
}

function formatAge(now: Date, then: Date): string {
  const seconds = Math.max(0, (now.getTime() - then.getTime()) / 1000);
  const { unit, seconds: length } =
    AGES.find(({ seconds: length }) => seconds >= length) ?? AGES.at(-1)!;
  return `${Math.floor(seconds / length)} ${unit}`;
}
