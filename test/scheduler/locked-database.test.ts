/**
 * Another program has the database locked: nobody waits for it but those whose changes must be
 * kept.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Database } from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Admin, PoolAdmin } from "../../src/api/index.js";
import { Store } from "../../src/scheduler/state/store.js";
import { StoreError } from "../../src/scheduler/state/store-error.js";
import { WriteQueue } from "../../src/scheduler/state/write-queue.js";
import { SQLite } from "../../src/system/sqlite.js";
import { Network } from "./network.js";

let dir: string;
let other: Database;
let network: Network;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-locked-"));
  const file = join(dir, "scheduler.db");
  network = await Network.start({ store: Store.open(file) });
  other = new SQLite(file);
});

afterEach(async () => {
  other.close();
  await network.stop();
  rmSync(dir, { recursive: true });
});

test("what administrators change, and who registers, waits for it and is kept, in its order; jobs go on", async () => {
  const alice = await network.client("alice");
  const [admin, pool, first] = [
    await network.admin(),
    await network.poolAdmin(),
    await network.worker("w1"),
  ];
  const popped = first.pop();
  other.exec("BEGIN IMMEDIATE");
  const done: string[] = [];
  const told = (what: string, call: Promise<unknown>) => call.then(() => done.push(what));
  using bob = Admin.addClient(admin, "bob");
  const changes = [
    told("pause", PoolAdmin.setActive(pool, "w1", false)),
    told("resume", PoolAdmin.setActive(pool, "w1", true)),
    told("rate", PoolAdmin.setRate(pool, "alice", 2)),
    told("register", network.worker("w2")),
    told("client", bob.whenResolved()),
  ];
  const job = alice.submit("one");
  expect((await popped).spec).toBe("one");
  expect(done).toEqual([]);
  expect(await network.show()).toContain("clients: alice(1)");
  other.exec("ROLLBACK");
  await Promise.all(changes);
  // Calls of different connections have no order.
  expect(done.filter((what) => what !== "register" && what !== "client")).toEqual([
    "pause",
    "resume",
    "rate",
  ]);
  const rows = (table: string) => other.prepare(`SELECT * FROM ${table}`).raw().all();
  expect(rows("workers")).toEqual([
    ["pool", "w1", 0],
    ["pool", "w2", 0],
  ]);
  expect(rows("pool_user_rate")).toEqual([["pool", "alice", 2]]);
  expect(rows("sturdy_refs")).toHaveLength(2);
  job.release();
});

test("a write that the database does not take for long fails, and the next one is tried all the same", async () => {
  const writes = new WriteQueue(0);
  const locked = () => {
    throw new StoreError("locked", "db", "database is locked");
  };
  const [late, next] = [writes.run(locked), writes.run(() => "written")];
  await expect(late).rejects.toThrow("database is locked");
  expect(await next).toBe("written");
  await expect(
    writes.run(() => {
      throw new StoreError("failed", "db", "disk full");
    }),
  ).rejects.toThrow("disk full");
});

test("writes that wait behind each other fail together, not one after the other's time", async () => {
  const writes = new WriteQueue(200);
  const tries = [0, 0, 0];
  const asked = tries.map((_, i) =>
    writes.run(() => {
      tries[i]!++;
      throw new StoreError("locked", "db", "database is locked");
    }),
  );
  for (const write of asked) await expect(write).rejects.toThrow("database is locked");
  // The first uses up the time of all.
  expect(tries.slice(1)).toEqual([1, 1]);
});
