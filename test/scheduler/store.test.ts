/** The state database: shared with the reference, kept across restarts, and never harmed. */

import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Store } from "../../src/scheduler/state/store.js";
import { StoreError } from "../../src/scheduler/state/store-error.js";
import { SQLite } from "../../src/system/sqlite.js";
import { golden } from "../support/golden.js";

const GOLDEN = golden("state");

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-store-"));
  file = join(dir, "scheduler.db");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const schemaOf = (path: string) => execFileSync("sqlite3", [path, ".schema"], { encoding: "utf8" });
const bytes = (text: string) => new TextEncoder().encode(text);

/** A copy of the database that the reference wrote. */
function copyGolden(): void {
  copyFileSync(join(GOLDEN, "scheduler.db"), file);
}

describe("a state directory of the reference", () => {
  test("has the same schema as a new one of ours", () => {
    copyGolden();
    const ours = join(dir, "ours.db");
    Store.open(ours).close();
    expect(schemaOf(ours)).toBe(schemaOf(file));
  });

  test("is read in full", () => {
    const { rows } = JSON.parse(readFileSync(join(GOLDEN, "expected.json"), "utf8"));
    copyGolden();
    const schema = schemaOf(file);
    const store = Store.open(file);
    const pool = store.pool("linux-x86_64");
    expect(
      pool.knownWorkers().map(({ name, paused }) => ["linux-x86_64", name, paused ? 1 : 0]),
    ).toEqual(rows.workers);
    expect([...pool.cached()]).toEqual(
      rows.cached.map(([, hint, worker]: string[]) => [hint, [worker]]),
    );
    for (const [, client, rate] of rows.pool_user_rate) expect(pool.rate(client)).toBe(rate);
    expect(pool.rate("bob")).toBe(1);
    expect(store.pool("linux-arm32").knownWorkers()).toEqual([]);

    const refs = rows.sturdy_refs as [string, string, string, string][];
    expect(
      store.sturdyRefs
        .list("ocluster-client")
        .map(({ hash, type, args }) => [
          Buffer.from(hash).toString("hex"),
          type,
          Buffer.from(args).toString(),
        ]),
    ).toEqual(refs.map((row) => row.slice(0, 3)));
    for (const [hash, type, client] of refs) {
      const found = store.sturdyRefs.lookup(Buffer.from(hash, "hex"))!;
      expect([found.type, Buffer.from(found.args).toString()]).toEqual([type, client]);
    }
    store.close();
    expect(schemaOf(file)).toBe(schema);
  });

  test("gets rows of the types that the reference reads", () => {
    copyGolden();
    const store = Store.open(file, { now: () => Date.UTC(2030, 4, 6) });
    const pool = store.pool("linux-arm32");
    pool.addWorker("w2");
    pool.setPaused("w2", true);
    pool.addWorker("w3");
    pool.setRate("carol", 3);
    pool.markCached("hint", "w2");
    const added = {
      hash: new Uint8Array(32).fill(7),
      type: "ocluster-client",
      args: bytes("carol"),
    };
    store.sturdyRefs.add(added);
    store.close();
    const db = new SQLite(file, { readonly: true });
    const types = (table: string, ...columns: string[]) =>
      db
        .prepare(`SELECT ${columns.map((c) => `typeof(${c})`)} FROM ${table} GROUP BY 1`)
        .raw()
        .all();
    expect(types("cached", "cache_hint", "worker", "created")).toEqual([["text", "text", "text"]]);
    expect(types("pool_user_rate", "user", "rate")).toEqual([["text", "real"]]);
    expect(types("workers", "id", "paused")).toEqual([["text", "integer"]]);
    expect(types("sturdy_refs", "hash", "type", "args", "created")).toEqual([
      ["blob", "text", "blob", "text"],
    ]);
    expect(
      db.prepare("SELECT id, paused FROM workers WHERE pool = 'linux-arm32'").raw().all(),
    ).toEqual([
      ["w2", 1],
      ["w3", 0],
    ]);
    expect(db.prepare("SELECT created FROM cached WHERE worker = 'w2'").pluck().all()).toEqual([
      "2030-05-06",
    ]);
    expect(db.pragma("journal_mode", { simple: true })).toBe("wal");
    db.close();
  });
});

