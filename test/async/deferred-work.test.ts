/** Work that waits its turn: all of it is done, in order, and with pauses for others. */
import { expect, it } from "vitest";
import { type DeferredTask, DeferredWork } from "../../src/async/deferred-work.js";

/** More than one list of them, and more than one slice. */
const MANY = 20_000;

const task = (action: () => void): DeferredTask => ({ do: action });

it("deferred tasks are done in order, also those that come up meanwhile, whatever some of them throw", async () => {
  const errors: unknown[] = [];
  const deferredWork = new DeferredWork((error) => errors.push(error));
  const done: number[] = [];
  await new Promise<void>((resolve) => {
    for (let i = 0; i < MANY; i++) {
      deferredWork.add(
        task(() => {
          done.push(i);
          if (i % 1000 === 0) deferredWork.add(task(() => done.push(MANY + i)));
          if (i === 7) throw new Error("seven");
        }),
      );
    }
    deferredWork.add(task(() => deferredWork.add(task(resolve))));
  });
  const later = Array.from({ length: MANY / 1000 }, (_, i) => MANY + 1000 * i);
  expect(done).toEqual([...Array(MANY).keys(), ...later]);
  expect(errors).toEqual([new Error("seven")]);
});

it("others run in between", async () => {
  const deferredWork = new DeferredWork(() => {});
  let left = 100;
  let between = 0;
  await new Promise<void>((resolve) => {
    const look = () => {
      if (left === 0) return resolve();
      between++;
      setImmediate(look);
    };
    const long = task(() => {
      for (const end = performance.now() + 1; performance.now() < end; );
      left--;
    });
    for (let i = left; i > 0; i--) deferredWork.add(long);
    look();
  });
  // A hundred milliseconds of work in slices of some five, in which at most a batch of 64 is done.
  expect(between).toBeGreaterThan(1);
});
