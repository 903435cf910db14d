import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { chooseLibrary, SQLite } from "../../src/system/sqlite.js";

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

describe.runIf(["x64", "arm64"].includes(process.arch))("version 13", () => {
  const [v13, v12] = [class extends SQLite {}, class extends SQLite {}];
  const take = (name: string) => (name === "better-sqlite3" ? v12 : v13);

  it("is taken from Node-API 10 on", () => {
    expect(chooseLibrary(take, 9)).toBe(v12);
    expect(chooseLibrary(take, 10)).toBe(v13);
  });

  it("is not taken if it was left out, or its compiled part is not for this system", () => {
    const failing = (code: string) => {
      throw Object.assign(new Error(code), { code });
    };
    const without = (name: string) =>
      name === "better-sqlite3" ? v12 : failing("MODULE_NOT_FOUND");
    expect(chooseLibrary(without, 10)).toBe(v12);
    const tooNew = class {
      constructor() {
        failing("ERR_DLOPEN_FAILED"); // version `GLIBC_2.34' not found
      }
    };
    const oldSystem = (name: string) => (name === "better-sqlite3" ? v12 : tooNew);
    expect(chooseLibrary(oldSystem, 10)).toBe(v12);
  });
});
