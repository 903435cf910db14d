/** Addresses of views: each is read as it is written, and what is no address is told. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  QUERY_KEYS,
  type Route,
  readLines,
  readRoute,
  writeQuery,
  writeRoute,
} from "../../../src/web/page/routing.js";

function read(url: string): Route {
  const { hash, pathname, search } = new URL(url, "http://localhost");
  return readRoute(pathname, search, hash);
}

test.each<[string, Route]>([
  ["/", { view: "overview" }],
  ["/pools", { view: "overview" }],
  ["/pools/linux-x86_64", { view: "pool", pool: "linux-x86_64" }],
  ["/workers/w1?pool=cpu", { view: "worker", worker: "w1", pool: "cpu" }],
  ["/workers/w1", { view: "worker", worker: "w1", pool: null }],
  ["/jobs", { view: "jobs", query: {} }],
  [
    "/jobs?state=failed,running&text=tile%2052&nonsense=1&pool=",
    { view: "jobs", query: { state: "failed,running", text: "tile 52" } },
  ],
  ["/jobs/17", { view: "job", job: 17, attempt: null, lines: null }],
  ["/jobs/17?attempt=2#L5-L9", { view: "job", job: 17, attempt: 2, lines: { first: 5, last: 9 } }],
  ["/batches/3", { view: "batch", batch: 3 }],
  ["/batches?cursor=x", { view: "batches", cursor: "x" }],
  ["/usage", { view: "usage", weeks: 8 }],
  ["/usage?weeks=999", { view: "usage", weeks: 52 }],
  ["/jobs/", { view: "jobs", query: {} }],
  ["/jobs/0", { view: "unknown", path: "/jobs/0" }],
  ["/jobs/1e3", { view: "unknown", path: "/jobs/1e3" }],
  ["/jobs/99999999999999999999", { view: "unknown", path: "/jobs/99999999999999999999" }],
  ["/jobs/17/extra", { view: "unknown", path: "/jobs/17/extra" }],
  ["/nowhere", { view: "unknown", path: "/nowhere" }],
  ["/pools/%E0%A4%A", { view: "pool", pool: "%E0%A4%A" }],
])("%s", (url, route) => {
  expect(read(url)).toEqual(route);
});

test.each([
  ["#L12", { first: 12, last: 12 }],
  ["#L30-L12", { first: 12, last: 30 }],
  ["#L12-30", { first: 12, last: 30 }],
  ["#L0", null],
  ["#12", null],
  ["#t=secret", null],
  ["", null],
])("lines: %j", (hash, lines) => {
  expect(readLines(hash)).toEqual(lines);
});

test("whatever a view is of, its address leads back to it", () => {
  const name = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => text.trim() !== "");
  const trimmed = name.map((text) => text.trim());
  const query = fc.record(Object.fromEntries(QUERY_KEYS.map((key) => [key, trimmed])), {
    requiredKeys: [],
  });
  const number = fc.integer({ min: 1, max: 2 ** 40 });
  const lines = fc.option(fc.tuple(fc.integer({ min: 1, max: 1e8 }), fc.nat(500)));
  const route: fc.Arbitrary<Route> = fc.oneof(
    fc.constant<Route>({ view: "overview" }),
    name.map((pool) => ({ view: "pool" as const, pool })),
    fc
      .tuple(name, fc.option(trimmed))
      .map(([worker, pool]) => ({ view: "worker" as const, worker, pool })),
    query.map((query) => ({ view: "jobs" as const, query })),
    fc.tuple(number, fc.option(number), lines).map(([job, attempt, range]) => ({
      view: "job" as const,
      job,
      attempt,
      lines: range && { first: range[0], last: range[0] + range[1] },
    })),
    number.map((batch) => ({ view: "batch" as const, batch })),
    fc.integer({ min: 1, max: 52 }).map((weeks) => ({ view: "usage" as const, weeks })),
  );
  fc.assert(
    fc.property(route, (at) => {
      // A name that is all dots is one that no URL can have as a part of its path.
      const text = "pool" in at && at.view === "pool" ? at.pool : "worker" in at ? at.worker : "x";
      fc.pre(!/^\.+$/.test(text));
      expect(read(writeRoute(at))).toEqual(at);
    }),
    { seed: 17, numRuns: 2000 },
  );
});

test("the same filter is the same text, however it came about", () => {
  expect(writeQuery({ text: "a b", state: "failed" })).toBe("state=failed&text=a+b");
  expect(writeQuery({ state: "failed", text: "a b" })).toBe("state=failed&text=a+b");
});
