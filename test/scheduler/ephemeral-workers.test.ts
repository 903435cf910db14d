/** Ephemeral workers whose end cannot be written, or who come back just then. */
import { expect, it } from "vitest";
import { deferred } from "../../src/async/index.js";
import { EphemeralWorkers } from "../../src/scheduler/services/ephemeral-workers.js";

it("are forgotten later if it cannot be written at first", async () => {
  const errors: string[] = [];
  let isFull = true;
  const workers = new EphemeralWorkers(
    {
      attemptsOn: () => 0,
      isConnected: () => false,
      forget: async () => {
        if (isFull) throw new Error("disk full");
        return true;
      },
      ...{ leaseMs: 0, retryMs: 1 },
      onError: (worker, error) => {
        errors.push(`${worker}: ${error}`);
        if (errors.length === 2) isFull = false;
      },
    },
    ["w"],
  );
  workers.disconnected("w");
  await expect.poll(() => workers.departed, { timeout: 10_000 }).toEqual(["w"]);
  expect(errors).toEqual(["w: Error: disk full", "w: Error: disk full"]);
  expect(workers.has("w")).toBe(false);
});

it("have not departed if they are connected again by then", async () => {
  const asked = deferred<void>();
  const workers = new EphemeralWorkers(
    {
      attemptsOn: () => 0,
      isConnected: () => false,
      forget: async () => {
        asked.resolve();
        return false;
      },
      leaseMs: 0,
      onError: () => {},
    },
    ["w"],
  );
  workers.disconnected("w");
  await asked.promise;
  await new Promise(setImmediate);
  expect(workers.departed).toEqual([]);
  expect(workers.has("w")).toBe(true);
});
