/**
 * What a capability may see is what its page shows: a client her own, a viewer everything and
 * nothing that changes it, an administrator all.
 */
import { describe, expect, it } from "vitest";
import { Grants } from "../../../src/api/index.js";
import type { TestClient } from "../../scheduler/network.js";
import { submitBatch } from "./batch.js";
import { House, type Visitor } from "./house.js";

const house = House.forEachTest();

interface Bobs {
  readonly opened: House;
  readonly alice: TestClient;
  readonly bob: TestClient;
  /** Jobs of each, and a batch; names and hints of bob's begin with `bobs-`. */
  readonly hers: number;
  readonly his: number;
  readonly herBatch: number;
  readonly hisBatch: number;
}

/** Alice and Bob, each with a job that has run, one that is queued, and a batch. */
async function twoClients(): Promise<Bobs> {
  const opened = await house.open();
  const alice = await opened.client("alice");
  const bob = await opened.client("bob");
  const worker = await opened.network.worker("bobs-worker");
  const his = await bob.submitDurable("s", {
    name: "bobs-name",
    hint: "bobs-hint",
    key: "bobs-key",
  });
  const job = await worker.popDurable();
  job.begun.resolve();
  job.print("bobs-log\n");
  job.end("failed", { reason: "bobs-reason" });
  await bob.ended(his);
  await job.settled.promise;
  const hers = await alice.submitDurable("s", { name: "alices-name" });
  const hisBatch = await submitBatch(bob, "bobs-batch", ["bobs-row"]);
  const herBatch = await submitBatch(alice, "alices-batch", ["alices-row"]);
  await bob.submitDurable("s", { pool: "other", hint: "bobs-other" });
  return { opened, alice, bob, hers, his, herBatch, hisBatch };
}

/** All that can be looked at. */
function everything({ herBatch, hers, his, hisBatch }: Bobs): string[] {
  const ofJob = ["", "/explain", "/log", "/log?find=bobs", "/log/steps", "/log/raw", "/outputs"];
  const ofBatch = ["", "/rows", "/grid", "/grid/0"];
  return [
    ...["session", "pools", "pools/pool", "pools/other", "pools/pool/live", "pools/pool/explain"],
    ...["pools/pool/explain?client=bob", "pools/pool/explain?worker=bobs-worker"],
    ...["workers/bobs-worker", "operations", "usage", "usage?by=day", "batches"],
    ...["jobs", "jobs?client=bob", "jobs?text=bobs", "jobs?hint=bobs-hint", "jobs?name=bobs-name"],
    ...[
      "jobs?worker=bobs-worker",
      "jobs?state=failed",
      `jobs?batch=${hisBatch}`,
      "jobs?key=bobs-key",
    ],
    ...[hers, his].flatMap((job) => ofJob.map((path) => `jobs/${job}${path}`)),
    ...[herBatch, hisBatch].flatMap((batch) => ofBatch.map((path) => `batches/${batch}${path}`)),
  ];
}

