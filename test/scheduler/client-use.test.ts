/**
 * What a client has on disk is counted with all that becomes of it, and bounded.
 */
import { describe, expect, it } from "vitest";
import { JobRecords } from "../../src/api/index.js";
import { RECORD_BYTES } from "../../src/scheduler/state/client-use-table.js";
import { MIGRATIONS } from "../../src/scheduler/state/jobs-schema.js";
import { SQLite } from "../../src/system/sqlite.js";
import { StateHome } from "./state-home.js";

/** Only what hangs takes so long. */
const PATIENCE = { timeout: 50_000 };

const home = StateHome.forEachTest();

/** After all that was said. */
async function useOf(client: string) {
  const { records } = home.network.durable;
  await records.synced();
  const { logs, records: bytes } = records.useOf(client);
  return { logs, records: bytes };
}

describe("it counts", () => {
  it("records with their hints, descriptions while they are kept, and logs", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const worker = await home.network.worker("w1");
    expect(await useOf("alice")).toEqual({ logs: 0, records: 0 });
    const id = await alice.submitDurable("x".repeat(10_000), { hint: "é" });
    const { records: full } = await useOf("alice");
    expect(full).toBeGreaterThan(RECORD_BYTES + 10_000);
    const job = await worker.popDurable();
    job.print("12345");
    job.end("succeeded");
    await alice.ended(id);
    expect(await useOf("alice")).toEqual({ logs: 5, records: RECORD_BYTES + 2 });
    const failed = await alice.submitDurable("x".repeat(10_000));
    (await worker.popDurable()).end("failed");
    await alice.ended(failed);
    // It can be tried again.
    expect((await useOf("alice")).records).toBeGreaterThan(2 * RECORD_BYTES + 10_000);
    const again = await home.restart();
    expect((await useOf("alice")).records).toBeGreaterThan(2 * RECORD_BYTES + 10_000);

    const { records } = home.network.durable;
    const later = Date.now() / 1000 + 1;
    records.eraseDescriptionsBefore(later);
    await expect
      .poll(() => useOf("alice"), PATIENCE)
      .toEqual({ logs: 5, records: 2 * RECORD_BYTES + 2 });
    await records.segments.dropLogs([[id, 1]]);
    expect(await useOf("alice")).toEqual({ logs: 0, records: 2 * RECORD_BYTES + 2 });
    records.removeBefore(later);
    await expect.poll(() => useOf("alice"), PATIENCE).toEqual({ logs: 0, records: 0 });
    await expect(again.record(id)).rejects.toThrow(`You have no job ${id}`);
  });

  it("a database from before it did", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const worker = await home.network.worker("w1");
    for (const text of ["a", "bb"]) {
      const id = await alice.submitDurable("x".repeat(1000), { hint: "hint" });
      const job = await worker.popDurable();
      job.print(text);
      job.end("failed");
      await alice.ended(id);
    }
    const counted = await useOf("alice");
    expect(counted.logs).toBe(3);
    await home.network.durable.records.synced();
    const db = new SQLite(`${home.stateDir}/jobs.db`);
    db.exec("DROP TABLE client_use");
    const from = MIGRATIONS.findIndex((step) => step.includes("client_use"));
    db.pragma(`user_version = ${from}`);
    db.close();
    await home.killAndRestart();
    expect(await useOf("alice")).toEqual(counted);
  });
});

describe("who has too much", () => {
  const refused = { kind: "overloaded", message: expect.stringContaining("--max-records-size") };

  it("of records is refused in words, and runs attached jobs without a record", async () => {
    await home.start({ clientLimits: { recordBytes: 2 * RECORD_BYTES + 500 } });
    const alice = await home.network.client("alice");
    const worker = await home.network.worker("w1");
    const id = await alice.submitDurable("one");
    const job = await worker.popDurable();
    job.end("succeeded");
    await alice.ended(id);
    // Its description has gone.
    const second = await alice.submitDurable("two");
    (await worker.popDurable()).end("succeeded");
    await alice.ended(second);
    await expect(alice.submitDurable("three")).rejects.toMatchObject(refused);
    const attached = alice.submit("three");
    (await worker.pop()).output.resolve("done");
    expect(await attached.result).toBe("done");
    attached.release();
    const { jobs } = await JobRecords.list(alice.submission, { filter: {}, limit: 10 });
    expect(jobs.map(({ job: number }) => number)).toEqual([second, id]);
    const bob = await home.network.client("bob");
    await bob.submitDurable("his own");
  });

  it("of logs is refused in words, and what its jobs print more is not kept", async () => {
    await home.start({ clientLimits: { logBytes: 1000 } });
    const alice = await home.network.client("alice");
    const worker = await home.network.worker("w1");
    const id = await alice.submitDurable("one");
    const job = await worker.popDurable();
    job.begun.resolve();
    job.print("x".repeat(2000));
    await expect
      .poll(async () => {
        await home.network.durable.spool.write();
        return (await useOf("alice")).logs;
      }, PATIENCE)
      .toBeGreaterThanOrEqual(1000);
    job.print("more");
    const tooMuch = { kind: "overloaded", message: expect.stringContaining("--max-logs-size") };
    await expect(alice.submitDurable("two")).rejects.toMatchObject(tooMuch);
    job.end("succeeded");
    expect((await alice.ended(id)).state).toBe("succeeded");
    expect(await alice.durableLog(id)).toMatch(
      /^x{1000,2000}\n\[The rest of this log is not kept: .*\]\n$/,
    );
  });
});
