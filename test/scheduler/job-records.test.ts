/**
 * The records of jobs: what is on disk when, what is found again, and what happens when nothing can
 * be written.
 */
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AttemptRecord, JobRecord } from "../../src/scheduler/jobs/types.js";
import type { EndedRun } from "../../src/scheduler/state/ended-runs.js";
import { JobRecords } from "../../src/scheduler/state/job-records.js";
import type { Unfinished } from "../../src/scheduler/state/jobs-messages.js";
import { jobOf, MIGRATIONS, STATES } from "../../src/scheduler/state/jobs-schema.js";
import { unpack } from "../../src/scheduler/state/packed-jobs.js";
import { SQLite } from "../../src/system/sqlite.js";
import { LoopDisk } from "../support/loop-disk.js";

const KEY = new Uint8Array(32).fill(7);
const SECRET = "hunter2-in-the-description";

/** An attached job that has ended. */
const ATTACHED: Omit<EndedRun, "id"> = {
  ...{ client: "alice", pool: "cpu", hint: "h\u00e9", worker: "w\0", urgent: true, cached: true },
  ...{ submitted: 36_000.25, started: 36_010.5, ended: 36_020.75 },
  ...{ cause: "succeeded", reason: "", output: "image" },
};

let directory: string;
let records: JobRecords;
let warnings: string[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-records-"));
  warnings = [];
  records = await open();
});

afterEach(async () => {
  await records.close();
  rmSync(directory, { recursive: true });
});

function open(key = KEY, where = directory): Promise<JobRecords> {
  return JobRecords.open({
    directory: where,
    key,
    retryAfter: 10,
    onWarning: (warning) => warnings.push(warning.message),
  });
}

/** Other programs' way to the same file. */
function database() {
  return new SQLite(join(directory, "jobs.db"));
}

function newJob(change: Partial<JobRecord> = {}): JobRecord {
  return {
    id: records.nextId(),
    kind: "durable",
    client: "alice",
    pool: "cpu",
    urgent: false,
    hint: "",
    name: "",
    key: "",
    batch: null,
    row: null,
    batchEnd: null,
    options: { retries: 0, lostRetries: 5, retryDelay: 0, timeout: null, after: [] },
    needs: [],
    submitted: 1000,
    state: "queued",
    started: null,
    ended: null,
    cause: null,
    reason: "",
    output: "",
    described: true,
    start: 1000,
    order: 1,
    notBefore: null,
    attempts: 0,
    failures: 0,
    losses: 0,
    suspicions: 0,
    troubles: 0,
    avoid: [],
    ...change,
  };
}

function newAttempt(job: JobRecord, change: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    job: job.id,
    attempt: ++job.attempts,
    worker: "w1",
    resumes: true,
    cached: false,
    offered: 1001,
    started: null,
    ended: null,
    outcome: null,
    reason: "",
    logSize: 0,
    ...change,
  };
}

function submit(change: Partial<JobRecord> = {}): JobRecord {
  const job = newJob(change);
  records.saveJob(job);
  records.saveDescription(job.id, Buffer.from(SECRET));
  return job;
}

