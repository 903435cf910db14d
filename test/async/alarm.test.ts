import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { alarm } from "../../src/async/alarm.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const DAY = 24 * 60 * 60 * 1000;

it.each([1, 5, 24 * DAY, 60 * DAY])("an alarm rings after %d ms, once", (ms) => {
  const ring = vi.fn();
  alarm(ms, ring);
  vi.advanceTimersByTime(ms - 1);
  expect(ring).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(ring).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(100 * DAY);
  expect(ring).toHaveBeenCalledTimes(1);
});

it("an alarm that is called off, or is for never, does not ring", () => {
  const ring = vi.fn();
  const callOff = alarm(60 * DAY, ring);
  alarm(Number.POSITIVE_INFINITY, ring);
  vi.advanceTimersByTime(50 * DAY);
  callOff();
  vi.advanceTimersByTime(50 * DAY);
  expect(ring).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});
