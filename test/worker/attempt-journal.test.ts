/**
 * The journal of attempts: what was said to be on disk is there, wherever the process was killed
 * and whatever the disk did.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AttemptJournal, type Entry, keyOf } from "../../src/worker/jobs/attempt-journal.js";
import { HeldAttempts } from "../../src/worker/jobs/held-attempts.js";
import { Job } from "../../src/worker/jobs/job.js";
import { WorkerMetrics } from "../../src/worker/metrics.js";
import { BOOK } from "./durable-scheduler.js";

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-journal-"));
  path = join(directory, "journal");
});

afterEach(() => rmSync(directory, { recursive: true }));

const book = BOOK.toString("hex");
const running = (job: number): Entry => ({ book, job, attempt: 1, state: "running" });
const forgotten = (job: number): Entry => ({ book, job, attempt: 1, state: "forgotten" });
const ended = (job: number, output: string): Entry => ({
  book,
  job,
  attempt: 1,
  state: "ended",
  ending: { cause: "succeeded", output, reason: "", exception: null },
  log: { text: "" },
});

/** What a process finds that comes next. */
async function reopened(): Promise<Entry[]> {
  const { entries, journal } = await AttemptJournal.open(path);
  await journal.close();
  return entries;
}

/** What counts after these. */
function outcome(said: readonly Entry[]): Entry[] {
  const last = new Map<string, Entry>();
  for (const entry of said) {
    last.delete(keyOf(entry));
    last.set(keyOf(entry), entry);
  }
  return [...last.values()].filter(({ state }) => state !== "forgotten");
}

const sorted = (entries: readonly Entry[]) => entries.toSorted((a, b) => a.job - b.job);

describe("the journal", () => {
  it("has what counts, in whatever portions it was said", async () => {
    const someJob = fc.nat(5);
    const entry = fc.oneof(
      someJob.map(running),
      someJob.map(forgotten),
      fc.tuple(someJob, fc.string()).map(([job, output]) => ended(job, output)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(entry, { maxLength: 6 }), { maxLength: 6 }),
        async (said) => {
          rmSync(path, { force: true });
          const { journal } = await AttemptJournal.open(path);
          for (const portion of said) await Promise.all(portion.map((each) => journal.write(each)));
          await journal.close();
          expect(sorted(await reopened())).toEqual(sorted(outcome(said.flat())));
        },
      ),
      { numRuns: 30 },
    );
  });

  it("has all that was answered, cut at any byte after that", async () => {
    const { journal } = await AttemptJournal.open(path);
    await journal.write(running(1));
    await journal.write(running(2));
    const answered = readFileSync(path).length;
    await journal.write(ended(1, "ähm"));
    await journal.close();
    const whole = readFileSync(path);
    for (let length = answered; length <= whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      const complete = length >= whole.length - 1;
      expect(sorted(await reopened())).toEqual([
        complete ? ended(1, "ähm") : running(1),
        running(2),
      ]);
    }
  });

  it("goes by what can be read of a file that is damaged", async () => {
    const odd = [
      "\0\0\0",
      "[]",
      '{"book":"../..","job":1,"attempt":1,"state":"running"}',
      '{"book":"00","job":1e99,"attempt":1,"state":"running"}',
      '{"book":"00","job":1,"attempt":1,"state":"ended"}',
      '{"book":"00","job":1,"attempt":1,"state":"ended","ending":{"cause":"fate"},"log":{"text":""}}',
      '{"book":"00","job":1,"attempt":1,"state":"odd"}',
      JSON.stringify(running(7)),
    ];
    writeFileSync(path, `${odd.join("\n")}\n`);
    expect(await reopened()).toEqual([running(7)]);
  });

  it("does not grow with what is forgotten", async () => {
    const { journal } = await AttemptJournal.open(path);
    await journal.write(running(1));
    const output = "x".repeat(10_000);
    for (let job = 2; job < 300; job++) {
      void journal.write(ended(job, output));
      await journal.write(forgotten(job));
    }
    await journal.close();
    expect(readFileSync(path).length).toBeLessThan(1_100_000);
    expect(await reopened()).toEqual([running(1)]);
    expect(readFileSync(path, "utf8")).toBe(`${JSON.stringify(running(1))}\n`);
  });
});

describe("a state directory on a full disk", () => {
  let stateDir: string;
  let filler: string;

  beforeEach(() => {
    stateDir = join(directory, "state");
    mkdirSync(stateDir);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", stateDir]);
    filler = join(stateDir, "filler");
  });

  afterEach(() => execFileSync("umount", [stateDir]));

  it("has no job begin, nor asked for until there is room", async () => {
    const metrics = new WorkerMetrics();
    const held = await HeldAttempts.open({ stateDir, metrics, onForgotten: () => {}, retryMs: 1 });
    const assign = (number: number) => {
      const job = Job.offered({ directory });
      const assignment = { book: BOOK, job: number, attempt: 1, timeout: 0, reattach: 600 };
      return { job, attempt: held.assign(job, assignment) };
    };
    const first = assign(1);
    let end!: (output: string) => void;
    const running = first.job.run(() => new Promise((resolve) => (end = resolve)), first.attempt);
    while (end === undefined) await new Promise(setImmediate);

    execFileSync("sh", ["-c", `cat /dev/zero > ${filler} 2>/dev/null || true`]);
    const output = "x".repeat(20_000);
    end(output);
    // It could not be written down, but who asks learns of it.
    expect(await running).toMatchObject({ cause: "succeeded", output });
    const second = assign(2);
    const ending = await second.job.run(() => Promise.reject(new Error("it ran")), second.attempt);
    expect(ending).toMatchObject({ cause: "no space", reason: expect.stringContaining("ENOSPC") });

    const switched: boolean[] = [];
    const setActive = async (active: boolean) => {
      switched.push(active);
      if (!active) rmSync(filler);
    };
    await held.gate.pass({ setActive }, new AbortController().signal);
    expect(switched).toEqual([false, true]);
    await held.close();
    const { entries, journal } = await AttemptJournal.open(join(stateDir, "attempts/journal"));
    await journal.close();
    expect(sorted(entries)).toMatchObject([
      { job: 1, state: "ended", ending: { output } },
      { job: 2, state: "ended", ending: { cause: "no space" } },
    ]);
    expect(readdirSync(join(stateDir, "attempts"))).toEqual(["journal"]);
  });
});
