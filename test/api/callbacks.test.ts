/** What a service's callback returns where nothing is asked for, such as a number, does no harm. */
import { expect, it } from "vitest";
import { Job, Progress, Queue } from "../../src/api/index.js";

it("may be anything", async () => {
  const told: unknown[] = [];
  using progress = Progress.local((status) => told.push(status));
  await Progress.report(progress, "Running jobs: 1");
  using queue = Queue.local({
    pop: () => Promise.reject(new Error("no jobs")),
    setActive: (active) => told.push(active),
    release: () => {},
  });
  await Queue.setActive(queue, true);
  using job = Job.local({
    log: () => ({ data: new Uint8Array(), next: 0 }),
    result: async () => "",
    cancel: () => told.push("cancelled"),
  });
  await Job.cancel(job);
  expect(told).toEqual(["Running jobs: 1", true, "cancelled"]);
});