describe("a job", () => {
  it("is found as it was, by a later process, too", async () => {
    const job = submit({
      urgent: true,
      hint: "h",
      name: "n",
      key: "k",
      options: {
        retries: 2,
        lostRetries: Number.POSITIVE_INFINITY,
        retryDelay: 1.5,
        timeout: 60,
        after: [1],
      },
      avoid: ["w9"],
      reason: "because",
    });
    const attempt = newAttempt(job);
    records.saveAttempt(job, attempt);
    await records.submitted(job.id);
    attempt.started = 1002;
    job.state = "running";
    records.saveJob(job);
    records.saveAttempt(job, attempt);
    expect(await records.job(job.id)).toEqual({ job, attempts: [attempt] });
    await records.close();
    records = await open();
    expect(await records.job(job.id)).toEqual({ job, attempts: [attempt] });
    expect(await records.keyed("alice", "k")).toBe(job.id);
    expect(await records.keyed("bob", "k")).toBeNull();
    const { after, ...left } = await records.unfinished("running", 0, 10);
    expect(left).toMatchObject({ jobs: [{ id: job.id }], attempts: [{ attempt: 1 }] });
    expect(after).toBeNull();
  });

  it("that has not ended is read at the start as it was, whatever there is to say of it", async () => {
    const plain = submit({ name: "n", key: "k", hint: "h", batch: 3, urgent: true, start: null });
    const other = submit({ options: { ...plain.options, retries: 2, after: [1, 2] }, order: 2 });
    const tried = submit({ attempts: 1, failures: 1, avoid: ["w1"], reason: "because" });
    submit({ state: "running" });
    const bare = newJob();
    records.saveJob(bare);
    await records.synced();
    const found: [JobRecord, number][] = [];
    for (let after: number | null = 0; after !== null; ) {
      const page: Unfinished = await records.unfinished("queued", after, 2);
      for (const row of page.jobs) found.push([jobOf(row), row.size ?? 0]);
      const packed = unpack(page.packed, STATES.indexOf("queued"));
      for (const { job, size } of packed) found.push([job, size]);
      expect(page.packed.texts.length).toBeLessThanOrEqual(8);
      after = page.after;
    }
    const size = SECRET.length;
    expect(found).toEqual([
      [plain, size],
      [other, size],
      [tried, size],
      [bare, 0],
    ]);
  });

  it("of a batch has a key that only means something in there", async () => {
    const change = { key: "k", batch: 3, row: 17, batchEnd: 2 };
    const [first, second] = [submit(change), submit({ ...change, batch: 4 })];
    expect(await records.job(first.id)).toMatchObject({ job: change });
    expect(await records.job(second.id)).toMatchObject({ job: { key: "k", batch: 4 } });
    expect(await records.keyed("alice", "k")).toBeNull();
  });

  it("has a number that no other job ever gets", async () => {
    const refused = records.nextId();
    const kept = submit();
    await records.submitted(kept.id);
    kept.state = "succeeded";
    kept.ended = 1;
    records.saveJob(kept);
    records.removeBefore(2);
    await expect.poll(() => records.job(kept.id)).toBeNull();
    await records.close();
    records = await open();
    expect(records.nextId()).toBeGreaterThan(Math.max(refused, kept.id));
  });

  it("is one with all that was said in the same turn", async () => {
    const jobs = Array.from({ length: 1000 }, () => submit());
    await Promise.all(jobs.map(({ id }) => records.submitted(id)));
    const { jobs: page } = await records.page({ limit: 2000 });
    expect(page.map(({ job }) => job.id)).toEqual(jobs.map(({ id }) => id).reverse());
  });
});

describe("a description", () => {
  it("comes back as it was, and is not to be read in the file", async () => {
    const job = submit();
    await records.submitted(job.id);
    expect(Buffer.from((await records.description(job.id))!).toString()).toBe(SECRET);
    await records.close();
    expect(readFileSync(join(directory, "jobs.db")).includes(SECRET)).toBe(false);
    records = await open(new Uint8Array(32).fill(8));
    await expect(records.description(job.id)).rejects.toThrow();
  });

  it("is not another job's", async () => {
    const [one, other] = [submit(), submit()];
    await records.synced();
    using db = closing(database());
    db.exec(
      `UPDATE description SET sealed = (SELECT sealed FROM description WHERE job = ${one.id}) WHERE job = ${other.id}`,
    );
    // Until then it is in memory.
    await records.close();
    records = await open();
    await expect(records.description(other.id)).rejects.toThrow();
  });

  it("is erased when it is not needed any more", async () => {
    const [one, other] = [submit(), submit({ ended: 5, state: "failed" })];
    await records.synced();
    records.eraseDescription(one.id);
    await records.synced();
    expect(await records.description(one.id)).toBeNull();
    records.eraseDescriptionsBefore(6);
    await expect.poll(() => records.description(other.id)).toBeNull();
    expect((await records.job(other.id))!.job.described).toBe(false);
  });
});

describe("a page", () => {
  it("has what the filter asks for, newest first", async () => {
    const a = submit({ client: "alice", pool: "cpu", hint: "x", submitted: 10_000 });
    const b = submit({ client: "bob", pool: "gpu", key: "k", state: "failed", submitted: 20_000 });
    const c = submit({ client: "alice", pool: "gpu", name: "n", batch: 4, submitted: 30_000 });
    records.saveAttempt(b, newAttempt(b, { worker: "w1" }));
    records.saveAttempt(c, newAttempt(c, { worker: "w2" }));
    records.saveAttempt(c, newAttempt(c, { worker: "w1" }));
    records.saveAttempt(c, newAttempt(c, { worker: "w1" }));
    const ids = async (filter: object) =>
      (await records.page({ limit: 10, ...filter })).jobs.map(({ job }) => job.id);
    expect(await ids({})).toEqual([c.id, b.id, a.id]);
    expect(await ids({ client: "alice" })).toEqual([c.id, a.id]);
    expect(await ids({ pool: "gpu", states: [STATES.indexOf("failed")] })).toEqual([b.id]);
    expect(await ids({ worker: "w1" })).toEqual([c.id, b.id]);
    expect(await ids({ worker: "w2", client: "bob" })).toEqual([]);
    expect(await ids({ hint: "x" })).toEqual([a.id]);
    expect(await ids({ key: "k" })).toEqual([b.id]);
    expect(await ids({ name: "n" })).toEqual([c.id]);
    expect(await ids({ batch: 4 })).toEqual([c.id]);
    expect(await ids({ since: 20_000 })).toEqual([c.id, b.id]);
    expect(await ids({ until: 20_000 })).toEqual([a.id]);
    expect(await ids({ since: 15_000, until: 25_000 })).toEqual([b.id]);
  });

  it("leads to the next one", async () => {
    const jobs = Array.from({ length: 5 }, () => submit());
    const first = await records.page({ limit: 3 });
    expect(first.jobs.map(({ job }) => job.id)).toEqual(
      jobs
        .map(({ id }) => id)
        .slice(2)
        .reverse(),
    );
    const second = await records.page({ limit: 3, before: first.before! });
    expect(second.jobs).toHaveLength(2);
    expect(second.before).toBeNull();
  });
});

