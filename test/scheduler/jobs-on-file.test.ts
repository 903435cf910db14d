/** Jobs that are read from the records while what was read before changes these. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Slices } from "../../src/async/index.js";
import { DEFAULT_CLIENT_LIMITS } from "../../src/scheduler/services/client-limits.js";
import { DurableJobs } from "../../src/scheduler/services/durable-jobs.js";
import { DEFAULT_DURABLE_SETTINGS } from "../../src/scheduler/services/durable-settings.js";
import { AWAY, takeIn } from "../../src/scheduler/services/jobs-on-file.js";
import { silentLog } from "./network.js";

/** Each turn lasts until all is on disk that was said. */
class SlowSlices extends Slices {
  constructor(private readonly synced: () => Promise<void>) {
    super();
  }

  override turn(): Promise<void> {
    return this.synced();
  }
}

it("are taken in once, though those that workers had are out of touch on record before all are read", async () => {
  const directory = mkdtempSync(join(tmpdir(), "ocluster-on-file-"));
  const open = () =>
    DurableJobs.open({
      directory,
      key: new Uint8Array(32),
      settings: DEFAULT_DURABLE_SETTINGS,
      clientLimits: DEFAULT_CLIENT_LIMITS,
      log: silentLog(),
    });
  try {
    const before = await open();
    const isClient = () => true;
    await before.start({ pools: new Map(), isClient });
    await before.whole;
    const ids = ["offered", "running"].map((name) => {
      const submission = { client: "alice", pool: "p", description: new Uint8Array(8), name };
      const result = before.book.submit(submission);
      if (result.kind !== "new") throw new Error(`it is ${result.kind}`);
      before.book.offer(result.job.id, { worker: "w1", resumes: true, cached: false });
      return result.job.id;
    });
    before.book.begun(ids[1]!, 1);
    await before.records.synced();
    await before.close();

    const after = await open();
    const { book, records } = after;
    const seen: number[] = [];
    const slices = new SlowSlices(() => records.synced());
    await takeIn({ book, records, slices, onJob: ({ id }) => seen.push(id) }, AWAY);
    expect(seen).toEqual(ids);
    expect(ids.map((id) => book.job(id)?.state)).toEqual(["out of touch", "out of touch"]);
    await after.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