describe("a client", () => {
  it("sees nothing of another, wherever she looks", async () => {
    const bobs = await twoClients();
    const web = await bobs.opened.web("alice");
    await web.signIn();
    for (const path of everything(bobs)) {
      const { body, status, text } = await web.get(`/api/v1/${path}`);
      expect(status, path).toBeLessThan(500);
      // But for what she has said herself, that is.
      expect(text, path).not.toMatch(/bobs-|"bob"/);
      if (path.startsWith(`jobs/${bobs.his}`) || path.startsWith(`batches/${bobs.hisBatch}`)) {
        expect([path, status, body?.error?.code]).toEqual([path, 404, "not_found"]);
      }
    }
    expect((await web.get("/api/v1/jobs")).body.jobs.map(({ client }: never) => client)).toEqual(
      expect.arrayContaining(["alice"]),
    );
    const { pools } = (await web.get("/api/v1/pools")).body;
    expect(pools).toMatchObject([
      { name: "other", workers: 0, queued: 1, known: null, paused: null },
      { name: "pool", workers: 1, known: null },
    ]);
    expect((await web.get("/api/v1/pools/pool")).body.detail).toBeNull();
    expect((await web.get("/api/v1/usage")).body).toMatchObject({
      periods: [{ clients: [{ client: "alice" }] }],
      rates: null,
    });
  });

  it("changes nothing of another, and no worker", async () => {
    const bobs = await twoClients();
    const web = await bobs.opened.web("alice");
    await web.signIn();
    const { his, hisBatch } = bobs;
    const theirs = [`jobs/${his}/cancel`, `jobs/${his}/retry`, `batches/${hisBatch}/cancel`];
    for (const path of [...theirs, `batches/${hisBatch}/retry`]) {
      expect((await web.post(`/api/v1/${path}`)).status, path).toBe(404);
    }
    for (const link of [{ job: his }, { batch: hisBatch }]) {
      expect((await web.post("/api/v1/links", link)).status).toBe(404);
    }
    for (const what of ["pause", "unpause", "drain", "update"]) {
      const { body } = await web.post(`/api/v1/pools/pool/workers/bobs-worker/${what}`);
      expect([what, body.error.code]).toEqual([what, "forbidden"]);
    }
    expect((await bobs.bob.record(his)).state).toBe("failed");
  });

  it("does as she likes with her own", async () => {
    const bobs = await twoClients();
    const { alice, herBatch, hers } = bobs;
    const web = await bobs.opened.web("alice");
    await web.signIn();
    const cancelled = await web.post(`/api/v1/jobs/${hers}/cancel`, { reason: "not any more" });
    expect(cancelled.body).toMatchObject({ id: hers, state: "cancelled", reason: "not any more" });
    expect((await alice.record(hers)).state).toBe("cancelled");
    const retried = await web.post(`/api/v1/jobs/${hers}/retry`);
    expect([retried.status, retried.body.error]).toEqual([
      409,
      { code: "conflict", message: expect.stringMatching(/has been erased: submit it again\.$/) },
    ]);
    const batch = await web.post(`/api/v1/batches/${herBatch}/cancel`, {});
    expect(batch.body).toMatchObject({ id: herBatch, name: "alices-batch", client: "alice" });
    await expect
      .poll(async () => (await web.get(`/api/v1/batches/${herBatch}`)).body.state)
      .toBe("cancelled");
    expect((await web.post(`/api/v1/batches/${herBatch}/retry`)).body).toEqual({ again: 1 });
    const ofBob = await bobs.opened.web("bob");
    await ofBob.signIn();
    expect((await ofBob.post(`/api/v1/jobs/${bobs.his}/retry`)).body.state).toBe("queued");
  });
});

describe("a viewer", () => {
  async function viewing(): Promise<{ bobs: Bobs; web: Visitor }> {
    const bobs = await twoClients();
    await bobs.opened.viewer("wall");
    const web = await bobs.opened.web("wall");
    await web.signIn();
    return { bobs, web };
  }

  it("sees what an administrator does", async () => {
    const { bobs, web } = await viewing();
    const admin = await bobs.opened.web("admin");
    await admin.signIn();
    const known = (path: string) => !["session", "workers/bobs-worker"].includes(path);
    for (const path of everything(bobs).filter(known)) {
      const [seen, had] = await Promise.all([
        web.get(`/api/v1/${path}`),
        admin.get(`/api/v1/${path}`),
      ]);
      const timeless = (text: string) =>
        text.replace(
          /"(age|delay|due|since|until|from|points|spark|rate|waitSeconds|history|eta)":("[^"]*"|\[[^\]]*\]|\{[^}]*\}|[-\d.e]+|null)/g,
          "",
        );
      expect([path, seen.status, timeless(seen.text)]).toEqual([
        path,
        had.status,
        timeless(had.text),
      ]);
    }
    expect((await web.get("/api/v1/session")).body).toMatchObject({
      role: "viewer",
      can: { cancel: false, retry: false, workers: false, share: true },
    });
    const detail = (await web.get("/api/v1/pools/other")).body.detail;
    expect(detail.clients).toMatchObject([{ id: "bob", queued: 1 }]);
    expect((await web.get("/api/v1/workers/bobs-worker")).body).toMatchObject({
      pools: [{ pool: "pool", connected: true, state: "active" }],
      attempts: { seen: 1, failed: 1 },
      metrics: null,
    });
    const batches = (await web.get("/api/v1/batches")).body.batches;
    expect(batches.map(({ client, name }: never) => [client, name])).toEqual([
      ["alice", "alices-batch"],
      ["bob", "bobs-batch"],
    ]);
  });

  it("changes nothing", async () => {
    const { bobs, web } = await viewing();
    const { herBatch, hers, his } = bobs;
    const paths = [
      ...[`jobs/${hers}/cancel`, `jobs/${his}/retry`],
      ...[`batches/${herBatch}/cancel`, `batches/${herBatch}/retry`],
      ...["pause", "unpause", "drain", "update"].map(
        (one) => `pools/pool/workers/bobs-worker/${one}`,
      ),
    ];
    for (const path of paths) {
      const { body } = await web.post(`/api/v1/${path}`);
      expect([path, body.error.code]).toEqual([path, "forbidden"]);
    }
    expect((await bobs.alice.record(hers)).state).toBe("queued");
    expect((await bobs.bob.record(his)).state).toBe("failed");
  });

  it("sees nothing any more from the moment when it is removed", async () => {
    const { bobs, web } = await viewing();
    expect((await web.get("/api/v1/jobs")).status).toBe(200);
    await Grants.revoke(await bobs.opened.network.admin(), "viewer", "wall");
    await expect
      .poll(async () => (await web.get(`/api/v1/jobs/${bobs.his}`)).body.error?.code)
      .toMatch(/forbidden|scheduler_down/);
    await expect
      .poll(async () => (await web.get("/api/v1/session")).body.scheduler)
      .toMatchObject({
        state: "down",
        message: expect.stringContaining("Unknown persistent service"),
      });
    for (const path of ["pools", "pools/pool", "jobs", `jobs/${bobs.his}`, "batches"]) {
      const { body, text } = await web.get(`/api/v1/${path}`);
      expect([path, body.error?.code]).toEqual([path, "scheduler_down"]);
      expect(text).not.toContain("bobs-");
    }
  });
});

