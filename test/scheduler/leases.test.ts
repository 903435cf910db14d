/** Workers that take many jobs at a time, and say of many how they ended. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Batches, BulkQueue, DurableSubmission, JobRecords, Queue } from "../../src/api/index.js";
import { RowWriter } from "../../src/batch/index.js";
import { toBytes } from "../../src/text/index.js";
import { BulkWorker } from "./bulk-worker.js";
import { type TestClient, untilRecord } from "./network.js";
import { logged, StateHome } from "./state-home.js";

const home = StateHome.forEachTest();

/** Submits so many durable jobs; resolves to their numbers. */
async function submit(client: TestClient, count: number): Promise<number[]> {
  const ids: number[] = [];
  for (let number = 1; number <= count; number++) {
    ids.push(await client.submitDurable(`spec ${number}`));
  }
  return ids;
}

/** Submits a batch whose rows have these values; resolves to its number. */
async function submitBatch(
  client: TestClient,
  values: readonly string[],
  rules: Partial<Batches.BatchRules> = {},
): Promise<number> {
  const { submission } = client;
  const { batch } = await Batches.open(submission, {
    ...{ name: "", fresh: false, pool: "pool", urgent: false },
    digest: createHash("sha256").update(JSON.stringify(values)).digest(),
    options: DurableSubmission.DEFAULT_DURABLE_OPTIONS,
    rules: { ...Batches.NO_RULES, ...rules },
    template: {
      columns: ["v"],
      descr: { action: { kind: "obuilder", spec: "" }, cacheHint: "", secrets: [] },
      spec: ["echo ", { column: 0, escape: "word" }],
      buildArgs: [],
      hint: ["hint-", { column: 0, escape: "plain" }],
    },
  });
  const writer = new RowWriter();
  for (const [index, value] of values.entries()) {
    writer.add(`k-${index}`, [Buffer.from(value).toString("latin1")]);
  }
  await Batches.add(submission, batch, 0, writer.take());
  await Batches.close(submission, batch, values.length);
  return batch;
}

async function ended(client: TestClient, batch: number): Promise<Batches.BatchRecord> {
  let record = await Batches.get(client.submission, batch);
  while (record.ended === null) {
    record = await Batches.get(client.submission, batch, record.revision);
  }
  return record;
}

function specs(leases: readonly { readonly spec: string }[]): string[] {
  return leases.map(({ spec }) => spec);
}

