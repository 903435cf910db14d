/**
 * The API is as docs/openapi.yaml says, for what is asked well and for what is not: no request
 * makes it stumble, and none shows anything that is another's.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { submitBatch } from "./batch.js";
import { House, type Visitor } from "./house.js";
import { ENDPOINTS, type Endpoint, type Parameter, problemsOf, resolve } from "./schema.js";

let house: House;
let alice: Visitor;
let admin: Visitor;
const NUMBERS: Record<string, number> = {};

beforeAll(async () => {
  house = await House.open();
  const [ofAlice, ofBob] = [await house.client("alice"), await house.client("bob")];
  const worker = await house.network.worker("w1");
  for (const [client, name] of [
    [ofAlice, "alices"],
    [ofBob, "bobs"],
  ] as const) {
    const options = { name: `${name}-name`, hint: `${name}-hint` };
    const id = await client.submitDurable("s", options);
    const job = await worker.popDurable();
    job.begun.resolve();
    job.print(`${name}-log\n\u001b[31merror: it failed\u001b[0m\nprogress\rdone\n`);
    job.end("failed", { reason: `${name}-reason` });
    await client.ended(id);
    await job.settled.promise;
    NUMBERS[`${name}Job`] = id;
  }
  NUMBERS.alicesBatch = await submitBatch(ofAlice, "alices-batch", ["alices-1", "alices-2"]);
  const row = await worker.popDurable();
  row.begun.resolve();
  row.end("succeeded", { output: "layer" });
  await row.settled.promise;
  NUMBERS.bobsBatch = await submitBatch(ofBob, "bobs-batch", ["bobs-1", "bobs-2"]);
  await worker.disconnect();
  alice = await house.web("alice");
  await alice.signIn();
  admin = await house.web("admin");
  await admin.signIn();
});

afterAll(() => house.close());

/** Of a path with names in braces. */
function fill(path: string, values: Readonly<Record<string, string>>): string {
  return path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name] ?? "1"));
}

async function ask(who: Visitor, endpoint: Endpoint, url: string, init: RequestInit = {}) {
  const { method } = endpoint;
  const isEvents = endpoint.path.endsWith("/events");
  if (isEvents) {
    // It has no end.
    const response = await fetch(who.url + url, who.init(method, init));
    const type = response.headers.get("content-type");
    const isJson = type?.startsWith("application/json");
    const text = isJson ? await response.text() : "";
    await response.body?.cancel();
    return { status: response.status, type, text, body: isJson ? JSON.parse(text) : undefined };
  }
  const answer = await who.ask(method, url, init);
  return { ...answer, type: answer.headers.get("content-type") };
}

const bare = (type: string | null) => type?.split(";")[0] ?? null;

const USUAL = { "Content-Type": "application/json", "X-OCluster-Web": "1" };

describe("what is asked well", () => {
  const gets = ENDPOINTS.filter(({ method }) => method === "GET");

  it.each(gets.map((endpoint) => [endpoint.path, endpoint] as const))(
    "is answered as described: %s",
    async (path, endpoint) => {
      const values = {
        ...{ pool: "pool", worker: "w1", row: "0" },
        job: String(NUMBERS.alicesJob),
        batch: String(NUMBERS.alicesBatch),
      };
      const query = path.endsWith("/file") ? "?path=/x" : "";
      const { body, status, text, type } = await ask(admin, endpoint, fill(path, values) + query);
      // No worker here makes files.
      expect(status, text).toBe(/outputs/.test(path) ? 404 : 200);
      expect(problemsOf(endpoint, status, bare(type), body)).toEqual([]);
    },
  );

  it("has something in it: the log's lines, and what looks like an error", async () => {
    const log = `/api/v1/jobs/${NUMBERS.alicesJob}/log`;
    expect((await admin.get(log)).body).toMatchObject({
      lines: ["alices-log", "\u001b[31merror: it failed\u001b[0m", "done"],
      ...{ from: 0, total: 3, open: false, complete: true, attempt: 1 },
    });
    expect((await admin.get(`${log}?from=-1`)).body).toMatchObject({ from: 2, lines: ["done"] });
    expect((await admin.get(`${log}?errors=1`)).body).toMatchObject({ matches: [1], next: null });
    expect((await admin.get(`${log}?find=LOG`)).body).toMatchObject({ matches: [0], next: null });
    expect((await admin.get(`${log}/raw`)).text).toMatch(/^alices-log\n.*progress\rdone\n$/s);
    const part = await admin.get(`${log}/raw`, { Range: "bytes=0-5" });
    expect([part.status, part.text]).toEqual([206, "alices"]);
    expect(part.headers.get("content-range")).toMatch(/^bytes 0-5\/\d+$/);
    const last = await admin.get(`${log}/raw`, { Range: "bytes=-5" });
    expect([last.status, last.text]).toEqual([206, "done\n"]);
    expect((await admin.get(`${log}/raw`, { Range: "bytes=9999-" })).status).toBe(416);
    expect((await admin.get(`${log}/raw?follow=1`)).text).toMatch(/done\n$/);
    const grid = await admin.get(`/api/v1/batches/${NUMBERS.alicesBatch}/grid`);
    expect(grid.body).toMatchObject({ rows: 2, states: "s.", seen: 1 });
    const rows = await admin.get(`/api/v1/batches/${NUMBERS.alicesBatch}/rows`);
    expect(rows.body.rows).toMatchObject([{ key: "alices-1", row: 1, values: { v: "alices-1" } }]);
    const row = await admin.get(`/api/v1/batches/${NUMBERS.alicesBatch}/grid/0`);
    expect(row.body).toEqual({ row: 0, state: "s", job: rows.body.rows[0].job });
  });
});