describe("what is kept", () => {
  test("survives the process being killed", () => {
    // Not closed, as if killed: what was written is in the file and its write-ahead log.
    const killed = Store.open(file);
    const before = killed.pool("p");
    before.addWorker("w1");
    before.addWorker("w2");
    before.addWorker("gone");
    before.setPaused("w2", true);
    before.removeWorker("gone");
    before.setRate("ann", 2.5);
    before.setRate("ben", 7);
    before.removeRate("ben");
    before.markCached("docs", "w2");
    before.markCached("docs", "w1");
    before.markCached("", "é");
    const store = Store.open(file);
    const pool = store.pool("p");
    expect(pool.knownWorkers()).toEqual([
      { name: "w1", paused: false },
      { name: "w2", paused: true },
    ]);
    expect([pool.rate("ann"), pool.rate("ben")]).toEqual([2.5, 1]);
    expect([...pool.cached()]).toEqual([
      ["", ["é"]],
      ["docs", ["w1", "w2"]],
    ]);
    store.close();
    killed.close();
  });

  test("is apart for each pool", () => {
    const store = Store.open(file);
    const [one, two] = [store.pool("one"), store.pool("two")];
    one.addWorker("w");
    one.setRate("ann", 2);
    one.markCached("docs", "w");
    expect(two.isKnown("w")).toBe(false);
    expect(two.rate("ann")).toBe(1);
    expect(two.holders("docs")).toEqual([]);
    store.close();
  });

  test("names are sorted as bytes, as the database sorts them", () => {
    const names = ["Z", "a", "é", "\u{ffee}", "\u{1f600}", "ab", ""];
    const store = Store.open(file);
    const pool = store.pool("p");
    for (const name of names) {
      pool.addWorker(name);
      pool.markCached("docs", name);
    }
    const ours = [pool.knownWorkers().map(({ name }) => name), [...pool.holders("docs")]];
    const reopened = store.pool("p");
    expect([
      reopened.knownWorkers().map(({ name }) => name),
      [...reopened.holders("docs")],
    ]).toEqual(ours);
    expect(ours[0]).toEqual(
      [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
    store.close();
  });

  test("a hint is written once a day, so that its date is that of its last use", () => {
    let now = Date.UTC(2030, 0, 1, 23, 59);
    const store = Store.open(file, { now: () => now });
    const pool = store.pool("p");
    const other = new SQLite(file);
    const dates = () => other.prepare("SELECT created FROM cached").pluck().all();
    pool.markCached("docs", "w");
    expect(dates()).toEqual(["2030-01-01"]);
    other.prepare("UPDATE cached SET created = 'untouched'").run();
    pool.markCached("docs", "w");
    expect(dates()).toEqual(["untouched"]);
    now += 120_000;
    pool.markCached("docs", "w");
    expect(dates()).toEqual(["2030-01-02"]);
    other.close();
    store.close();
  });

  test("more hints than are kept in memory", () => {
    const store = Store.open(":memory:");
    const pool = store.pool("p");
    for (let i = 0; i < 60_000; i++) pool.markCached(`hint-${i}`, "w");
    pool.markCached("hint-0", "v");
    expect(pool.holders("hint-0")).toEqual(["v", "w"]);
    expect(pool.holders("hint-59999")).toEqual(["w"]);
    store.close();
  });
});

test("hints that are used stay in memory, and others go, however much is shown", () => {
  const store = Store.open(file);
  const pool = store.pool("p");
  const held = [0, 10_001, 59_999, 10_000, 1];
  for (let i = 0; i < 60_000; i++) {
    if (held.includes(i)) pool.markCached(`hint-${i}`, "w");
    else pool.holders(`hint-${i}`);
    pool.holders("hint-0");
  }
  expect([...pool.cached()]).toHaveLength(held.length);
  // From now on, what is not in memory is not there.
  const other = new SQLite(file);
  other.exec("DELETE FROM cached");
  other.close();
  const inMemory = (i: number) => pool.holders(`hint-${i}`).length > 0;
  expect(held.map(inMemory)).toEqual([true, true, true, false, false]);
  store.close();
});

describe("sturdy refs", () => {
  test("are found by hash and by meaning until they are removed", () => {
    const store = Store.open(file);
    const refs = store.sturdyRefs;
    const hash = new Uint8Array(32).fill(1);
    expect(refs.lookup(hash)).toBeNull();
    refs.add({ hash, type: "ocluster-client", args: bytes("zoe") });
    refs.add({ hash: new Uint8Array(32).fill(2), type: "ocluster-client", args: bytes("ann") });
    refs.add({ hash: new Uint8Array(32).fill(3), type: "other", args: bytes("ann") });
    expect(() => refs.add({ hash, type: "other", args: bytes("x") })).toThrow(StoreError);
    expect(refs.list("ocluster-client").map(({ args }) => Buffer.from(args).toString())).toEqual([
      "ann",
      "zoe",
    ]);
    expect(refs.find("ocluster-client", bytes("zoe")).map((ref) => ref.hash[0])).toEqual([1]);
    expect(refs.remove(hash)).toBe(true);
    expect(refs.remove(hash)).toBe(false);
    expect(refs.lookup(hash)).toBeNull();
    expect(refs.find("ocluster-client", bytes("zoe"))).toEqual([]);
    store.close();
  });
});

describe("a database that cannot be used is refused and left as it is", () => {
  const refuse = (kind: StoreError["kind"], words: RegExp) => {
    const before = readFileSync(file);
    let error: unknown;
    try {
      Store.open(file).close();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ kind, path: file });
    expect(String(error)).toContain(file);
    expect(String(error)).toMatch(words);
    expect(readFileSync(file)).toEqual(before);
  };
  const damage = (change: (content: Buffer) => Buffer) => {
    copyGolden();
    writeFileSync(file, change(readFileSync(file)));
  };

  test.each<[string, (content: Buffer) => Buffer]>([
    ["something else altogether", () => Buffer.from("not a database at all\n".repeat(500))],
    ["zeros, as after a crash of the file system", (content) => Buffer.alloc(content.length)],
    ["cut short", (content) => content.subarray(0, 10_000)],
    ["a page of noise in the middle", (content) => content.fill(0xff, 4096, 8192)],
    ["a page of noise in the last table", (content) => content.fill(0xa5, content.length - 4096)],
  ])("%s", (_, change) => {
    damage(change);
    refuse("damaged", /left as it is.*Restore it from a backup/);
  });

  test("a table that is not ours", () => {
    const db = new SQLite(file);
    db.exec("CREATE TABLE workers (name TEXT)");
    db.close();
    expect(() => Store.open(file).pool("p")).toThrow(/no such column|not a scheduler's database/);
  });

  test("one that another program is writing to", () => {
    copyGolden();
    const other = new SQLite(file);
    other.exec("BEGIN IMMEDIATE");
    refuse("locked", /database is locked.*Another program/);
    other.exec("ROLLBACK");
    other.close();
    Store.open(file).close();
  });

  test("one that another program has to itself", () => {
    copyGolden();
    const other = new SQLite(file);
    other.pragma("locking_mode = EXCLUSIVE");
    other.exec("BEGIN EXCLUSIVE");
    refuse("locked", /database is locked/);
    other.close();
  });

  test("a directory that is not there", () => {
    const missing = join(dir, "missing", "scheduler.db");
    expect(() => Store.open(missing)).toThrow(/directory/);
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe("while the database cannot be written", () => {
  test("a hint is a warning, and costs the wait for the lock only now and then", () => {
    const onWarning = vi.fn();
    let now = Date.UTC(2030, 0, 1);
    const store = Store.open(file, { onWarning, now: () => now });
    const pool = store.pool("p");
    const other = new SQLite(file);
    other.exec("BEGIN IMMEDIATE");
    pool.markCached("docs", "w");
    expect(pool.holders("docs")).toEqual(["w"]);
    expect(onWarning).toHaveBeenCalledOnce();
    other.exec("ROLLBACK");

    const written = () => other.prepare("SELECT worker FROM cached").pluck().all();
    pool.markCached("docs", "w");
    expect(written()).toEqual([]);
    now += 10_000;
    pool.markCached("docs", "w");
    expect(written()).toEqual(["w"]);
    other.close();
    store.close();
  });

  test("a hint is no matter once the store is closed, when a pool is still letting go of its jobs", () => {
    const onWarning = vi.fn();
    const store = Store.open(file, { onWarning });
    const pool = store.pool("p");
    store.close();
    expect(pool.holders("docs")).toEqual([]);
    pool.markCached("docs", "w");
    expect(onWarning).not.toHaveBeenCalled();
  });

  test("a pause or a rate is an error, and does not hold", () => {
    const store = Store.open(file);
    const pool = store.pool("p");
    pool.addWorker("w");
    const other = new SQLite(file);
    other.exec("BEGIN IMMEDIATE");
    expect(() => pool.setPaused("w", true)).toThrow(/database is locked/);
    expect(pool.isPaused("w")).toBe(false);
    other.close();
    store.close();
  });
});
