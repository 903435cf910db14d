/** Workers that are gone though their connections still look alive. */
import { afterEach, expect, it } from "vitest";
import { SlowLine } from "../support/slow-line.js";
import { Network } from "./network.js";

let network: Network;
let line: SlowLine;

afterEach(async () => {
  line.close();
  await network.stop();
});

it("a worker that stops answering loses its jobs to others, and its name", async () => {
  network = await Network.start({ liveness: { intervalMs: 50, timeoutMs: 300 } });
  line = await SlowLine.to(network.port);
  const alice = await network.client("alice");
  const frozen = await network.unregisteredWorker("w1", line.port);
  await frozen.queue.whenResolved();
  const running = alice.submit("running", { hint: "h" });
  await frozen.pop();
  // With the hint cached there, the next job goes to the worker's own queue once somebody asks for
  // it.
  const queued = alice.submit("queued", { hint: "h" });
  await queued.queued();
  const other = await network.worker("w2");
  const popped = other.pop();
  await expect.poll(() => network.show()).toContain("w1 (10): [alice:h@");

  line.freeze();
  await expect(running.result).rejects.toMatchObject({
    kind: "disconnected",
    message: 'Worker "w1" has not answered for 0.3 s',
  });
  expect((await popped).spec).toBe("queued");
  const again = await network.worker("w1");
  expect(await network.show()).toContain("w1 (0): [] (0 running)");
  expect(again.name).toBe("w1");
  running.release();
  queued.release();
});

it("a worker that comes back takes its name from its dead self, and not before", async () => {
  network = await Network.start({ liveness: { intervalMs: 1_000_000, timeoutMs: 300 } });
  line = await SlowLine.to(network.port);
  const first = await network.unregisteredWorker("w1", line.port);
  await first.queue.whenResolved();
  const early = await network.unregisteredWorker("w1");
  await expect(early.queue.whenResolved()).rejects.toThrow("Worker already registered!");

  line.freeze();
  const second = await network.worker("w1");
  expect(network.log).toContain('Worker "w1" does not answer; another one takes its place');
  const alice = await network.client("alice");
  const submitted = alice.submit("one");
  expect((await second.pop()).spec).toBe("one");
  submitted.release();
});
