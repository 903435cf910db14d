/**
 * Scalers: what their capability opens and what it does not, and workers that are told to end or
 * are forgotten when they are gone.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  Admin,
  EphemeralQueue,
  Grants,
  PoolAdmin,
  Retirement,
  Scaler,
  Worker,
} from "../../src/api/index.js";
import { deferred } from "../../src/async/index.js";
import { SchedulerLink } from "../../src/autoscaler/scheduler-link.js";
import { type Capability, Identity, RpcError, SturdyRef } from "../../src/rpc/index.js";
import { Store } from "../../src/scheduler/state/store.js";
import { Network, type TestWorker } from "./network.js";

let network: Network;
let admin: Capability;

beforeEach(async () => {
  network = await Network.start({ pools: ["a", "pool"] });
  admin = await network.admin();
});

afterEach(() => network.stop());

/** Connects with what was granted. */
async function scaler(name = "auto"): Promise<Capability> {
  const uri = await Grants.grant(admin, "scaler", name);
  return (await network.clientOf(SturdyRef.parse(uri))).submission;
}

describe("a scaler's capability", () => {
  it("shows pools, and what they want and have", async () => {
    const service = await scaler();
    expect(await Scaler.pools(service)).toEqual(["a", "pool"]);
    const nothing = { wanted: 0, capacity: 1, target: 300, running: 0, queued: 0, seconds: 0 };
    expect(await Scaler.demand(service, "a")).toEqual({ ...nothing, workers: [], departed: [] });

    const alice = await network.client("alice");
    const worker = await network.worker("w1", { capacity: 2 });
    const running = worker.pop();
    const jobs = [alice.submit("one"), alice.submit("two"), alice.submit("three")];
    for (const job of jobs) await job.queued();
    const { output } = await running;
    expect(await Scaler.demand(service, "pool")).toEqual({
      ...{ wanted: 2, capacity: 2, target: 300, running: 1, queued: 2, seconds: 600 },
      workers: [{ name: "w1", connected: true, active: true, capacity: 2, running: 1 }],
      departed: [],
    });
    output.resolve("");
    for (const job of jobs) job.release();
    await expect(Scaler.demand(service, "b")).rejects.toThrow('No such pool "b"; there is a, pool');
  });

  it("opens nothing else", async () => {
    const service = await scaler();
    await expect(Admin.pools(service)).rejects.toMatchObject({ kind: "unimplemented" });
    await expect(Admin.listClients(service)).rejects.toMatchObject({ kind: "unimplemented" });
    using pool = Admin.pool(service, "pool");
    await expect(PoolAdmin.workers(pool)).rejects.toMatchObject({ kind: "unimplemented" });
    await expect(Grants.grant(service, "scaler", "x")).rejects.toMatchObject({
      kind: "unimplemented",
    });
    const other = await network.client("alice");
    await expect(Scaler.pools(other.submission)).rejects.toMatchObject({ kind: "unimplemented" });
  });

  it("is granted by name, listed, and revoked at once", async () => {
    const service = await scaler("auto");
    await scaler("Ähem");
    expect(await Grants.list(admin, "scaler")).toEqual(["auto", "Ähem"]);
    await expect(Grants.grant(admin, "scaler", "auto")).rejects.toThrow(
      'There is a scaler "auto" already',
    );
    await Grants.revoke(admin, "scaler", "auto");
    expect(await Grants.list(admin, "scaler")).toEqual(["Ähem"]);
    for (const call of [
      Scaler.pools(service),
      Scaler.demand(service, "pool"),
      Scaler.retire(service, { pool: "pool", worker: "w", reason: "" }),
    ]) {
      await expect(call).rejects.toThrow("Access has been revoked");
    }
    await expect(Grants.revoke(admin, "scaler", "auto")).rejects.toThrow('Unknown scaler "auto"');
    // Another one of the same name does not bring the old one back.
    await scaler("auto");
    await expect(Scaler.pools(service)).rejects.toThrow("Access has been revoked");
  });

  it("is read anew by an autoscaler whose own is revoked", async () => {
    const dir = mkdtempSync(join(tmpdir(), "ocluster-scaler-"));
    const file = join(dir, "scaler.cap");
    const { signal } = new AbortController();
    const link = new SchedulerLink(file);
    try {
      writeFileSync(file, await Grants.grant(admin, "scaler", "old"), { mode: 0o600 });
      expect(await link.open(signal)).toEqual(["a", "pool"]);
      await Grants.revoke(admin, "scaler", "old");
      writeFileSync(file, await Grants.grant(admin, "scaler", "new"));
      const pools = () => link.use((service) => Scaler.pools(service, { signal }), signal);
      await expect(pools()).rejects.toThrow("Access has been revoked");
      expect(await pools()).toEqual(["a", "pool"]);
    } finally {
      await link.close();
      rmSync(dir, { recursive: true });
    }
  });

  it.each(["", "\ufffd", "x".repeat(256)])("needs a name that is one: %j", async (name) => {
    await expect(Grants.grant(admin, "scaler", name)).rejects.toThrow(
      "A scaler needs a name of at most 255 characters, in UTF-8",
    );
  });

  it.each(["client", "__proto__", "toString", ""])(
    "is of a kind that there is, not %j",
    async (kind) => {
      const why = /This scheduler has no capabilities of the kind .*; it has .*scaler/;
      await expect(Grants.grant(admin, kind, "x")).rejects.toThrow(why);
      await expect(Grants.list(admin, kind)).rejects.toThrow(why);
      await expect(Grants.revoke(admin, kind, "x")).rejects.toThrow(why);
    },
  );
});