describe("a worker that takes many jobs at a time", () => {
  it("gets those that there are, in their order, and says how all of them ended", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const ids = await submit(alice, 4);
    const worker = await BulkWorker.connect(home.network, "w1", { capacity: 3 });
    const leases = await worker.take(3);
    expect(specs(leases)).toEqual(["spec 1", "spec 2", "spec 3"]);
    expect(leases.map(({ attempt, client }) => [attempt, client])).toEqual(
      Array(3).fill([1, "alice"]),
    );
    expect(await home.network.show()).toContain("(3 running)");
    expect(await worker.end(leases, { output: "image", seconds: 0.25 })).toEqual([]);
    for (const id of ids.slice(0, 3)) {
      const record = await alice.record(id);
      expect(record).toMatchObject({ state: "succeeded", output: "image" });
      expect(record.attempts).toMatchObject([{ worker: "w1", outcome: "succeeded", attempt: 1 }]);
      const [{ ended: end, offered, started }] = record.attempts as [JobRecords.AttemptRecord];
      // No longer than it had it.
      expect(started).toBeGreaterThanOrEqual(offered);
      expect(started).toBeLessThanOrEqual(end!);
      expect(await alice.durableLog(id)).toBe(`log of ${id}\n`);
    }
    expect(await home.network.show()).toContain("(0 running)");
    expect(home.network.finished).toEqual(["ok", "ok", "ok"]);
    expect(specs(await worker.take(3))).toEqual(["spec 4"]);
  });

  it("gets no more than its part of what is queued for all", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const [one, other] = [
      await BulkWorker.connect(home.network, "w1"),
      await BulkWorker.connect(home.network, "w2"),
    ];
    await submit(alice, 8);
    expect(await one.take(1, 100)).toHaveLength(4);
    expect(await other.take(1, 100)).toHaveLength(2);
    // One is alone with what is left when the other is paused.
    await Queue.setActive(other.worker.queue, false);
    expect(await one.take(1, 100)).toHaveLength(2);
  });

  it("waits for one when there is none, and does not wait for more", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const worker = await BulkWorker.connect(home.network, "w1");
    const taking = worker.take(10, 10);
    await submit(alice, 1);
    expect(await taking).toHaveLength(1);
  });

  it("is given attached jobs alone", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const first = await submit(alice, 1);
    const attached = alice.submit("attached");
    await attached.queued();
    const last = await submit(alice, 1);
    const worker = await BulkWorker.connect(home.network, "w1");
    expect((await worker.take(10)).map(({ job }) => job)).toEqual(first);
    const taken = await worker.takeAny({ room: 10, ahead: 0, templates: [] });
    if (taken.kind !== "attached") throw new Error("the attached one is next");
    taken.descr.release();
    expect(taken.owner).toMatchObject({ client: "alice" });
    expect(await attached.result).toBe("attached");
    attached.release();
    expect((await worker.take(10)).map(({ job }) => job)).toEqual(last);
  });

  it("has one followed that takes longer", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const [id] = (await submit(alice, 1)) as [number];
    const worker = await BulkWorker.connect(home.network, "w1");
    const [lease] = await worker.take(5);
    expect(await alice.record(id)).toMatchObject({ state: "running", started: null });
    const { job, verdict } = await worker.begin(lease!);
    expect(verdict).toBe("goOn");
    await untilRecord(alice.submission, id, ({ started }) => started !== null);
    job.print("it goes on");
    await logged(alice, id, 10);
    expect(await home.network.show()).toContain("(1 running)");
    // It is followed: what is said in this way does not count any more.
    await worker.end([lease!], { cause: "failed" });
    expect((await alice.record(id)).ended).toBeNull();
    job.end("succeeded");
    expect(await alice.ended(id)).toMatchObject({ state: "succeeded" });
    await job.settled.promise;
    expect(await alice.durableLog(id)).toBe("it goes on");
    await expect.poll(() => home.network.show()).toContain("(0 running)");
  });

  it("gives back what it does not begin, which is nobody's fault", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const ids = await submit(alice, 2);
    const worker = await BulkWorker.connect(home.network, "w1");
    const leases = await worker.take(1, 1);
    await worker.giveBack(leases.slice(1));
    await worker.end(leases.slice(0, 1));
    const [again] = await worker.take(5);
    expect(again).toMatchObject({ job: ids[1], attempt: 2 });
    await worker.end([again!]);
    expect((await alice.ended(ids[1]!)).attempts).toMatchObject([
      { outcome: "evicted", started: null, reason: "other jobs came first" },
      { outcome: "succeeded" },
    ]);
  });

  it("goes on with some when it takes no more, and gives back what never reached it", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const ids = await submit(alice, 3);
    const worker = await BulkWorker.connect(home.network, "w1");
    const leases = await worker.take(3);
    await Queue.setActive(worker.worker.queue, false);
    await BulkQueue.keep(worker.worker.queue, [ids[1]!]);
    const other = await BulkWorker.connect(home.network, "w2");
    const moved = await other.take(5);
    expect(moved.map(({ attempt, job }) => [job, attempt])).toEqual([
      [ids[0], 2],
      [ids[2], 2],
    ]);
    await worker.end(leases);
    expect(await alice.record(ids[1]!)).toMatchObject({ state: "succeeded" });
    expect(await alice.record(ids[0]!)).toMatchObject({ state: "running" });
    await other.end(moved);
    for (const id of ids) expect((await alice.ended(id)).state).toBe("succeeded");
  });
});

