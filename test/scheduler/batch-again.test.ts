/** The same batch once more, as it was or with something else, and what is not run again. */
import { describe, expect, it } from "vitest";
import { Batches } from "../../src/api/index.js";
import { RowWriter } from "../../src/batch/index.js";
import { ended, newBatch, numbers, run, submit, until } from "./batch-clients.js";
import type { TestClient } from "./network.js";
import { StateHome } from "./state-home.js";

const home = StateHome.forEachTest();

async function started(): Promise<TestClient> {
  await home.start();
  return home.network.client("alice");
}

function rows(values: readonly string[]): Uint8Array {
  const writer = new RowWriter();
  for (const value of values) writer.add(`k-${value}`, [value]);
  return writer.take();
}

describe("the same again", () => {
  it("tries what has failed, and nothing else", async () => {
    const alice = await started();
    let isWell = false;
    const ran = run(await home.network.worker("w1"), (spec) => isWell || !spec.endsWith("7"));
    const first = await submit(alice, numbers(40), { name: "tiles" });
    await ended(alice, first.batch);
    isWell = true;
    const again = await submit(alice, numbers(40), { name: "tiles" });
    expect(again).toMatchObject({ batch: first.batch, isNew: false, again: 4, rows: 40 });
    expect(await ended(alice, first.batch)).toMatchObject({
      ...{ state: "succeeded", succeeded: 40, failed: 0, last: 44 },
    });
    expect(ran).toHaveLength(44);
    const page = await Batches.rows(alice.submission, first.batch, 40, 10);
    expect(page.rows.map(({ job }) => job.attempts.length)).toEqual([2, 2, 2, 2]);
    expect(await submit(alice, numbers(40), { name: "tiles" })).toMatchObject({ again: 0 });
    expect(await ended(alice, first.batch)).toMatchObject({ state: "succeeded" });
  });

  it("with other rows runs those that are new, whatever their order", async () => {
    const alice = await started();
    const ran = run(await home.network.worker("w1"));
    const first = await submit(alice, numbers(30), { name: "tiles" });
    await ended(alice, first.batch);
    const second = await submit(alice, ["x", ...numbers(30).reverse(), "y"], { name: "tiles" });
    expect(second).toMatchObject({ isNew: true, kept: 30 });
    expect(await ended(alice, second.batch)).toMatchObject({ state: "succeeded", succeeded: 32 });
    expect(ran.slice(30)).toEqual(["echo x", "echo y"]);
    const { rows } = await Batches.rows(alice.submission, second.batch, 0, 100);
    expect(rows.map(({ job }) => job.options.key).sort()).toEqual(
      ["x", "y", ...numbers(30)].map((value) => `k-${value}`).sort(),
    );
    expect(await Batches.get(alice.submission, "tiles")).toMatchObject({ batch: second.batch });
  });

  it("keeps what has succeeded also if the scheduler is killed while rows come", async () => {
    const alice = await started();
    const ran = run(await home.network.worker("w1"));
    const first = await submit(alice, numbers(20), { name: "tiles" });
    await ended(alice, first.batch);
    const values = ["x", ...numbers(20)];
    const opened = newBatch(values, { name: "tiles" });
    const { batch } = await Batches.open(alice.submission, opened);
    const part = await Batches.add(alice.submission, batch, 0, rows(values.slice(0, 5)));
    expect(part).toEqual({ rows: 5, kept: 4 });
    const again = await home.killAndRestart();
    run(await home.network.worker("w2"));
    expect(await Batches.open(again.submission, opened)).toMatchObject({ batch, rows: 5 });
    const rest = await Batches.add(again.submission, batch, 5, rows(values.slice(5)));
    expect(rest).toEqual({ rows: 21, kept: 16 });
    await Batches.close(again.submission, batch, 21);
    expect(await ended(again, batch)).toMatchObject({ state: "succeeded", succeeded: 21 });
    expect(ran.filter((spec) => !spec.endsWith("x"))).toHaveLength(20);
  });

  it("with another template runs all", async () => {
    const alice = await started();
    const ran = run(await home.network.worker("w1"));
    await ended(alice, (await submit(alice, numbers(5), { name: "tiles" })).batch);
    const second = await submit(alice, numbers(5), { name: "tiles", spec: "printf " });
    expect(second.kept).toBe(0);
    await ended(alice, second.batch);
    expect(ran).toHaveLength(10);
  });

  it("is all new if that is wished", async () => {
    const alice = await started();
    const ran = run(await home.network.worker("w1"));
    const first = await submit(alice, numbers(5), { name: "tiles" });
    await ended(alice, first.batch);
    const second = await submit(alice, numbers(5), { name: "tiles", fresh: true });
    expect(second).toMatchObject({ isNew: true, kept: 0 });
    await ended(alice, second.batch);
    expect(ran).toHaveLength(10);
  });

  it("takes over what runs", async () => {
    const alice = await started();
    const worker = await home.network.worker("w1");
    const first = await submit(alice, numbers(5), { name: "tiles" });
    const running = await worker.popDurable();
    running.begun.resolve();
    await until(alice, first.batch, (record) => record.running === 1);
    const second = await submit(alice, ["0", "x"], { name: "tiles" });
    expect(await until(alice, first.batch, (record) => record.ended !== null)).toMatchObject({
      state: "stopped",
      reason: `Batch ${second.batch} has its name now.`,
    });
    expect(await until(alice, second.batch, (record) => record.running === 1)).toMatchObject({
      queued: 1,
    });
    running.end("succeeded");
    const ran = run(worker);
    expect(await ended(alice, second.batch)).toMatchObject({ succeeded: 2 });
    expect(ran).toEqual(["echo x"]);
  });
});
