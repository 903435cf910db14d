/** Tables: as wide as they need, but not wider than the terminal. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { type Column, Table } from "../../src/console/index.js";

const COLUMNS: readonly Column[] = [
  { head: "JOB", align: "right" },
  { head: "NAME" },
  { head: "KEY" },
  { head: "REASON" },
];

const ROWS = [
  ["9", "nightly", "", "Build failed"],
  ["10", "n", "", "𝄞"],
];

it("has columns as wide as their content, and none without", () => {
  expect(new Table(COLUMNS, Infinity).lines(ROWS)).toEqual([
    "JOB  NAME     REASON",
    "  9  nightly  Build failed",
    " 10  n        𝄞",
  ]);
});

it("takes from the widest what the terminal has no room for, and never from numbers", () => {
  expect(new Table(COLUMNS, 22).lines(ROWS)).toEqual([
    "JOB  NAME     REASON",
    "  9  nightly  Build f…",
    " 10  n        𝄞",
  ]);
});

it("leaves columns out rather than cutting others down to nothing", () => {
  const columns = COLUMNS.map((column) => ({ ...column, expendable: column.head === "NAME" }));
  expect(new Table(columns, 15).lines(ROWS)).toEqual(["JOB  REASON", "  9  Build fai…", " 10  𝄞"]);
});

it("leaves out any but the first rather than cutting a number", () => {
  const columns: Column[] = [
    { head: "POOL" },
    { head: "WORKERS", align: "right" },
    { head: "RUNNING", align: "right" },
  ];
  const rows = [["linux-x86_64", "12", "345"]];
  expect(new Table(columns, 30).lines(rows)).toEqual([
    "POOL          WORKERS  RUNNING",
    "linux-x86_64       12      345",
  ]);
  expect(new Table(columns, 23).lines(rows)).toEqual([
    "POOL          WORKERS",
    "linux-x86_64       12",
  ]);
  expect(new Table(columns, 9).lines(rows)).toEqual(["POOL", "linux-x8…"]);
});

it("lays out further rows as the first", () => {
  const table = new Table(COLUMNS, Infinity);
  table.lines(ROWS);
  expect(table.lines([["11", "a long name", "", "-"]])).toEqual([" 11  a long name  -"]);
});

it("never is wider than its terminal", () => {
  const cell = fc.string({ unit: "grapheme-ascii", maxLength: 30 });
  const rows = fc.array(fc.tuple(cell, cell, cell, cell), { maxLength: 5 });
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 120 }), (rows, width) => {
      const lines = new Table(COLUMNS, width).lines(rows);
      expect(lines).toHaveLength(rows.length + 1);
      for (const line of lines) expect([...line].length).toBeLessThanOrEqual(width);
    }),
  );
});
