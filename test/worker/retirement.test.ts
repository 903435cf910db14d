import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Capacity } from "../../src/worker/capacity.js";
import { idleFor } from "../../src/worker/retirement.js";
import { SmallCluster } from "./small-cluster.js";

const MINUTE = 60_000;

let stop: AbortController;
beforeEach(() => {
  vi.useFakeTimers();
  stop = new AbortController();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Starts to wait for five minutes without a job. */
function watch(capacity: Capacity) {
  const seen = { isOver: false };
  void idleFor(capacity, 5 * MINUTE, stop.signal).then(
    () => {
      seen.isOver = true;
    },
    () => {},
  );
  return seen;
}

it("is over when there was no job from the start", async () => {
  const seen = watch(new Capacity(1));
  await vi.advanceTimersByTimeAsync(5 * MINUTE - 1);
  expect(seen.isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(seen.isOver).toBe(true);
});

it("begins anew with the end of the last job", async () => {
  const capacity = new Capacity(2);
  const seen = watch(capacity);
  await vi.advanceTimersByTimeAsync(4 * MINUTE);
  capacity.take(1);
  await vi.advanceTimersByTimeAsync(60 * MINUTE);
  capacity.take(1);
  capacity.giveBack(1);
  await vi.advanceTimersByTimeAsync(60 * MINUTE);
  capacity.giveBack(1);
  await vi.advanceTimersByTimeAsync(4 * MINUTE);
  expect(seen.isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect(seen.isOver).toBe(true);
});

it("leaves no clock behind when nobody waits for it any more", async () => {
  const seen = watch(new Capacity(1));
  await vi.advanceTimersByTimeAsync(MINUTE);
  stop.abort();
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(0);
  expect(seen.isOver).toBe(false);
});

it("a worker ends when it is over", async () => {
  vi.useRealTimers();
  const cluster = await SmallCluster.open();
  try {
    await cluster.startWorker({ idleTimeout: 1 });
    expect(await cluster.ended).toBe("stopped");
  } finally {
    await cluster.close();
  }
});
