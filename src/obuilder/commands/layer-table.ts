/*
 * A store's layers as a table for people.
 */

import { type Column, Table } from "../../console/index.js";
import { roughAge, writeSize } from "../../text/index.js";
import type { LayerRow } from "../build/database.js";
import type { StoredLayer } from "../contracts.js";

const COLUMNS: readonly Column[] = [
  { head: "LAYER", keep: true },
  { head: "SIZE", align: "right", keep: true },
  { head: "CREATED", align: "right", keep: true },
  { head: "USED", align: "right", keep: true },
  { head: "CHILDREN", align: "right", keep: true },
  { head: "BASE", keep: true },
];

/**
 * One line for each layer, the longest unused first, and a last one with the sums. Sizes in bytes,
 * in the order of `layers`.
 */
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
      writeSize(size),
      row ? ageAt(now, row.created) : "?",
      row ? ageAt(now, row.used) : "?",
      row ? String(row.children) : "?",
      row?.parent?.slice(0, 12) ?? "",
    ]);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return [
    ...new Table(COLUMNS, Number.POSITIVE_INFINITY).lines(lines),
    `${layers.length} layers, ${writeSize(total)}`,
  ].join("\n");
}

function ageAt(now: Date, then: Date): string {
  return roughAge((now.getTime() - then.getTime()) / 1000);
}