describe("a worker that is told to end", () => {
  it("is given no more jobs, and finishes what it runs", async () => {
    const service = await scaler();
    const told: string[] = [];
    const worker = await network.worker("w1", {
      extensions: Retirement.retirementMethods({ retire: (reason) => void told.push(reason) }),
    });
    const alice = await network.client("alice");
    const first = alice.submit("one");
    const running = await worker.pop();
    const second = alice.submit("two");
    await second.queued();
    await Scaler.retire(service, { pool: "pool", worker: "w1", reason: "idle" });
    expect(told).toEqual(['idle (scaler "auto")']);
    expect((await Scaler.demand(service, "pool")).workers).toEqual([
      { name: "w1", connected: true, active: false, capacity: 1, running: 1 },
    ]);
    const other = await network.worker("w2");
    expect((await other.pop()).descr.action).toMatchObject({ spec: "two" });
    running.output.resolve("done");
    expect(await first.result).toBe("done");
    for (const job of [first, second]) job.release();
  });

  it("works on if it is of a version that cannot be told", async () => {
    const service = await scaler();
    const worker = await network.worker("w1");
    await expect(
      Scaler.retire(service, { pool: "pool", worker: "w1", reason: "idle" }),
    ).rejects.toMatchObject({
      kind: "unimplemented",
      message: expect.stringContaining('Worker "w1" is of a version that cannot be told to end'),
    });
    const alice = await network.client("alice");
    const job = alice.submit("one");
    expect((await worker.pop()).descr.action).toMatchObject({ spec: "one" });
    job.release();
  });

  it("is not given jobs again after a failure if an administrator restarts it meanwhile", async () => {
    const service = await scaler();
    const asked = deferred<void>();
    const answer = deferred<void>();
    await network.worker("w1", {
      extensions: Retirement.retirementMethods({
        retire: async () => {
          asked.resolve();
          await answer.promise;
        },
      }),
    });
    const retired = Scaler.retire(service, { pool: "pool", worker: "w1", reason: "idle" });
    retired.catch(() => {});
    await asked.promise;
    const { inPool } = network.scheduler.pools.get("pool")!.workers.get("w1")!;
    inPool.shutdown();
    answer.reject(new RpcError("failed", "not now"));
    await expect(retired).rejects.toThrow("not now");
    expect(await network.show()).toContain("shutting down");
    expect(await network.show()).not.toContain("told to end");
  });

  it("has to be there", async () => {
    const service = await scaler();
    await expect(
      Scaler.retire(service, { pool: "pool", worker: "w9", reason: "" }),
    ).rejects.toThrow('Worker "w9" is not connected');
  });
});

