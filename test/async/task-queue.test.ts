/** User code and clearing up leave the event loop its share, and keep their order. */
import { expect, it } from "vitest";
import { inSlices } from "../../src/async/slices.js";
import { enqueueCallback } from "../../src/async/task-queue.js";

/** Longer than a slice, for as many as are done between looks at the clock. */
const STEP_MS = 0.05;
const STEPS = 2000;

function work(): void {
  const end = performance.now() + STEP_MS;
  while (performance.now() < end);
}

/** Runs until `isDone`; gives how often the event loop came by. */
async function turnsUntil(isDone: () => boolean): Promise<number> {
  let turns = 0;
  for (; !isDone(); turns++) await new Promise((resolve) => setImmediate(resolve));
  return turns;
}

const inOrder = Array.from({ length: STEPS }, (_, i) => i);

it("work that nobody waits for is done in slices", async () => {
  const done: number[] = [];
  function* steps() {
    for (let i = 0; i < STEPS; i++) {
      work();
      yield done.push(i);
    }
  }
  inSlices(steps());
  expect(done.length).toBeGreaterThan(0);
  expect(done.length).toBeLessThan(STEPS);
  expect(await turnsUntil(() => done.length === STEPS)).toBeGreaterThan(1);
  expect(done).toEqual(inOrder);
});

it("callbacks run in their order, a share of them at a time, also those that come meanwhile", async () => {
  const done: number[] = [];
  const next = (i: number) => {
    work();
    done.push(i);
    if (i + STEPS / 2 < STEPS) enqueueCallback(() => next(i + STEPS / 2));
  };
  for (let i = 0; i < STEPS / 2; i++) enqueueCallback(() => next(i));
  expect(done).toEqual([]);
  expect(await turnsUntil(() => done.length === STEPS)).toBeGreaterThan(1);
  expect(done).toEqual(inOrder);
});