describe("an administrator", () => {
  it("pauses, drains and updates workers, and sees how that goes", async () => {
    const opened = await house.open();
    const worker = await opened.network.worker("w1");
    const web = await opened.web("admin");
    await web.signIn();
    const of = "/api/v1/pools/pool/workers/w1";
    const state = async () => (await web.get("/api/v1/pools/pool")).body.detail.workers[0].state;
    expect((await web.post(`${of}/pause`)).body).toEqual({ worker: "w1", active: false });
    expect(await state()).toBe("paused");
    expect((await web.get("/api/v1/pools")).body.pools[1].problems).toMatchObject([
      { kind: "paused", worker: "w1" },
    ]);
    expect((await web.post(`${of}/unpause`)).body).toEqual({ worker: "w1", active: true });
    expect(await state()).toBe("active");
    const begun = await web.post(`${of}/drain`);
    expect(begun).toMatchObject({ status: 202, body: { id: 1, kind: "drain", state: "running" } });
    const operation = async () => (await web.get("/api/v1/operations")).body.operations[0];
    await expect.poll(operation).toMatchObject({ state: "done", status: "Running jobs: 0" });
    // This worker cannot update itself.
    expect((await web.post(`${of}/update`)).status).toBe(202);
    await expect
      .poll(operation)
      .toMatchObject({ kind: "update", state: "failed", error: "cannot." });
    expect((await web.post("/api/v1/pools/pool/workers/nobody/pause")).status).toBe(409);
    expect((await web.post("/api/v1/pools/none/workers/w1/pause")).status).toBe(409);
    await worker.disconnect();
  });

  it("cancels and retries everybody's", async () => {
    const { alice, bob, hers, his, hisBatch, opened } = await twoClients();
    const web = await opened.web("admin");
    await web.signIn();
    expect((await web.post(`/api/v1/jobs/${hers}/cancel`)).body).toMatchObject({
      ...{ state: "cancelled", reason: "Cancelled by an administrator." },
    });
    expect((await web.post(`/api/v1/jobs/${his}/retry`)).body.state).toMatch(/queued|running/);
    await web.post(`/api/v1/batches/${hisBatch}/cancel`);
    await expect
      .poll(async () => (await web.get(`/api/v1/batches/${hisBatch}`)).body.state)
      .toBe("cancelled");
    expect((await alice.record(hers)).state).toBe("cancelled");
    expect((await bob.record(his)).state).toMatch(/queued|running/);
  });
});