describe("an ephemeral worker", () => {
  let directory: string;
  let identity: Identity;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "ocluster-ephemeral-"));
    identity = Identity.ephemeral();
    await restart(LONG);
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  /** In s: nothing is forgotten in a test; and at once. */
  const LONG = 3600;
  const SHORT = 0.1;

  async function restart(lease: number, meanwhile: (store: Store) => void = () => {}) {
    await network.stop();
    const store = Store.open(join(directory, "scheduler.db"));
    meanwhile(store);
    store.close();
    network = await Network.start({
      ...{ identity, durable: directory, settings: { lease } },
      store: Store.open(join(directory, "scheduler.db")),
    });
    admin = await network.admin();
  }

  async function ephemeral(name: string): Promise<TestWorker> {
    const worker = await network.worker(name);
    await EphemeralQueue.forgetWhenGone(worker.queue);
    return worker;
  }

  const known = async () =>
    (await PoolAdmin.workers(await network.poolAdmin())).map(({ name }) => name);

  it("is forgotten when it is gone, with what it holds, and others are not", async () => {
    await network.worker("steady");
    const worker = await ephemeral("passing");
    const alice = await network.client("alice");
    const job = alice.submit("one", { hint: "web" });
    (await worker.pop()).output.resolve("");
    await job.result;
    job.release();
    const { pool } = network.scheduler.pools.get("pool")!;
    const service = await scaler();
    expect(await known()).toEqual(["passing", "steady"]);
    await worker.disconnect();
    await expect.poll(known, { timeout: 30_000 }).toEqual(["steady"]);
    expect((await Scaler.demand(service, "pool")).departed).toEqual(["passing"]);
    expect(pool.dump()).not.toContain("passing");
  });

  it("is remembered as long as it may run a durable job", async () => {
    const worker = await ephemeral("passing");
    const alice = await network.client("alice");
    const job = await alice.submitDurable("one");
    const run = await worker.popDurable();
    run.begun.resolve();
    await expect.poll(async () => (await alice.record(job)).state).toBe("running");
    const service = await scaler();
    await worker.disconnect();
    expect((await Scaler.demand(service, "pool")).workers).toEqual([
      { name: "passing", connected: false, active: true, capacity: 0, running: 1 },
    ]);
    // Its lease is over.
    const { secrets } = network;
    await restart(SHORT);
    network.secrets.set("alice", secrets.get("alice")!);
    await expect.poll(known, { timeout: 30_000 }).toEqual([]);
    expect((await (await network.known("alice")).record(job)).state).toBe("queued");
  });

  it("is forgotten, too, if it has not come back after a restart of the scheduler", async () => {
    await restart(LONG, (store) => {
      const pool = store.pool("pool");
      for (const name of ["passing", "steady"]) pool.addWorker(name);
      pool.setEphemeral("passing");
    });
    expect(await known()).toEqual(["passing", "steady"]);
    await restart(SHORT);
    await expect.poll(known, { timeout: 30_000 }).toEqual(["steady"]);
  });

  it("is there again when it comes back in time", async () => {
    await (await ephemeral("passing")).disconnect();
    const back = await ephemeral("passing");
    const alice = await network.client("alice");
    const job = alice.submit("one");
    await back.pop();
    expect(await known()).toEqual(["passing"]);
    job.release();
  });
});

it("tells an old scheduler's silence from a refusal", async () => {
  const old = Worker.local({
    metrics: async () => ({ contentType: "", data: "" }),
    additionalMetric: async () => null,
    selfUpdate: async () => {},
  });
  const error = await Retirement.retire(old, "").catch((reason) => reason);
  expect(error).toBeInstanceOf(RpcError);
  expect(error.kind).toBe("unimplemented");
  old.release();
});