describe("a page of jobs", () => {
  it("leads through all of them, also where it looks for a text", async () => {
    const seen: number[] = [];
    for (let query = "limit=1"; ; ) {
      const { body } = await admin.get(`/api/v1/jobs?${query}`);
      seen.push(...body.jobs.map(({ id }: { id: number }) => id));
      if (body.cursor === null) break;
      query = `limit=1&cursor=${body.cursor}`;
    }
    const all = (await admin.get("/api/v1/jobs?limit=200")).body;
    expect(seen).toEqual(all.jobs.map(({ id }: { id: number }) => id));
    expect(seen).toEqual(seen.toSorted((a, b) => b - a));
    const found = (await admin.get("/api/v1/jobs?text=BOBS-NAME")).body;
    expect(found.jobs).toMatchObject([{ id: NUMBERS.bobsJob }]);
    expect(found).toMatchObject({ cursor: null, scanned: all.jobs.length });
    const first = (await admin.get("/api/v1/jobs?text=-name&limit=1")).body;
    expect(first.jobs).toHaveLength(1);
    const rest = (await admin.get(`/api/v1/jobs?text=-name&cursor=${first.cursor}`)).body;
    expect(rest.jobs).toHaveLength(1);
  });
});

/** Values that a parameter should have, and others. */
function valuesOf({ name, schema }: Parameter): fc.Arbitrary<string> {
  const { type, enum: words } = resolve(schema);
  const known = fc.constantFrom(
    ...["pool", "other", "w1", "alice", "bob", "alices-hint", "bobs-hint", "1d", "day", "queued"],
    ...Object.values(NUMBERS).map(String),
  );
  const odd = fc.constantFrom(
    ...["", "-1", "0", "1e9", "NaN", "999999999999999", "9999999999999999999", "0x10", "..", "%00"],
    ...["\0", "\ud800", "é", "'; DROP TABLE job; --", "<script>", "a".repeat(1500), "__proto__"],
    ...[
      "constructor",
      "/etc/passwd",
      "job:1",
      "jobs:state=x",
      "log:1:0",
      "pool:pool",
      "pools",
      name,
    ],
  );
  const fitting =
    type === "integer"
      ? fc.nat(100).map(String)
      : words
        ? fc.constantFrom(...words.map(String))
        : known;
  return fc.oneof({ weight: 3, arbitrary: fitting }, known, odd, fc.string({ unit: "binary" }));
}

interface Request {
  readonly endpoint: Endpoint;
  readonly url: string;
  readonly init: RequestInit;
}

function requests(endpoint: Endpoint): fc.Arbitrary<Request> {
  const { method, operation, path } = endpoint;
  const parameters = (operation.parameters ?? []).map(resolve);
  const at = (place: Parameter["in"]) => parameters.filter((one) => one.in === place);
  const record = (list: readonly Parameter[], requiredKeys: "all" | "none") => {
    const model = Object.fromEntries(list.map((one) => [one.name, valuesOf(one)]));
    return requiredKeys === "all" ? fc.record(model) : fc.record(model, { requiredKeys: [] });
  };
  const body = fc.oneof(
    fc.constant("{}"),
    fc.json(),
    fc.string(),
    fc
      .record(
        {
          reason: fc.anything(),
          keys: fc.anything(),
          secret: fc.anything(),
          job: fc.anything(),
          batch: fc.anything(),
          expires: fc.anything(),
        },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value, (_, one) => (typeof one === "bigint" ? null : one))),
  );
  return fc
    .tuple(record(at("path"), "all"), record(at("query"), "none"), body, fc.boolean())
    .map(([values, query, text, isGuarded]) => {
      const search = new URLSearchParams(query as Record<string, string>).toString();
      const wellFormed = Object.fromEntries(
        Object.entries(values as Record<string, string>).map(([name, value]) => [
          name,
          value.replace(/\p{Surrogate}/gu, "\ufffd"),
        ]),
      );
      const url = `${fill(path, wellFormed)}${search === "" ? "" : `?${search}`}`;
      const headers: Record<string, string> = isGuarded ? USUAL : { "Content-Type": "text/plain" };
      return { endpoint, url, init: method === "POST" ? { headers, body: text } : { headers } };
    });
}

it("whatever is asked, there is an answer as described, and nothing of anybody else in it", async () => {
  // To leave would end the session that all of them are in.
  const endpoints = ENDPOINTS.filter(({ method }) => method !== "DELETE");
  const any = fc.oneof(...endpoints.map(requests));
  const property = fc.asyncProperty(any, async ({ endpoint, init, url }) => {
    const { body, status, text, type } = await ask(alice, endpoint, url, init);
    expect(status, `${url}: ${text}`).not.toBe(500);
    // "." and ".." and nothing are parts of another path to who asks.
    if (status !== 404 && status !== 405) {
      expect(problemsOf(endpoint, status, bare(type), body), `${url}: ${text}`).toEqual([]);
    }
    // Its own words are no news to who asks.
    if (!/bob/i.test(decodeURIComponent(url))) expect(text).not.toMatch(/bobs-/);
    else expect(text).not.toMatch(/bobs-(?:log|reason|name|1|2|batch)/);
  });
  await fc.assert(property, { seed: 17, numRuns: 300, endOnFailure: true });
  expect((await alice.get("/api/v1/session")).status).toBe(200);
}, 240_000);
