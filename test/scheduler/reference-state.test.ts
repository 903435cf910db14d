/**
 * A state directory that the reference made: it opens, its capability files work, and what we write
 * stays readable to it.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Admin, PoolAdmin } from "../../src/api/index.js";
import { Identity, SturdyRef } from "../../src/rpc/index.js";
import { Store } from "../../src/scheduler/state/store.js";
import { SQLite } from "../../src/system/sqlite.js";
import { golden } from "../support/golden.js";
import { Network } from "./network.js";

const POOLS = ["linux-arm32", "linux-x86_64"];

let dir: string;
let network: Network;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-state-"));
  cpSync(golden("state/scheduler.db"), join(dir, "scheduler.db"));
  network = await Network.start({
    pools: POOLS,
    identity: Identity.load(golden("state/key.pem")),
    store: Store.open(join(dir, "scheduler.db")),
  });
});

afterEach(async () => {
  await network.stop();
  rmSync(dir, { recursive: true });
});

/** The capability file as it is, but for the port, which is another one here. */
function cap(name: string): SturdyRef {
  const ref = SturdyRef.parse(readFileSync(golden(`state/${name}.cap`), "utf8").trim());
  const fingerprint = network.vat.identity.fingerprint;
  return new SturdyRef({ kind: "tcp", host: "127.0.0.1", port: network.port }, fingerprint, ref.id);
}

it("every capability file works", async () => {
  const admin = network.own((await network.dial(cap("admin"))).service);
  expect(await Admin.pools(admin)).toEqual(POOLS);
  expect(await Admin.listClients(admin)).toEqual(["alice", "bob"]);
  for (const name of ["bob", "submit-alice", ...POOLS.map((pool) => `pool-${pool}`)]) {
    const service = network.own((await network.dial(cap(name))).service);
    await service.whenResolved();
  }
});

it("its fingerprint is that of the key", () => {
  const ref = SturdyRef.parse(readFileSync(golden("state/pool-linux-x86_64.cap"), "utf8").trim());
  const expected = Buffer.from(network.vat.identity.fingerprint);
  expect(ref.fingerprint && Buffer.from(ref.fingerprint)).toEqual(expected);
});

it("remembers workers, pauses and rates, and shows who has one from the start", async () => {
  const pool = await network.poolAdmin("linux-x86_64");
  expect(await PoolAdmin.workers(pool)).toEqual([
    { name: "ghost", active: false, connected: false },
    { name: "w1", active: true, connected: false },
  ]);
  expect(await network.show("linux-x86_64")).toContain("clients: alice(2)");
  expect(await network.show("linux-arm32")).not.toContain("alice");
});

it("sends a job to the worker that has its hint, and revokes a client for good", async () => {
  const bob = await network.clientOf(cap("bob"));
  const w1 = await network.worker("w1", { pool: "linux-x86_64" });
  await network.worker("w2", { pool: "linux-x86_64" });
  const submitted = bob.submit("one", { pool: "linux-x86_64", hint: "tutorial" });
  expect((await w1.pop()).spec).toBe("one");
  const admin = await network.admin();
  await Admin.removeClient(admin, "bob");
  const db = new SQLite(join(dir, "scheduler.db"), { readonly: true });
  try {
    expect(db.prepare("SELECT CAST(args AS TEXT) AS id FROM sturdy_refs").all()).toEqual([
      { id: "alice" },
    ]);
  } finally {
    db.close();
  }
  submitted.release();
});
