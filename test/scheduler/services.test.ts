/** Stories of the scheduler's services, with workers and clients that reach it over the network. */
import { afterEach, describe, expect, it } from "vitest";
import { Queue$Client, Registration$Client } from "../../src/api/generated/ocluster.js";
import { Admin, Queue, Ticket } from "../../src/api/index.js";
import { RpcError } from "../../src/rpc/index.js";
import { Network } from "./network.js";

let network: Network;

afterEach(() => network.stop());

describe("a job", () => {
  it("goes from a client to a worker, and its log and result come back", async () => {
    network = await Network.start();
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
    network = await Network.start();
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
    network = await Network.start();
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
    // It holds the hint now, so that the next ones with it are put aside for it, once somebody
    // asks.
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
    network = await Network.start();
    const alice = await network.client("alice");
    const submitted = alice.submit("one");
    await Ticket.cancel(submitted.ticket);
    await expect(submitted.result).rejects.toEqual(new RpcError("failed", "Ticket cancelled"));
    expect(await network.show()).toContain("queue: (backlog) []");
    submitted.release();
  });

  it("is taken back when its ticket is dropped while it is queued", async () => {
    network = await Network.start();
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
    network = await Network.start();
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
    network = await Network.start();
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
    network = await Network.start();
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
    network = await Network.start();
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
    network = await Network.start();
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
    network = await Network.start();
    const worker = await network.worker("w1");
    await worker.disconnect();
    await network.worker("w1");
    expect(await network.show()).toContain("registered:\n  w1 (0): [] (0 running)");
  });

  it("cannot have the name of one that is there", async () => {
    network = await Network.start();
    await network.worker("w1");
    const other = await network.unregisteredWorker("w1");
    await expect(other.queue.whenResolved()).rejects.toEqual(
      new RpcError("failed", "Worker already registered!"),
    );
  });
});

describe("a client", () => {
  it("of a pool that does not exist is told which do", async () => {
    network = await Network.start({ pools: ["b", "a"] });
    const alice = await network.client("alice");
    const submitted = alice.submit("one", { pool: "x" });
    await expect(submitted.result).rejects.toEqual(
      new RpcError("failed", 'Pool ID "x" not one of {a, b}'),
    );
    submitted.release();
  });

  it("that is removed is refused at once, and its tickets say so", async () => {
    network = await Network.start();
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
    const reason = "Ticket cancelled: the client was removed";
    await expect(queued.result).rejects.toThrow(reason);
    expect(await Ticket.place(queued.ticket)).toBeNull();
    await expect(Ticket.cancel(queued.ticket)).rejects.toThrow(reason);
    job.output.resolve("done");
    expect(await running.result).toBe("done");
    for (const each of [running, queued, refused]) each.release();
    expect(await network.show()).toContain("clients: \n");
  });
});

describe("params that lack their capability", () => {
  const [POP] = Queue$Client.methods;
  const [REGISTER] = Registration$Client.methods;

  it("do not cost a job", async () => {
    network = await Network.start();
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
    network = await Network.start();
    const registration = network.own((await network.dial(network.ref("pool-pool"))).service);
    using call = registration.call(REGISTER, (params) => {
      params.name = "w1";
    });
    await expect(call.response).rejects.toEqual(new RpcError("failed", "Missing worker argument!"));
  });
});
