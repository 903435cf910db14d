/** A scheduler that has answered before it has read all that is on file. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { JobRecords } from "../../src/api/index.js";
import { deferred } from "../../src/async/index.js";
import { JobRecords as JobsOnFile } from "../../src/scheduler/state/job-records.js";
import { logged, StateHome } from "./state-home.js";

const home = StateHome.forEachTest();

describe("a scheduler that reads what is on file", () => {
  /** Has the next one read nothing of the queue until the test says so. */
  function holdQueue() {
    const { unfinished } = JobsOnFile.prototype;
    const held = deferred();
    vi.spyOn(JobsOnFile.prototype, "unfinished").mockImplementation(async function (
      this: JobsOnFile,
      state,
      ...rest
    ) {
      if (state === "queued") await held.promise;
      return unfinished.call(this, state, ...rest);
    });
    return held;
  }

  afterEach(() => void vi.restoreAllMocks());

  it("has its workers back before that, and decides nothing until all is there", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const first = await alice.submitDurable("first");
    const job = await (await home.network.worker("w1")).popDurable();
    job.begun.resolve();
    job.print("before, ");
    await logged(alice, first, 8);
    const queued = await alice.submitDurable("queued", { hint: "a" });
    const withdrawn = await alice.submitDurable("withdrawn");
    const after = await alice.submitDurable("after", { after: [first] });
    const queue = holdQueue();
    const again = await home.restart();

    const [old, other] = [await home.network.worker("w1"), await home.network.worker("w2")];
    expect(await old.resume(job)).toBe("goOn");
    job.print("after");
    job.end("succeeded");
    expect(await again.record(queued)).toMatchObject({ state: "queued" });
    await logged(again, first, job.text.length);
    expect(await again.record(first)).toMatchObject({ state: "running" });

    const submitted = again.submitDurable("new");
    const attached = again.submit("attached");
    const cancelled = JobRecords.cancel(again.submission, withdrawn);
    const popped = [other.popDurable(), other.popDurable(), other.popDurable()];
    const answers = [submitted, cancelled, ...popped, attached.queued()];
    const answered = Promise.race(answers).then(() => "answered");
    const asked = again.record(after).then(() => "not yet");
    expect(await Promise.race([answered, asked])).toBe("not yet");

    queue.resolve();
    await cancelled;
    expect(await again.ended(first)).toMatchObject({ state: "succeeded" });
    expect(await again.durableLog(first)).toBe("before, after");
    expect(await again.record(withdrawn)).toMatchObject({ state: "cancelled" });
    const jobs = await Promise.all(popped);
    // In the order in which they came, the attached one in its place.
    expect(jobs.map(({ spec }) => spec)).toEqual(["queued", "new", "attached"]);
    const last = await other.popDurable();
    expect(last.assignment!.job).toBe(after);
    for (const one of [...jobs, last]) {
      one.output.resolve("");
      one.end("succeeded");
    }
    await attached.result;
    await again.ended(after);
    attached.release();
  });

  it("ends while it does so", async () => {
    await home.start();
    const alice = await home.network.client("alice");
    const id = await alice.submitDurable("one");
    const queue = holdQueue();
    await home.restart();
    const popped = (await home.network.worker("w1")).popDurable();
    popped.catch(() => {});
    home.network.durable.stop();
    queue.resolve();
    await expect(home.network.durable.whole).rejects.toThrow("The scheduler is shutting down");
    await expect(popped).rejects.toThrow("The scheduler is shutting down");
    expect(await (await home.restart()).record(id)).toMatchObject({ state: "queued" });
  });
});
