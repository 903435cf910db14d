/** What one client or worker may cost the others, and that it is told so. */
import { afterEach, describe, expect, it } from "vitest";
import { Job, Queue, Ticket } from "../../src/api/index.js";
import { RpcError } from "../../src/rpc/index.js";
import { Network } from "./network.js";

let network: Network;

afterEach(() => network.stop());

describe("limits of a client", () => {
  it("limit a client's queued jobs, and say so", async () => {
    network = await Network.start({ clientLimits: { queuedJobs: 2 } });
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
    network = await Network.start({
      clientLimits: { jobBytes: 1000, queuedBytes: 1500, tickets: 3 },
    });
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
    network = await Network.start();
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

  it("limit a worker's requests for jobs, as every job wakes all of them", async () => {
    network = await Network.start();
    const [alice, worker] = [await network.client("alice"), await network.worker("w1")];
    const requests = Array.from({ length: 1000 }, () => worker.pop());
    const ended = Promise.allSettled(requests);
    await expect(worker.pop()).rejects.toMatchObject({
      kind: "overloaded",
      message: expect.stringContaining("1000"),
    });
    const submitted = alice.submit("one");
    expect((await Promise.race(requests)).spec).toBe("one");
    // That made room for one more, which waits until the worker is gone.
    const onceMore = expect(worker.pop()).rejects.toMatchObject({ kind: "disconnected" });
    await Queue.setActive(worker.queue, true);
    await worker.disconnect();
    await onceMore;
    await ended;
    submitted.release();
  });

  it("cut a pool's name short that is as long as a message", async () => {
    network = await Network.start();
    const alice = await network.client("alice");
    const submitted = alice.submit("one", { pool: "\n".repeat(10_000_000) });
    await expect(submitted.result).rejects.toEqual(
      new RpcError("failed", `Pool ID "${"\\n".repeat(256)}" not one of {pool}`),
    );
    submitted.release();
  });
});