describe("what is said of a lease", () => {
  it("is dropped when its job was cancelled, and its worker is told", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const ids = await submit(alice, 3);
    const worker = await BulkWorker.connect(home.network, "w1");
    const leases = await worker.take(3);
    await JobRecords.cancel(alice.submission, ids[1]!, "not needed");
    expect(await worker.end(leases.slice(0, 1))).toEqual([ids[1]]);
    expect(await worker.end(leases.slice(1))).toEqual([]);
    expect(await alice.record(ids[1]!)).toMatchObject({ state: "cancelled", output: "" });
    expect((await alice.record(ids[1]!)).attempts).toMatchObject([{ outcome: "cancelled" }]);
    // Nor is its log: nothing waits for more of that.
    expect(await alice.durableLog(ids[1]!)).toBe("");
    expect(home.network.durable.spool.unwritten).toBe(0);
    expect(await home.network.show()).toContain("(0 running)");
  });

  it("has the worker stop one that was cancelled, and goes on", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const [id] = (await submit(alice, 1)) as [number];
    const worker = await BulkWorker.connect(home.network, "w1");
    const [lease] = await worker.take(3);
    await JobRecords.cancel(alice.submission, id, "");
    const { job, verdict } = await worker.begin(lease!);
    expect(verdict).toBe("stop");
    expect(await job.cancelled.promise).toBe("release");
  });

  it("does not count for another attempt, nor twice", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const [id] = (await submit(alice, 1)) as [number];
    const worker = await BulkWorker.connect(home.network, "w1");
    const [first] = await worker.take(1);
    await worker.giveBack([first!]);
    const [second] = await worker.take(1);
    await worker.end([first!], { cause: "failed", reason: "late" });
    expect((await alice.record(id)).ended).toBeNull();
    await worker.end([second!, second!]);
    await worker.end([second!], { cause: "failed", reason: "twice" });
    expect(await alice.record(id)).toMatchObject({ state: "succeeded" });
    expect(await home.network.show()).toContain("(0 running)");
  });

  it("is refused if it is too much", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    await submit(alice, 1);
    const worker = await BulkWorker.connect(home.network, "w1");
    const leases = await worker.take(1);
    const log = Buffer.alloc(BulkQueue.LOG_BYTES + 1);
    await expect(worker.end(leases, { log })).rejects.toThrow("16384 bytes at most");
    const many = Array(BulkQueue.MOST_LEASES + 1).fill(leases[0]);
    await expect(worker.end(many)).rejects.toThrow("One call tells 256 ends at most");
    const wish = { room: 1, ahead: 0, templates: Array(17).fill(1) };
    await expect(worker.takeAny(wish)).rejects.toThrow("16 templates at most");
    expect(await worker.end(leases)).toEqual([]);
  });
});

describe("leases over a lost connection", () => {
  it("go on if they had begun, and are others' if not", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const ids = await submit(alice, 3);
    const before = await BulkWorker.connect(home.network, "w1");
    const [running, ended, held] = await before.take(3);
    await before.disconnect();
    await untilRecord(alice.submission, ids[2]!, ({ attempts }) => attempts[0]!.outOfTouch);
    const after = await BulkWorker.connect(home.network, "w1");
    const [goesOn, over] = [
      await after.resume(running!, "running"),
      await after.resume(ended!, "ended"),
    ];
    expect([goesOn.verdict, over.verdict]).toEqual(["goOn", "goOn"]);
    const [again] = await after.take(3);
    expect(again).toMatchObject({ job: held!.job, attempt: 2 });
    goesOn.job.end("succeeded");
    over.job.end("failed", { reason: "a test failed" });
    await after.end([again!]);
    expect(await alice.ended(ids[0]!)).toMatchObject({ state: "succeeded" });
    expect(await alice.ended(ids[1]!)).toMatchObject({ state: "failed" });
    expect((await alice.ended(ids[2]!)).attempts).toMatchObject([
      { outcome: "evicted", started: null },
      { outcome: "succeeded" },
    ]);
  });

  it("and a restart of the scheduler do the same", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const ids = await submit(alice, 2);
    const before = await BulkWorker.connect(home.network, "w1");
    const [running, held] = await before.take(2);
    const again = await home.killAndRestart();
    const after = await BulkWorker.connect(home.network, "w1");
    const { job, verdict } = await after.resume(running!, "running");
    expect(verdict).toBe("goOn");
    job.end("succeeded");
    const [second] = await after.take(2);
    expect(second).toMatchObject({ job: held!.job, attempt: 2 });
    await after.end([second!]);
    for (const id of ids) expect(await again.ended(id)).toMatchObject({ state: "succeeded" });
  });

  it("are lost with their worker when it does not come back", async () => {
    await home.start({ settings: { lease: 0.01 } });
    const alice = await home.network.client("alice");
    const [id] = (await submit(alice, 1)) as [number];
    const before = await BulkWorker.connect(home.network, "w1");
    const [lost] = await before.take(1);
    await before.disconnect();
    const other = await BulkWorker.connect(home.network, "w2");
    const [next] = await other.take(1);
    expect(next).toMatchObject({ job: id, attempt: 2 });
    const after = await BulkWorker.connect(home.network, "w1");
    expect((await after.resume(lost!, "ended")).verdict).toBe("stop");
    await other.end([next!]);
    const { attempts } = await alice.ended(id);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(["lost", "succeeded"]);
  });
});

