import { expect, it } from "vitest";
import { RecentDescriptions } from "../../src/scheduler/state/recent-descriptions.js";

it("keeps the last descriptions that there is room for, until they are to be forgotten", () => {
  const recent = new RecentDescriptions(3000);
  const bytes = (length: number) => new Uint8Array(length);
  recent.add(1, bytes(1000));
  recent.add(2, bytes(1000));
  expect(recent.get(1)).toHaveLength(1000);
  recent.add(3, bytes(1000));
  expect([1, 2, 3].map((job) => recent.get(job) !== undefined)).toEqual([false, true, true]);
  recent.forget(2);
  recent.forget(2);
  recent.add(4, bytes(1500));
  expect([3, 4].map((job) => recent.get(job)?.length)).toEqual([1000, 1500]);
  recent.add(4, bytes(10));
  expect([3, 4].map((job) => recent.get(job)?.length)).toEqual([1000, 10]);
  recent.add(5, bytes(3000));
  expect([3, 4, 5].map((job) => recent.get(job))).toEqual([undefined, undefined, undefined]);
  recent.add(6, bytes(1000));
  recent.forgetAll();
  recent.add(7, bytes(2800));
  expect([6, 7].map((job) => recent.get(job)?.length)).toEqual([undefined, 2800]);
});
