import { setImmediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { SQLite } from "../../src/files/sqlite.js";

it("survives that statements are collected at any time", async () => {
  const db = new SQLite(":memory:");
  for (let turn = 0; turn < 20; turn++) {
    for (let i = 0; i < 100; i++) db.prepare("SELECT 1");
    // Fills the space of young objects, so that they are collected, between turns too.
    expect(Array.from({ length: 20_000 }, () => ({}))).toHaveLength(20_000);
    await setImmediate();
  }
  expect(db.prepare("SELECT 2").pluck().get()).toBe(2);
  db.close();
});
