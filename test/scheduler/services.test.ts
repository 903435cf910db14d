/** Stories of the scheduler's services, with workers and clients that reach it over the network. */
import { afterEach, describe, expect, it } from "vitest";
import {
  PoolAdmin$Client,
  Queue$Client,
  Registration$Client,
} from "../../src/api/generated/ocluster.js";
import { Admin, Job, Persistent, PoolAdmin, Queue, Ticket, Worker } from "../../src/api/index.js";
import { logger } from "../../src/cli/log.js";
import { RpcError } from "../../src/rpc/index.js";
import { ClusterPoolAdmin } from "../../src/scheduler/services/pool-admin.js";
import { deferred } from "../support/deferred.js";
import { Network, type NetworkOptions } from "./network.js";

let network: Network;

afterEach(() => network.stop());

async function start(options?: NetworkOptions): Promise<Network> {
  network = await Network.start(options);
  return network;
}

describe("a job", () => {
  it("goes from a client to a worker, and its log and result come back", async () => {
    await start();
    const alice = await network.client("alice");
    const worker = await network.worker("w1");
    const submitted = alice.submit("(from busybox)", { hint: "tutorial" });
    const job = await worker.pop();
    expect(job.descr).toMatchObject({
      action: { kind: "obuilder", spec: "(from busybox)" },
      cacheHint: "tutorial",
    });
    expect(await network.show()).toContain("w1 (0): [] (1 running)");
    job.text = "Building on w1\nJob succeeded\n";
    job.output.resolve("the-layer");
    expect(await submitted.log()).toBe(job.text);
    expect(await submitted.result).toBe("the-layer");
    expect(await network.show()).toContain("w1 (0): [] (0 running)");
    expect(network.finished).toEqual(["ok"]);
    submitted.release();
  });

  it("waits until a worker asks", async () => {
    await start();
    const alice = await network.client("alice");
    const submitted = alice.submit("one");
    await submitted.queued();
    expect(await network.show()).toMatch(/queue: \(backlog\) \[alice:\(no cache hint\)@-?0s\]/);
    const worker = await network.worker("w1");
    const job = await worker.pop();
    job.output.reject(new RpcError("failed", "Build failed"));
    await expect(submitted.result).rejects.toEqual(new RpcError("failed", "Build failed"));
    expect(network.finished).toEqual(["failed"]);
    submitted.release();
  });

  it("knows its place in the queue, until a worker has it", async () => {
    await start();
    const [alice, bob] = [await network.client("alice"), await network.client("bob")];
    const first = alice.submit("one");
    const last = alice.submit("two", { hint: "h" });
    const others = bob.submit("three");
    await others.queued();
    // Both are due at once, and the second of alice's later than that.
    expect(await Ticket.place(first.ticket)).toEqual({ worker: null, ahead: 0, length: 3 });
    expect(await Ticket.place(others.ticket)).toEqual({ worker: null, ahead: 1, length: 3 });
    expect(await Ticket.place(last.ticket)).toEqual({ worker: null, ahead: 2, length: 3 });
    const urgent = alice.submit("four", { urgent: true });
    expect(await Ticket.place(urgent.ticket)).toEqual({ worker: null, ahead: 0, length: 4 });
    expect(await Ticket.place(first.ticket)).toEqual({ worker: null, ahead: 1, length: 4 });
    const worker = await network.worker("w1");
    const jobs = [await worker.pop(), await worker.pop(), await worker.pop(), await worker.pop()];
    expect(await Ticket.place(last.ticket)).toBeNull();
    // It holds the hint now, so that the next ones with it are put aside for it, once somebody asks.
    const again = alice.submit("five", { hint: "h" });
    const away = alice.submit("six", { hint: "h" });
    await away.queued();
    const other = await network.worker("w2");
    const popped = other.pop();
    await expect.poll(() => Ticket.place(away.ticket)).toMatchObject({ worker: "w1" });
    expect(await Ticket.place(again.ticket)).toEqual({ worker: "w1", ahead: 0, length: 2 });
    expect(await Ticket.place(away.ticket)).toEqual({ worker: "w1", ahead: 1, length: 2 });
    for (const job of jobs) job.output.resolve("");
    const refused = expect(popped).rejects.toThrow();
    await other.disconnect();
    await refused;
    for (const job of [first, last, others, urgent, again, away]) job.release();
  });

  it("is taken back by its ticket while it is queued", async () => {
    await start();
    const alice = await network.client("alice");
    const submitted = alice.submit("one");
    await Ticket.cancel(submitted.ticket);
    await expect(submitted.result).rejects.toEqual(new RpcError("failed", "Ticket cancelled"));
    expect(await network.show()).toContain("queue: (backlog) []");
    submitted.release();
  });

  it("is taken back when its ticket is dropped while it is queued", async () => {
    await start();
    const alice = await network.client("alice");
    const submitted = alice.submit("one");
    await submitted.queued();
    submitted.ticket.release();
    await expect(submitted.result).rejects.toEqual(
      new RpcError("failed", "Ticket released (cancelled)"),
    );
    submitted.release();
  });

  it("is stopped by its ticket when a worker runs it", async () => {
    await start();
    const alice = await network.client("alice");
    const worker = await network.worker("w1");
    const submitted = alice.submit("one");
    const job = await worker.pop();
    await Ticket.cancel(submitted.ticket);
    expect(await job.cancelled.promise).toBe("cancel");
    job.output.reject(new RpcError("failed", "Build cancelled"));
    await expect(submitted.result).rejects.toThrow("Build cancelled");
    submitted.release();
  });

  it("is dropped by its worker when its client has disconnected", async () => {
    await start();
    const alice = await network.client("alice");
    const worker = await network.worker("w1");
    const submitted = alice.submit("one");
    const job = await worker.pop();
    await submitted.job.whenResolved();
    await alice.vat.close();
    expect(await job.cancelled.promise).toBe("release");
    job.output.reject(new RpcError("failed", "Build cancelled"));
    submitted.release();
  });

  it("fails when its worker is lost", async () => {
    await start();
    const alice = await network.client("alice");
    const worker = await network.worker("w1");
    const submitted = alice.submit("one");
    await worker.pop();
    await submitted.job.whenResolved();
    await worker.disconnect();
    await expect(submitted.result).rejects.toMatchObject({ kind: "disconnected" });
    expect(network.finished).toEqual(["disconnected"]);
    submitted.release();
  });
});