describe("usage", () => {
  it("is added up once, whatever is written again", async () => {
    const job = submit({ submitted: 3600 * 10 });
    const attempt = newAttempt(job, { started: 36_000 });
    records.saveAttempt(job, attempt);
    await records.synced();
    Object.assign(attempt, { ended: 36_010, outcome: "lost" });
    Object.assign(job, { state: "failed", ended: 36_010 });
    for (let again = 0; again < 2; again++) {
      records.saveJob(job);
      records.saveAttempt(job, attempt);
      await records.synced();
    }
    const sums = { client: "alice", jobs: 1, cancelled: 0, seconds: 10, lostSeconds: 10 };
    expect(await records.usage(0, 40_000)).toEqual([{ ...sums, succeeded: 0, failed: 1 }]);
    // Tried again by hand, with success.
    const second = newAttempt(job, { started: 36_020, ended: 36_025, outcome: "succeeded" });
    Object.assign(job, { state: "succeeded", ended: 36_025 });
    records.saveJob(job);
    records.saveAttempt(job, second);
    expect(await records.usage(0, 40_000)).toEqual([
      { ...sums, succeeded: 1, failed: 0, seconds: 15 },
    ]);
    expect(await records.usage(0, 3600)).toEqual([]);
  });
});

describe("an attached job that has ended before anything was written of it", () => {
  it("is on record as if it had been written twice", async () => {
    for (const change of [
      {},
      { cause: "lost", reason: "gone", output: "", urgent: false, cached: false },
      { cause: "cancelled", hint: "", ended: 36_000 },
      { cause: "failed", client: "bob", ended: 40_000 },
    ] as const) {
      const run: EndedRun = { ...ATTACHED, ...change, id: records.nextId() };
      const { cached, cause, ended, output, reason, started, worker } = run;
      const isOwn = cause === "succeeded" || cause === "cancelled";
      const twin = newJob({
        ...{ kind: "attached", client: run.client, pool: run.pool, hint: run.hint },
        ...{
          urgent: run.urgent,
          submitted: run.submitted,
          described: false,
          start: null,
          order: 0,
        },
        ...{ state: isOwn ? cause : "failed", cause, started, ended, reason, output },
      });
      const ends = { ended, outcome: cause, reason };
      const attempt = newAttempt(twin, { resumes: false, worker, cached, ...ends });
      Object.assign(attempt, { started, offered: started });
      const before = await books(run.client);
      records.saveEnded(run);
      const found = (await records.job(run.id))!;
      const between = await books(run.client);
      records.saveJob(twin);
      records.saveAttempt(twin, attempt);
      const other = (await records.job(twin.id))!;
      const after = await books(run.client);
      expect(found.job).toEqual({ ...other.job, id: run.id });
      expect(found.attempts).toEqual([{ ...attempt, job: run.id }]);
      expect(between.jobs).toBe(before.jobs + 1);
      for (const [name, sum] of Object.entries(after)) {
        const figure = name as keyof typeof after;
        expect(sum - between[figure]).toBe(between[figure] - before[figure]);
      }
    }
  });

  it("is there when the records were closed at once, or when there are many", async () => {
    const ids = Array.from({ length: 600 }, () => records.nextId());
    for (const id of ids) records.saveEnded({ ...ATTACHED, id });
    await records.close();
    records = await open();
    expect((await records.page({ limit: 1000 })).jobs.map(({ job }) => job.id)).toEqual(
      ids.toReversed(),
    );
  });

  /** What is added up of a client. */
  async function books(client: string) {
    const usage = (await records.usage(0, 50_000)).find((one) => one.client === client);
    const { client: _, ...sums } = usage ?? {
      ...{ client, jobs: 0, succeeded: 0, failed: 0, cancelled: 0, seconds: 0, lostSeconds: 0 },
    };
    return { ...sums, records: records.useOf(client).records };
  }
});

