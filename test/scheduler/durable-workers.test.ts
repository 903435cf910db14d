/** Workers that know durable jobs: they come back with them, give them back, and lose them. */
import { describe, expect, it } from "vitest";
import { JobRecords } from "../../src/api/index.js";
import { RpcError } from "../../src/rpc/index.js";
import { untilRecord } from "./network.js";
import { logged, StateHome } from "./state-home.js";

const home = StateHome.forEachTest();

describe("a worker of ours", () => {
  it("comes back with its jobs after its connection was lost", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const id = await alice.submitDurable("one");
    const before = await home.network.worker("w1");
    const job = await before.popDurable();
    job.begun.resolve();
    job.print("first, ");
    await logged(alice, id, 7);
    await before.disconnect();
    await untilRecord(alice.submission, id, ({ attempts }) => attempts[0]!.outOfTouch);
    const log = alice.durableLog(id);
    job.print("second, ");
    const after = await home.network.worker("w1");
    expect(await after.resume(job)).toBe("goOn");
    job.print("third");
    job.end("succeeded");
    expect(await log).toBe("first, second, third");
    expect((await alice.ended(id)).attempts).toMatchObject([{ outcome: "succeeded" }]);
    await job.settled.promise;
    expect(home.network.durable.book.counters.resumed).toBe(1);
  });

  it("comes back to a scheduler that was restarted", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const [first, second] = [await alice.submitDurable("one"), await alice.submitDurable("two")];
    const job = await (await home.network.worker("w1")).popDurable();
    job.begun.resolve();
    job.print("before, ");
    await logged(alice, first, 8);
    const again = await home.restart();
    expect(await again.record(second)).toMatchObject({ state: "queued" });
    const worker = await home.network.worker("w1");
    expect(await worker.resume(job)).toBe("goOn");
    job.print("after");
    job.end("failed", { reason: "a test failed" });
    expect(await again.ended(first)).toMatchObject({ state: "failed", reason: "a test failed" });
    expect(await again.durableLog(first)).toBe("before, after");
    const next = await worker.popDurable();
    expect(next.assignment!.job).toBe(second);
    next.end("succeeded");
    await again.ended(second);
  });

  it("that is lost after a restart leaves what is on disk of its log", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const id = await alice.submitDurable("one");
    const job = await (await home.network.worker("w1")).popDurable();
    job.begun.resolve();
    job.print("begun");
    await logged(alice, id, 5);
    const { submission } = await home.restart({ settings: { lease: 0.01 } });
    const isLost = ({ attempts }: JobRecords.JobRecord) => attempts[0]!.outcome === "lost";
    await untilRecord(submission, id, isLost);
    const { attempts } = await JobRecords.get(submission, id);
    expect(attempts[0]).toMatchObject({ outcome: "lost", logSize: 5 });
    const range = { job: id, attempt: 1, follow: false };
    const { data, next } = await JobRecords.log(submission, { ...range, start: 0 });
    expect(Buffer.from(data).toString()).toBe("begun");
    expect((await JobRecords.log(submission, { ...range, start: next })).data).toHaveLength(0);
  });

  it("that has lost a job is not waited for", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const ids = [await alice.submitDurable("one"), await alice.submitDurable("two")];
    const before = await home.network.worker("w1");
    const [crashed] = [await before.popDurable(), await before.popDurable()];
    crashed!.begun.resolve();
    await untilRecord(alice.submission, ids[0]!, ({ started }) => started !== null);
    await before.disconnect();
    await untilRecord(alice.submission, ids[1]!, ({ attempts }) => attempts[0]!.outOfTouch);
    const after = await home.network.worker("w1");
    expect(await after.resume(crashed!, "crashed")).toBe("stop");
    const next = [await after.popDurable(), await after.popDurable()];
    expect(next.map(({ assignment }) => assignment!.attempt)).toEqual([2, 2]);
    for (const job of next) job.end("succeeded");
    expect((await alice.ended(ids[0]!)).attempts[0]).toMatchObject({ outcome: "crashed" });
    expect((await alice.ended(ids[1]!)).attempts[0]).toMatchObject({ outcome: "evicted" });
  });

  it("is told to stop what was given up meanwhile", async () => {
    await home.start({ settings: { lease: 0.01 } });
    const alice = await home.network.client("alice");
    const id = await alice.submitDurable("one");
    const before = await home.network.worker("w1");
    const job = await before.popDurable();
    job.begun.resolve();
    await untilRecord(alice.submission, id, ({ started }) => started !== null);
    await before.disconnect();
    const other = await (await home.network.worker("w2")).popDurable();
    expect(other.assignment).toMatchObject({ job: id, attempt: 2 });
    const after = await home.network.worker("w1");
    expect(await after.resume(job, "ended")).toBe("stop");
    other.end("succeeded");
    const { attempts } = await alice.ended(id);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(["lost", "succeeded"]);
  });

  it("gives jobs back, which is nobody's fault", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const id = await alice.submitDurable("one", { lostRetries: 0 });
    const worker = await home.network.worker("w1");
    (await worker.popDurable()).end("evicted", { reason: "shutting down" });
    const again = await worker.popDurable();
    again.end("succeeded");
    expect((await alice.ended(id)).attempts).toMatchObject([
      { outcome: "evicted", reason: "shutting down" },
      { outcome: "succeeded" },
    ]);
  });

  it("that cannot begin a job is believed at once", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const id = await alice.submitDurable("one");
    const job = await (await home.network.worker("w1")).popDurable();
    job.abandon(new RpcError("failed", "unknown kind of job"));
    expect(await alice.ended(id)).toMatchObject({
      state: "failed",
      reason: "unknown kind of job",
      attempts: [{ outcome: "failed" }],
    });
    await expect.poll(() => home.network.show()).toContain("w1 (0): [] (0 running)");
  });

  it("that asks for durable jobs and does not know them has them given to others", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const id = await alice.submitDurable("one");
    const odd = await home.network.worker("odd");
    const job = await odd.popDurable();
    job.abandon(new RpcError("unimplemented", "no such method"));
    expect(await job.cancelled.promise).toBe("cancel");
    const next = await (await home.network.worker("w2")).popDurable();
    expect(next.assignment).toMatchObject({ job: id, attempt: 2 });
    next.end("succeeded");
    const { attempts } = await alice.ended(id);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(["crashed", "succeeded"]);
    expect(attempts[0]!.reason).toContain("cannot say what becomes of it: no such method");
  });

  it("gets attached jobs as ever", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const submitted = alice.submit("one");
    const job = await (await home.network.worker("w1")).popDurable();
    expect(job.assignment).toBeNull();
    job.text = "log";
    job.output.resolve("image");
    expect(await submitted.result).toBe("image");
    expect(await submitted.log()).toBe("log");
    submitted.release();
  });
});