describe("a worker", () => {
  it("that called its request off is not given a job", async () => {
    await start();
    const alice = await network.client("alice");
    const [w1, w2] = [await network.worker("w1"), await network.worker("w2")];
    const abort = new AbortController();
    const first = w1.pop(abort.signal);
    const refused = expect(first).rejects.toThrow("cancelled");
    abort.abort();
    await refused;
    const second = w2.pop();
    const submitted = alice.submit("one");
    expect((await second).spec).toBe("one");
    submitted.release();
  });

  it("that pauses itself gets nothing until it is active again", async () => {
    await start();
    const alice = await network.client("alice");
    const worker = await network.worker("w1");
    await Queue.setActive(worker.queue, false);
    const popped = worker.pop();
    const submitted = alice.submit("one");
    await submitted.queued();
    expect(await network.show()).toContain("w1 (0): (inactive: worker pause) (0 running)");
    await Queue.setActive(worker.queue, true);
    expect((await popped).spec).toBe("one");
    submitted.release();
  });

  it("leaves its name free when it disconnects", async () => {
    await start();
    const worker = await network.worker("w1");
    await worker.disconnect();
    await network.worker("w1");
    expect(await network.show()).toContain("registered:\n  w1 (0): [] (0 running)");
  });

  it("cannot have the name of one that is there", async () => {
    await start();
    await network.worker("w1");
    const other = await network.unregisteredWorker("w1");
    await expect(other.queue.whenResolved()).rejects.toEqual(
      new RpcError("failed", "Worker already registered!"),
    );
  });
});

describe("a client", () => {
  it("of a pool that does not exist is told which do", async () => {
    await start({ pools: ["b", "a"] });
    const alice = await network.client("alice");
    const submitted = alice.submit("one", { pool: "x" });
    await expect(submitted.result).rejects.toEqual(
      new RpcError("failed", 'Pool ID "x" not one of {a, b}'),
    );
    submitted.release();
  });

  it("that is removed is refused at once, and its tickets still work", async () => {
    await start();
    const admin = await network.admin();
    const alice = await network.client("alice");
    const worker = await network.worker("w1");
    const running = alice.submit("running");
    const job = await worker.pop();
    const queued = alice.submit("queued");
    await queued.queued();
    await Admin.removeClient(admin, "alice");
    const refused = alice.submit("refused");
    await expect(refused.result).rejects.toThrow("Access has been revoked");
    await Ticket.cancel(queued.ticket);
    await expect(queued.result).rejects.toThrow("Ticket cancelled");
    job.output.resolve("done");
    expect(await running.result).toBe("done");
    for (const each of [running, queued, refused]) each.release();
    expect(await network.show()).toContain("clients: \n");
  });
});

