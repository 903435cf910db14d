/**
 * Pools that were renamed or given up: what is kept of them, what the scheduler says of it, and
 * what becomes of it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  Batches,
  DurableSubmission,
  FormerPools,
  JobRecords,
  PoolAdmin,
} from "../../src/api/index.js";
import { RowWriter } from "../../src/batch/index.js";
import { type Capability, Identity, RpcError } from "../../src/rpc/index.js";
import { Store } from "../../src/scheduler/state/store.js";
import { Network, type TestClient } from "./network.js";

let directory: string;
let network: Network;
let admin: Capability;
let alice: TestClient;
let job: number;
let batch: number;

/** More rows than become jobs ahead of their turn. */
const ROWS = 50;
const AHEAD = 32;

async function submitBatch({ submission }: TestClient): Promise<number> {
  const { batch } = await Batches.open(submission, {
    ...{ name: "tiles", fresh: false, pool: "old", urgent: false, digest: Buffer.alloc(32, 1) },
    options: DurableSubmission.DEFAULT_DURABLE_OPTIONS,
    rules: Batches.NO_RULES,
    template: {
      columns: ["v"],
      descr: { action: { kind: "obuilder", spec: "" }, cacheHint: "", secrets: [] },
      spec: ["echo ", { column: 0, escape: "plain" }],
      buildArgs: [],
      hint: [],
    },
  });
  const writer = new RowWriter();
  for (let n = 0; n < ROWS; n++) writer.add(`k-${n}`, [`${n}`]);
  await Batches.add(submission, batch, 0, writer.take());
  await Batches.close(submission, batch, ROWS);
  const filter = { pool: "old", states: ["queued"] } as const;
  const jobs = async () => (await JobRecords.list(submission, { filter, limit: 100 })).jobs.length;
  await expect.poll(jobs).toBe(1 + AHEAD);
  return batch;
}

/**
 * A scheduler whose pool `old` had a worker that is paused, a rate, a hint, and a durable job, and
 * that has `new` instead now.
 */
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-former-"));
  const identity = Identity.ephemeral();
  const start = async (pools: readonly string[]) => {
    const store = Store.open(join(directory, "scheduler.db"));
    network = await Network.start({ durable: directory, store, identity, pools });
  };
  await start(["old"]);
  const first = await network.client("alice");
  const worker = await network.worker("w1", { pool: "old" });
  const built = first.submit("one", { pool: "old", hint: "web" });
  (await worker.pop()).output.resolve("");
  await built.result;
  built.release();
  const pool = await network.poolAdmin("old");
  await PoolAdmin.setActive(pool, "w1", false);
  await PoolAdmin.setRate(pool, "alice", 2.5);
  await worker.disconnect();
  job = await first.submitDurable("two", { pool: "old" });
  batch = await submitBatch(first);
  const { secrets } = network;
  await network.stop();
  await start(["new"]);
  network.secrets.set("alice", secrets.get("alice")!);
  alice = await network.known("alice");
  admin = await network.admin();
});

afterEach(async () => {
  await network.stop();
  rmSync(directory, { recursive: true });
});

const KEPT = { name: "old", workers: 1, rates: 1, hints: 1, jobs: 1 + AHEAD };

describe("a pool that there is not any more", () => {
  it("is told of at the start, with what can be done", async () => {
    expect(await FormerPools.list(admin)).toEqual([KEPT]);
    await network.scheduler.formerPools.report();
    expect(network.log.at(-1)).toBe(
      'There is no pool "old" any more (--pools), and this is kept of it: 1 worker, 1 rate, 1 hint, 33 durable jobs; the jobs wait. ' +
        "If it has another name now: ocluster-admin move-pool old NEW; if it is not wanted: ocluster-admin forget-pool old",
    );
  });

  it("gives all that is kept of it to another one", async () => {
    const pool = await network.poolAdmin("new");
    await PoolAdmin.setActive(pool, "w2", false, { autoCreate: true });
    expect(await FormerPools.move(admin, "old", "new")).toEqual(KEPT);
    expect(await FormerPools.list(admin)).toEqual([]);
    expect(await PoolAdmin.workers(pool)).toEqual([
      { name: "w1", active: false, connected: false },
      { name: "w2", active: false, connected: false },
    ]);
    expect(await PoolAdmin.show(pool)).toContain("alice(2)");
    expect(network.scheduler.pools.get("new")!.pool.dump()).toMatch(/web.*w1/);
    // Its job runs now.
    const worker = await network.worker("w3", { pool: "new" });
    const run = await worker.popDurable();
    expect(run.assignment).toMatchObject({ job });
    run.begun.resolve();
    run.end("succeeded");
    expect(await alice.ended(job)).toMatchObject({ pool: "new", state: "succeeded" });
    // So do all rows of its batch, also those that were no jobs yet.
    for (let n = 0; n < ROWS; n++) (await worker.popDurable()).end("succeeded");
    const record = () => Batches.get(alice.submission, batch);
    await expect.poll(record).toMatchObject({ pool: "new", state: "succeeded", succeeded: ROWS });
  });

  it("can be forgotten: its jobs are cancelled", async () => {
    expect(await FormerPools.forget(admin, "old")).toEqual(KEPT);
    expect(await FormerPools.list(admin)).toEqual([]);
    expect(await alice.ended(job)).toMatchObject({
      state: "cancelled",
      reason: "Its pool was removed.",
    });
    const record = () => Batches.get(alice.submission, batch);
    await expect.poll(record).toMatchObject({ state: "cancelled", cancelled: ROWS });
  });

  it("is not mistaken for one that there is, or never was", async () => {
    const failed = (reason: string) => new RpcError("failed", reason);
    await expect(FormerPools.forget(admin, "new")).rejects.toEqual(
      failed('There is a pool "new": start the scheduler without it'),
    );
    await expect(FormerPools.forget(admin, "nope")).rejects.toEqual(
      failed('Nothing is kept of a pool "nope", but of "old"'),
    );
    await expect(FormerPools.move(admin, "old", "nope")).rejects.toEqual(
      failed('No such pool "nope" to move it to; there is new'),
    );
    expect(await FormerPools.list(admin)).toEqual([KEPT]);
  });
});
