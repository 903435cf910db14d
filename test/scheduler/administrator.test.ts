/** What administrators do with clients, pools and workers, over the network. */
import { afterEach, describe, expect, it } from "vitest";
import { PoolAdmin$Client } from "../../src/api/generated/ocluster.js";
import { Admin, Persistent, PoolAdmin, Worker } from "../../src/api/index.js";
import { deferred } from "../../src/async/index.js";
import { logger } from "../../src/console/log.js";
import { RpcError } from "../../src/rpc/index.js";
import { ClusterPoolAdmin } from "../../src/scheduler/services/pool-admin.js";
import { Network } from "./network.js";

let network: Network;

afterEach(() => network.stop());

describe("an administrator", () => {
  it("adds, lists and removes clients", async () => {
    network = await Network.start();
    const admin = await network.admin();
    const [bob, alice] = [Admin.addClient(admin, "bob"), Admin.addClient(admin, "alice")];
    const ref = await Persistent.save(bob);
    const client = await network.clientOf(ref);
    expect((await Persistent.save(client.submission)).format()).toBe(ref.format());
    expect(await Admin.listClients(admin)).toEqual(["alice", "bob"]);
    const again = Admin.addClient(admin, "bob");
    await expect(again.whenResolved()).rejects.toEqual(
      new RpcError("failed", 'Client "bob" already registered!'),
    );
    await Admin.removeClient(admin, "bob");
    await expect(Admin.removeClient(admin, "bob")).rejects.toEqual(
      new RpcError("failed", 'Unknown client "bob"'),
    );
    expect(await Admin.listClients(admin)).toEqual(["alice"]);
    const late = await network.dial(ref);
    await expect(late.service.whenResolved()).rejects.toEqual(
      new RpcError("failed", "Unknown persistent service ID"),
    );
    for (const each of [bob, alice, again, late.service]) each.release();
  });

  it.each([
    ["and lets the running ones finish", false],
    ["and the running ones if so wished", true],
  ])("cancels the queued jobs of a client that it removes, %s", async (_, cancelRunning) => {
    network = await Network.start();
    const admin = await network.admin();
    const [alice, bob] = [await network.client("alice"), await network.client("bob")];
    const worker = await network.worker("w");
    const running = alice.submit("running");
    const job = await worker.pop();
    const queued = [alice.submit("urgent", { urgent: true }), alice.submit("queued")];
    const others = bob.submit("other");
    for (const each of [...queued, others]) await each.queued();
    await Admin.removeClient(admin, "alice", { cancelRunning });
    for (const { result } of queued) {
      await expect(result).rejects.toThrow("Ticket cancelled: the client was removed");
    }
    const next = await worker.pop();
    next.output.resolve("bob's");
    expect(await others.result).toBe("bob's");
    if (cancelRunning) {
      expect(await job.cancelled.promise).toBe("cancel");
    } else {
      job.output.resolve("alice's");
      expect(await running.result).toBe("alice's");
    }
    const late = alice.submit("late");
    await expect(late.result).rejects.toThrow("Access has been revoked");
    for (const each of [running, ...queued, others, late]) each.release();
  });

  it("sees the pools, and no others", async () => {
    network = await Network.start({ pools: ["b", "a"] });
    const admin = await network.admin();
    expect(await Admin.pools(admin)).toEqual(["a", "b"]);
    using none = Admin.pool(admin, "none");
    await expect(PoolAdmin.show(none)).rejects.toEqual(new RpcError("failed", "No such pool"));
  });

  it("pauses and unpauses workers, connected or not", async () => {
    network = await Network.start();
    const pool = await network.poolAdmin();
    await network.worker("w1");
    await PoolAdmin.setActive(pool, "w1", false);
    await PoolAdmin.setActive(pool, "w2", false, { autoCreate: true });
    await expect(PoolAdmin.setActive(pool, "w3", false)).rejects.toEqual(
      new RpcError("failed", "Unknown worker"),
    );
    expect(await PoolAdmin.workers(pool)).toEqual([
      { name: "w1", active: false, connected: true },
      { name: "w2", active: false, connected: false },
    ]);
    await PoolAdmin.setActive(pool, "w2", true);
    expect(await PoolAdmin.workers(pool)).toContainEqual({
      name: "w2",
      active: true,
      connected: false,
    });
  });

  it("drains a worker and is told how many jobs are left", async () => {
    network = await Network.start();
    const pool = await network.poolAdmin();
    const alice = await network.client("alice");
    const worker = await network.worker("w1", { capacity: 2 });
    const submitted = [alice.submit("one"), alice.submit("two")];
    const jobs = [await worker.pop(), await worker.pop()];
    const told: string[] = [];
    const [firstReport, reported] = [deferred(), deferred()];
    const drained = PoolAdmin.drain(pool, "w1", (status) => {
      told.push(status);
      if (told.length === 1) firstReport.resolve();
      if (told.length === 2) reported.resolve();
    });
    await firstReport.promise;
    jobs[0]!.output.resolve("");
    await reported.promise;
    jobs[1]!.output.resolve("");
    await drained;
    expect(told).toEqual(["Running jobs: 2", "Running jobs: 1", "Running jobs: 0"]);
    expect(await network.show()).toContain("(inactive: admin pause)");
    for (const each of submitted) each.release();
  });

  it("drains a worker that is not there", async () => {
    network = await Network.start();
    const pool = await network.poolAdmin();
    await PoolAdmin.setActive(pool, "w1", true, { autoCreate: true });
    const told: string[] = [];
    await PoolAdmin.drain(pool, "w1", (status) => void told.push(status));
    expect(told).toEqual(["Disconnected (nothing to drain)"]);
    await expect(PoolAdmin.drain(pool, "w2", () => {})).rejects.toThrow("Unknown worker");
    expect(await PoolAdmin.workers(pool)).toEqual([
      { name: "w1", active: false, connected: false },
    ]);
  });

  it("is told when there is too much to show", async () => {
    network = await Network.start();
    const alice = await network.client("alice");
    const jobs = Array.from({ length: 3 }, (_, i) =>
      alice.submit(`job${i}`, { hint: "h".repeat(100) }),
    );
    for (const job of jobs) await job.queued();
    const pool = network.scheduler.pools.get("pool")!;
    const log = logger("test");
    const admin = new ClusterPoolAdmin({ pool, log, isClient: () => true, showBytes: 300 });
    await expect(admin.show(new AbortController().signal)).rejects.toEqual(
      new RpcError(
        "overloaded",
        'The pool\'s state has more than 300 bytes; "ocluster-admin top POOL" has it in numbers',
      ),
    );
    for (const job of jobs) job.release();
  });

  it("drains a worker for somebody who does not want to know how it goes", async () => {
    network = await Network.start();
    const pool = await network.poolAdmin();
    await PoolAdmin.setActive(pool, "w1", true, { autoCreate: true });
    const [, , , , , , , drain] = PoolAdmin$Client.methods;
    using call = pool.call(drain, (params) => {
      params.worker = "w1";
    });
    await call.response;
    expect(await PoolAdmin.workers(pool)).toEqual([
      { name: "w1", active: false, connected: false },
    ]);
    expect(network.log.filter((line) => line.includes("progress report"))).toEqual([]);
  });

  it("updates a worker: it restarts and comes back", async () => {
    network = await Network.start();
    const pool = await network.poolAdmin();
    const alice = await network.client("alice");
    const restarting = deferred();
    const worker = await network.worker("w1", {
      service: {
        selfUpdate: () => {
          restarting.resolve();
          return new Promise(() => {});
        },
      },
    });
    const submitted = alice.submit("one");
    const job = await worker.pop();
    const told: string[] = [];
    const updated = PoolAdmin.update(pool, "w1", (status) => {
      told.push(status);
      if (status === "Running jobs: 1") job.output.resolve("");
    });
    await restarting.promise;
    expect(await network.show()).toContain("(inactive: shutting down)");
    await worker.disconnect();
    await network.worker("w1");
    await updated;
    expect(told).toEqual(["Running jobs: 1", "Restarting"]);
    expect(await network.show()).toContain("w1 (0): [] (0 running)");
    submitted.release();
  });

  it("is told when a worker cannot update itself, and it works on", async () => {
    network = await Network.start();
    const pool = await network.poolAdmin();
    await network.worker("w1");
    await expect(PoolAdmin.update(pool, "w1", () => {})).rejects.toEqual(
      new RpcError("failed", "cannot"),
    );
    expect(await network.show()).toContain("w1 (0): [] (0 running)");
    await expect(PoolAdmin.update(pool, "w2", () => {})).rejects.toThrow("Unknown worker");
  });

  it("forgets workers that are gone", async () => {
    network = await Network.start();
    const pool = await network.poolAdmin();
    const worker = await network.worker("w1");
    await expect(PoolAdmin.forget(pool, "w1")).rejects.toEqual(
      new RpcError("failed", 'Worker "w1" is still connected!'),
    );
    await expect(PoolAdmin.forget(pool, "w2")).rejects.toEqual(
      new RpcError("failed", 'Worker "w2" not known in this pool'),
    );
    await worker.disconnect();
    await expect.poll(() => network.show()).toContain("disconnected:\n  w1");
    await PoolAdmin.forget(pool, "w1");
    expect(await PoolAdmin.workers(pool)).toEqual([]);
  });

  it("sets rates of clients that exist", async () => {
    network = await Network.start();
    const pool = await network.poolAdmin();
    await network.client("alice");
    await PoolAdmin.setRate(pool, "alice", 2.5);
    expect(await network.show()).toContain("clients: alice(2)");
    await expect(PoolAdmin.setRate(pool, "bob", 1)).rejects.toThrow("No such user");
    for (const rate of [0, -1, Number.POSITIVE_INFINITY, Number.NaN]) {
      await expect(PoolAdmin.setRate(pool, "alice", rate)).rejects.toThrow(
        `must be a finite number above 0, such as 1 or 0.5, not ${rate}`,
      );
    }
  });

  it("reaches a worker through the pool", async () => {
    network = await Network.start();
    const pool = await network.poolAdmin();
    await network.worker("w1");
    using worker = PoolAdmin.worker(pool, "w1");
    expect(await Worker.metrics(worker, "host")).toEqual({
      contentType: "text/plain",
      data: "w1 host",
    });
    expect(await Worker.additionalMetric(worker, "other")).toBeNull();
    using none = PoolAdmin.worker(pool, "w2");
    await expect(none.whenResolved()).rejects.toThrow("Unknown worker");
  });
});