describe("rows of a batch", () => {
  it("are made of their template by the worker, which gets it once", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const values = ["plain", "it's", '"$(x)"\\\n', "ünï", "{v}"];
    const batch = await submitBatch(alice, values);
    const worker = await BulkWorker.connect(home.network, "w1");
    const done: string[] = [];
    while (done.length < values.length) {
      const leases = await worker.take(2);
      expect(leases.every(({ isRow }) => isRow)).toBe(true);
      done.push(...leases.map(({ hint, spec }) => `${Buffer.from(toBytes(spec))} ${hint}`));
      await worker.end(leases);
    }
    const words = ["'plain'", "'it'\\''s'", "'\"$(x)\"\\\n'", "'ünï'", "'{v}'"];
    const expected = values.map((value, index) => `echo ${words[index]} hint-${value}`);
    expect(done).toEqual(expected);
    expect(await ended(alice, batch)).toMatchObject({ state: "succeeded", succeeded: 5 });
    expect(worker.sent).toBe(1);
  });

  it("that are over the limit with their values are described, and fail in words", async () => {
    await home.start({ clientLimits: { jobBytes: 12_000 } });
    const alice = await home.network.client("alice");
    const batch = await submitBatch(alice, ["short", "x".repeat(3000)]);
    const worker = await BulkWorker.connect(home.network, "w1");
    const isRow: boolean[] = [];
    while (isRow.length < 2) {
      const leases = await worker.take(5);
      isRow.push(...leases.map((lease) => lease.isRow));
      await worker.end(leases);
    }
    expect(isRow).toContain(false);
    expect(await ended(alice, batch)).toMatchObject({ succeeded: 2 });
  });

  it("that have not begun are given back when their batch is stopped", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const values = Array.from({ length: 6 }, (_, index) => `v${index}`);
    const batch = await submitBatch(alice, values, { maxFailures: 0 });
    const worker = await BulkWorker.connect(home.network, "w1");
    const leases = await worker.take(4);
    await worker.end(leases.slice(0, 1), { cause: "failed", reason: "no such tile" });
    await expect
      .poll(() => worker.end([]))
      .toEqual(expect.arrayContaining(leases.slice(1).map(({ job }) => job)));
    await worker.giveBack(leases.slice(2));
    // It had begun, and goes on.
    await worker.end(leases.slice(1, 2));
    expect(await ended(alice, batch)).toMatchObject({
      ...{ state: "stopped", failed: 1, succeeded: 1, cancelled: 4 },
    });
  });

  it("are begun as far ahead as workers ask", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const worker = await BulkWorker.connect(home.network, "w1");
    const values = Array.from({ length: 600 }, (_, index) => `v${index}`);
    const batch = await submitBatch(alice, values);
    let most = 0;
    for (let done = 0; done < values.length; ) {
      const leases = await worker.take(1, 255);
      most = Math.max(most, leases.length);
      await worker.end(leases);
      done += leases.length;
    }
    expect(most).toBeGreaterThan(100);
    expect(await ended(alice, batch)).toMatchObject({ state: "succeeded", succeeded: 600 });
  });
});