describe("durations", () => {
  it("are of attempts that ended by themselves, the newest first", async () => {
    const job = submit({ client: "alice", pool: "cpu", hint: "x" });
    const attempt = (ended: number, change: Partial<AttemptRecord>) =>
      records.saveAttempt(job, newAttempt(job, { started: 100, ended, ...change }));
    attempt(130, { outcome: "succeeded", cached: true });
    attempt(110, { outcome: "failed" });
    attempt(120, { outcome: "timeout" });
    for (const outcome of ["lost", "crashed", "evicted", "cancelled", "no space"] as const) {
      attempt(140, { outcome });
    }
    attempt(150, { outcome: "failed", started: null });
    records.saveAttempt(job, newAttempt(job, { started: 100 }));
    await records.synced();
    const kind = { client: "alice", pool: "cpu", hint: "x" };
    expect(await records.durations(10)).toEqual([
      { ...kind, cached: 1, seconds: 30 },
      { ...kind, cached: 0, seconds: 20 },
      { ...kind, cached: 0, seconds: 10 },
    ]);
    expect(await records.durations(1)).toHaveLength(1);
  });
});

describe("on a full disk", () => {
  it("submits are refused, and ends are kept until they can be written", async () => {
    await records.close();
    const disk = new LoopDisk("tmpfs", join(directory, "disk"), "2m");
    try {
      records = await open(KEY, disk.path);
      const running = submit({ state: "running" });
      await records.submitted(running.id);
      const ballast = join(disk.path, "ballast");
      fill(ballast);
      const refused = Array.from({ length: 50 }, () => submit({ reason: "x".repeat(2000) }));
      const outcomes = await Promise.allSettled(refused.map(({ id }) => records.submitted(id)));
      expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["rejected"]));
      running.state = "failed";
      running.reason = "x".repeat(20_000);
      records.saveJob(running);
      const ended = { ...ATTACHED, id: records.nextId(), reason: "x".repeat(20_000) };
      records.saveEnded(ended);
      let isSynced = false;
      const synced = records.synced().then(() => {
        isSynced = true;
      });
      await expect.poll(() => warnings.length).toBeGreaterThan(1);
      expect(isSynced).toBe(false);
      expect(warnings[0]).toContain("disk is full");
      rmSync(ballast);
      await synced;
      expect((await records.job(running.id))!.job.state).toBe("failed");
      expect((await records.job(ended.id))!.job.reason).toBe(ended.reason);
      expect(await records.job(refused[0]!.id)).toBeNull();
    } finally {
      await records.close();
      disk.remove();
      records = await open();
    }
  });
});

/** Writes a file until there is no room. */
function fill(path: string): void {
  const file = openSync(path, "w");
  try {
    for (;;) writeSync(file, Buffer.alloc(4096));
  } catch (error) {
    expect(error).toMatchObject({ code: "ENOSPC" });
  } finally {
    closeSync(file);
  }
}

describe("the file", () => {
  it("is copied while it is in use", async () => {
    const job = submit();
    const copy = join(directory, "copy.db");
    await records.backup(copy);
    using db = closing(new SQLite(copy));
    expect(db.prepare("SELECT id FROM job").pluck().all()).toEqual([job.id]);
  });

  it("of a later version is refused, and left as it is", async () => {
    await records.close();
    const db = database();
    db.pragma("user_version = 99");
    db.close();
    await expect(open()).rejects.toThrow(
      /of version 99, which a later release of ocluster has made/,
    );
    const again = database();
    again.pragma(`user_version = ${MIGRATIONS.length}`);
    again.close();
    records = await open();
  });

  it("of the first version is brought up to date, with what is in it", async () => {
    await records.close();
    rmSync(join(directory, "jobs.db"));
    const old = database();
    old.exec(MIGRATIONS[0]!);
    old.exec(
      `INSERT INTO job VALUES (1, 0, 'alice', 'cpu', 0, '', 'hello', 'key', NULL, '', 1000, 5, 1001, 1002, 0, '', '', 0,
         1000, 1, NULL, 1, 0, 0, 0, 0, '')`,
    );
    old.exec("INSERT INTO meta VALUES ('last_id', 1)");
    old.pragma("user_version = 1");
    old.close();
    records = await open();
    expect(await records.job(1)).toMatchObject({ job: { name: "hello", batch: null, row: null } });
    expect(await records.keyed("alice", "key")).toBe(1);
    expect(records.nextId()).toBe(2);
  });

  it("that is none is refused", async () => {
    await records.close();
    rmSync(join(directory, "jobs.db"));
    writeFileSync(
      join(directory, "jobs.db"),
      "no database, but long enough to be looked at".repeat(40),
    );
    await expect(open()).rejects.toMatchObject({ kind: "damaged" });
    rmSync(join(directory, "jobs.db"));
    records = await open();
  });
});

function closing<D extends { close(): void }>(db: D): D & Disposable {
  return Object.assign(db, { [Symbol.dispose]: () => void db.close() });
}
