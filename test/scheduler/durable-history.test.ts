/** What is on record of jobs, durable and attached. */
import { describe, expect, it } from "vitest";
import { JobRecords, Ticket } from "../../src/api/index.js";
import { RpcError } from "../../src/rpc/index.js";
import { StateHome } from "./state-home.js";

const home = StateHome.forEachTest();

describe("records of jobs", () => {
  it("are listed page by page, newest first", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const bob = await home.network.client("bob");
    for (let n = 0; n < 5; n++) await alice.submitDurable("x", { hint: n % 2 ? "odd" : "even" });
    await bob.submitDurable("y");
    const first = await JobRecords.list(alice.submission, { filter: {}, limit: 3 });
    expect(first.jobs.map(({ job }) => job)).toEqual([5, 4, 3]);
    const { cursor } = first;
    const rest = await JobRecords.list(alice.submission, { filter: {}, cursor, limit: 3 });
    expect(rest).toMatchObject({ jobs: [{ job: 2 }, { job: 1 }], cursor: "" });
    const admin = await home.network.admin();
    const all = await JobRecords.list(admin, { filter: { states: ["queued"] }, limit: 100 });
    expect(all.jobs.map(({ client }) => client)).toContain("bob");
    const odd = await JobRecords.list(alice.submission, { filter: { hint: "odd" }, limit: 9 });
    expect(odd.jobs).toHaveLength(2);
    const foreign = await JobRecords.list(alice.submission, {
      filter: { client: "bob" },
      limit: 9,
    });
    expect(foreign.jobs).toEqual([]);
  });

  it("are retried by hand, once they have ended without success", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const worker = await home.network.worker("w1");
    const id = await alice.submitDurable("one");
    await expect(JobRecords.retry(alice.submission, id)).rejects.toThrow("has not ended");
    (await worker.popDurable()).end("failed");
    await alice.ended(id);
    await JobRecords.retry(alice.submission, id);
    (await worker.popDurable()).end("succeeded");
    expect((await alice.ended(id)).attempts).toHaveLength(2);
    await expect(JobRecords.retry(alice.submission, id)).rejects.toThrow("has succeeded");
    await expect(JobRecords.retry(alice.submission, 99)).rejects.toThrow("You have no job 99");
  });

  it("are unknown to a scheduler without them", async () => {
    await home.startWithoutDurable();
    const alice = await home.network.client("alice");
    await expect(alice.submitDurable("one")).rejects.toMatchObject({ kind: "unimplemented" });
    await expect(alice.record(1)).rejects.toMatchObject({ kind: "unimplemented" });
  });
});

describe("attached jobs", () => {
  it("are on record, too, with who ran them and how they ended", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const worker = await home.network.worker("w1");
    const ends = ["succeed", "fail", "cancel"].map((spec) => alice.submit(spec, { hint: spec }));
    for (const submitted of ends) {
      const job = await worker.pop();
      if (job.spec === "succeed") job.output.resolve("image");
      if (job.spec === "fail") job.output.reject(new RpcError("failed", "Build failed"));
      if (job.spec === "cancel") {
        await Ticket.cancel(submitted.ticket);
        job.output.reject(new RpcError("failed", "Build cancelled"));
      }
      await submitted.result.catch(() => {});
    }
    const { jobs } = await JobRecords.list(alice.submission, { filter: {}, limit: 9 });
    expect(jobs).toMatchObject([
      { hint: "cancel", state: "cancelled", attached: true },
      { hint: "fail", state: "failed", reason: "Build failed" },
      { hint: "succeed", state: "succeeded", output: "image", attempts: [{ worker: "w1" }] },
    ]);
    const { job } = jobs[1]!;
    await expect(JobRecords.retry(alice.submission, job)).rejects.toThrow("was attached");
    await expect(alice.durableLog(job)).rejects.toThrow("its log is not on record");
    const [usage] = await JobRecords.usage(await home.network.admin(), 0, Date.now());
    expect(usage).toMatchObject({ client: "alice", jobs: 3, succeeded: 1, failed: 1 });
    for (const submitted of ends) submitted.release();
  });

  it("are cancelled when their clients go away", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const worker = await home.network.worker("w1");
    const bob = await home.network.client("bob");
    for (const client of [alice, bob]) {
      const submitted = client.submit("one");
      const job = await worker.pop();
      await submitted.queued();
      if (client === bob) await bob.vat.close();
      submitted.release();
      expect(await job.cancelled.promise).toBe("release");
      job.output.reject(new RpcError("failed", "Build cancelled"));
    }
    await expect.poll(() => home.network.finished.length).toBe(2);
    const { jobs } = await JobRecords.list(await home.network.admin(), { filter: {}, limit: 9 });
    expect(jobs).toMatchObject([
      { client: "bob", state: "cancelled", cause: "cancelled" },
      { client: "alice", state: "cancelled", cause: "cancelled" },
    ]);
  });

  it("have failed as they did, also if their clients keep no ticket", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const submitted = alice.submit("one");
    const job = await (await home.network.worker("w1")).pop();
    await submitted.job.whenResolved();
    submitted.ticket.release();
    job.output.reject(new RpcError("failed", "Build failed"));
    await expect(submitted.result).rejects.toThrow("Build failed");
    submitted.job.release();
    const { jobs } = await JobRecords.list(alice.submission, { filter: {}, limit: 9 });
    expect(jobs).toMatchObject([{ state: "failed", reason: "Build failed" }]);
  });

  it("are not, if that is not wanted", async () => {
    await home.start({ settings: { history: false } });
    const alice = await home.network.client("alice");
    const submitted = alice.submit("one");
    (await (await home.network.worker("w1")).pop()).output.resolve("image");
    await submitted.result;
    const { jobs } = await JobRecords.list(alice.submission, { filter: {}, limit: 9 });
    expect(jobs).toEqual([]);
    submitted.release();
  });

  it("that ran when the scheduler was killed are lost as far as anybody knows", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const submitted = alice.submit("one");
    const job = await (await home.network.worker("w1")).pop();
    const { history, records } = home.network.durable;
    history!.writeRunning(0);
    await records.synced();
    const again = await home.killAndRestart();
    const { jobs } = await JobRecords.list(again.submission, { filter: {}, limit: 9 });
    expect(jobs).toMatchObject([
      { state: "failed", cause: "lost", attempts: [{ worker: "w1", outcome: "lost" }] },
    ]);
    job.output.resolve("");
    submitted.release();
  });
});
