/*
 * What the store remembers of its layers, also after somebody has interfered.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LayerDatabase, readRows } from "../../src/obuilder/build/database.js";

let dir: string;
let db: LayerDatabase;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "obuilder-db-"));
  db = new LayerDatabase(join(dir, "db.sqlite"));
});

afterEach(() => {
  db.close();
  rmSync(dir, { recursive: true });
});

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 12, 0, second));
const FOREVER = at(3600);
const none = () => false;

const childCounts = () => Object.fromEntries(db.rows().map(({ id, children }) => [id, children]));

/** `base` with the children `a` and `b`; `c` is made from `a`. */
function family(): void {
  db.add("base", undefined, at(0));
  db.add("a", "base", at(1));
  db.add("b", "base", at(2));
  db.add("c", "a", at(3));
}

describe("readers", () => {
  it("see what was recorded so far, while it is open and afterwards", () => {
    const path = join(dir, "db.sqlite");
    expect(readRows(path)).toEqual([]);
    family();
    expect(readRows(path)).toEqual(db.rows());
    db.delete("c");
    expect(readRows(path)).toEqual(db.rows());
    const rows = db.rows();
    db.close();
    expect(readRows(path)).toEqual(rows);
    db = new LayerDatabase(path);
    expect(db.rows()).toEqual(rows);
  });

  it("see nothing where there is no database", () => {
    expect(readRows(join(dir, "none.sqlite"))).toEqual([]);
  });
});

describe("children", () => {
  it("are counted as they come and go", () => {
    family();
    expect(childCounts()).toEqual({ base: 2, a: 1, b: 0, c: 0 });
    expect(db.children("base")).toEqual(["a", "b"]);
    db.delete("c");
    db.delete("a");
    expect(childCounts()).toEqual({ base: 1, b: 0 });
  });

  it("of a layer that was lost and made again are not forgotten", () => {
    family();
    db.add("a", "base", at(9));
    expect(childCounts()).toEqual({ base: 2, a: 1, b: 0, c: 0 });
  });

  it("follow a layer that is made again from another one", () => {
    family();
    db.add("c", "b", at(9));
    expect(childCounts()).toEqual({ base: 2, a: 0, b: 1, c: 0 });
  });
});

describe("the longest unused layer", () => {
  it("is one without children", () => {
    family();
    expect(db.leastRecentlyUsed(FOREVER, none)).toBe("b");
    db.markUsed("b", at(10));
    expect(db.leastRecentlyUsed(FOREVER, none)).toBe("c");
  });

  it("was last used in an earlier second", () => {
    family();
    expect(db.leastRecentlyUsed(at(2), none)).toBeUndefined();
    expect(db.leastRecentlyUsed(at(3), none)).toBe("b");
  });

  it("is none of the excluded ones, however many these are", () => {
    db.add("base", undefined, at(0));
    for (let n = 0; n < 50; n++) db.add(`l${n}`, "base", at(n));
    const pinned = (id: string) => id !== "l42";
    expect(db.leastRecentlyUsed(FOREVER, pinned)).toBe("l42");
  });
});

describe("reconciliation with the store", () => {
  it("forgets what is gone and takes in what it did not know", () => {
    family();
    const layers = [{ id: "base" }, { id: "a" }, { id: "c" }, { id: "new", parent: "c" }];
    db.reconcile(layers, at(20));
    expect(childCounts()).toEqual({ base: 1, a: 1, c: 1, new: 0 });
  });

  it("puts counts right", () => {
    family();
    db.reconcile([{ id: "a" }, { id: "b" }, { id: "c" }], at(20));
    expect(childCounts()).toEqual({ a: 1, b: 0, c: 0 });
  });
});

it("tells whether a used layer was known", () => {
  expect(db.markUsed("nobody", at(1))).toBe(false);
  db.add("somebody", undefined, at(1));
  expect(db.markUsed("somebody", at(5))).toBe(true);
  expect(db.rows()[0]).toMatchObject({ created: at(1), used: at(5) });
});