describe("an administrator", () => {
  it("adds, lists and removes clients", async () => {
    await start();
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

  it("sees the pools, and no others", async () => {
    await start({ pools: ["b", "a"] });
    const admin = await network.admin();
    expect(await Admin.pools(admin)).toEqual(["a", "b"]);
    using none = Admin.pool(admin, "none");
    await expect(PoolAdmin.show(none)).rejects.toEqual(new RpcError("failed", "No such pool"));
  });

  it("pauses and unpauses workers, connected or not", async () => {
    await start();
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
    await start();
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
    await start();
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
    await start();
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
    await start();
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
    await start();
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
    await start();
    const pool = await network.poolAdmin();
    await network.worker("w1");
    await expect(PoolAdmin.update(pool, "w1", () => {})).rejects.toEqual(
      new RpcError("failed", "cannot"),
    );
    expect(await network.show()).toContain("w1 (0): [] (0 running)");
    await expect(PoolAdmin.update(pool, "w2", () => {})).rejects.toThrow("Unknown worker");
  });

  it("forgets workers that are gone", async () => {
    await start();
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
    await start();
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
    await start();
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

describe("guard rails", () => {
  it("limit a client's queued jobs, and say so", async () => {
    await start({ guardRails: { queuedJobs: 2 } });
    const alice = await network.client("alice");
    const submitted = [alice.submit("one"), alice.submit("two"), alice.submit("three")];
    await expect(submitted[2]!.result).rejects.toMatchObject({
      kind: "overloaded",
      message: expect.stringContaining("the limit is 2"),
    });
    await Ticket.cancel(submitted[0]!.ticket);
    const fourth = alice.submit("four");
    await fourth.queued();
    for (const each of [...submitted, fourth]) each.release();
  });

  it("limit the size of a description, of all of a client's, and the tickets of a connection", async () => {
    await start({ guardRails: { jobBytes: 1000, queuedBytes: 1500, tickets: 3 } });
    const alice = await network.client("alice");
    const bob = await network.client("bob");
    const tooLarge = alice.submit("x".repeat(2000));
    await expect(tooLarge.result).rejects.toThrow("the limit is 1000");
    const submitted = [alice.submit("x".repeat(800)), alice.submit("x".repeat(800))];
    await expect(submitted[1]!.result).rejects.toThrow("the limit is 1500");
    const bobs = ["1", "2", "3", "4"].map((spec) => bob.submit(spec));
    await expect(bobs[3]!.result).rejects.toThrow("the limit is 3");
    await expect(Job.result(bobs[3]!.job)).rejects.toMatchObject({ kind: "overloaded" });
    for (const each of [tooLarge, ...submitted, ...bobs]) each.release();
  });

  it("limit cache hints and workers' names, which are kept for long", async () => {
    await start();
    const alice = await network.client("alice");
    const longest = alice.submit("one", { hint: "é".repeat(2048) });
    await longest.queued();
    const tooLong = alice.submit("two", { hint: "é".repeat(2049) });
    await expect(tooLong.result).rejects.toEqual(
      new RpcError("overloaded", "The cache hint has 4098 bytes; the limit is 4096"),
    );
    const worker = await network.unregisteredWorker("w".repeat(1025));
    await expect(worker.queue.whenResolved()).rejects.toThrow(
      "The worker's name is longer than 1024 characters",
    );
    longest.release();
    tooLong.release();
  });

  it("cut a pool's name short that is as long as a message", async () => {
    await start();
    const alice = await network.client("alice");
    const submitted = alice.submit("one", { pool: "\n".repeat(10_000_000) });
    await expect(submitted.result).rejects.toEqual(
      new RpcError("failed", `Pool ID "${"\\n".repeat(256)}" not one of {pool}`),
    );
    submitted.release();
  });
});

describe("params that lack their capability", () => {
  const [POP] = Queue$Client.methods;
  const [REGISTER] = Registration$Client.methods;

  it("do not cost a job", async () => {
    await start();
    const alice = await network.client("alice");
    const worker = await network.worker("w1");
    const submitted = alice.submit("one");
    await submitted.queued();
    using call = worker.queue.call(POP);
    await expect(call.response).rejects.toEqual(new RpcError("failed", "Missing job!"));
    expect((await worker.pop()).spec).toBe("one");
    submitted.release();
  });

  it("do not register a worker", async () => {
    await start();
    const registration = network.own((await network.dial(network.ref("pool-pool"))).service);
    using call = registration.call(REGISTER, (params) => {
      params.name = "w1";
    });
    await expect(call.response).rejects.toEqual(new RpcError("failed", "Missing worker argument!"));
  });
});
