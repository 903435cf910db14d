/**
 * What is on record of jobs, from the command line: lists, records, logs, waiting, cancelling,
 * retrying.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { BEGINNING, PaperScheduler } from "../support/paper-scheduler.js";
import { Program, run, stopAll } from "../support/programs.js";
import { Pty } from "../support/pty.js";

let scheduler: PaperScheduler;

beforeAll(async () => {
  scheduler = await PaperScheduler.start();
});

beforeEach(() => {
  scheduler.jobs.clear();
  scheduler.asked.length = 0;
});

afterAll(async () => {
  await stopAll();
  await scheduler.stop();
});

const options = () => ({ cwd: scheduler.dir, env: { TZ: "UTC" } });

const client = (...args: readonly string[]) =>
  run("ocluster-client", ["-q", "-c", "submission.cap", ...args], options());

const admin = (...args: readonly string[]) =>
  run("ocluster-admin", ["-q", "-c", "admin.cap", ...args], options());

/** A job that has had two attempts, and one that nobody has had yet. */
function twoJobs(): void {
  const done = scheduler.add({ hint: "h", options: { ...OPTIONS, name: "tile", key: "52_21" } });
  done.begin("w1");
  done.print("no luck\n");
  done.end("lost", "queued", "no word from it");
  done.begin("w2");
  done.print("one\ntwo\nthree\n");
  done.end("failed", "failed", "Build failed");
  scheduler.add({ client: "b\u001bob" });
}

const OPTIONS = {
  ...{ name: "", key: "", retries: 0, lostRetries: 5, retryDelay: 0, timeout: 0 },
  after: [],
};

describe("jobs", () => {
  it("is a table of plain text in a pipe, newest first", async () => {
    twoJobs();
    expect(await client("jobs")).toMatchObject({
      code: 0,
      stdout: [
        "JOB  STATE   POOL  NAME  KEY    HINT            SUBMITTED  TOOK  ATTEMPTS  WORKER  REASON",
        "  2  queued  cpu                      2026-11-30 18:00:02",
        "  1  failed  cpu   tile  52_21  h     2026-11-30 18:00:01   15s         2  w2      Build failed",
        "",
      ].join("\n"),
      stderr: "",
    });
  });

  it("names the clients to an administrator, and cannot act on a terminal", async () => {
    twoJobs();
    const { stdout } = await admin("jobs");
    expect(stdout).toMatch(/^JOB {2}CLIENT +STATE/);
    expect(stdout).toMatch(/^ {2}2 {2}b\\x1bob {2}queued/m);
  });

  it("fits a terminal", async () => {
    twoJobs();
    const words = ["-q", "-c", `${scheduler.dir}/submission.cap`, "jobs"];
    const pty = Pty.run(Pty.program("ocluster-client", words), { columns: 70 });
    const shown = await pty.sees(/JOB.*WORKER {2}REASON\r\n.*\r\n.*w2 {6}Build.*\r\n/);
    for (const line of shown.split(/\r?\n/)) expect([...line].length).toBeLessThanOrEqual(70);
    expect(await pty.ended).toBe(0);
  });

  it("is one line for each job in the agreed form with --json", async () => {
    twoJobs();
    const { stdout } = await client("jobs", "--json");
    const [second, first] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const time = (seconds: number) => new Date((BEGINNING + seconds) * 1000).toISOString();
    expect(first).toEqual({
      ...{ id: 1, pool: "cpu", state: "failed", name: "tile", key: "52_21", hint: "h" },
      ...{ batch: null, submitted: time(1), started: time(11), ended: time(26) },
      attempts: [
        {
          ...{ attempt: 1, worker: "w1", started: time(11), ended: time(16) },
          ...{
            outcome: "lost",
            cause: "lost",
            reason: "no word from it",
            logSize: 8,
            outputSize: 0,
          },
        },
        {
          ...{ attempt: 2, worker: "w2", started: time(21), ended: time(26) },
          ...{
            outcome: "failed",
            cause: "failed",
            reason: "Build failed",
            logSize: 14,
            outputSize: 0,
          },
        },
      ],
      ...{ output: null, reason: "Build failed" },
      ...{ client: "alice", kind: "durable", cause: "failed", retriable: false },
    });
    expect(Object.keys(first).slice(0, 13)).toEqual([
      ...["id", "pool", "state", "name", "key", "hint", "batch", "submitted", "started", "ended"],
      ...["attempts", "output", "reason"],
    ]);
    expect(second).toMatchObject({ id: 2, name: null, started: null, attempts: [] });
  });

  it("asks for what the options say", async () => {
    const at = (text: string) => Date.parse(text) / 1000;
    await client(
      "jobs",
      ...["--state=failed,cancelled", "--pool=cpu", "--hint=h", "--since=2026-11-29"],
    );
    await admin("jobs", "cpu", "--client=alice", "--worker=w1", "--until=2026-11-30T06:00");
    expect(scheduler.asked).toEqual([
      { states: ["failed", "cancelled"], pool: "cpu", hint: "h", since: at("2026-11-29T00:00Z") },
      { pool: "cpu", client: "alice", worker: "w1", until: at("2026-11-30T06:00Z") },
    ]);
  });

  it("goes on over pages, to the limit", async () => {
    for (let i = 0; i < 60; i++) scheduler.add();
    const count = ({ stdout }: { stdout: string }) => stdout.trimEnd().split("\n").length;
    const glance = await client("jobs");
    expect(count(glance)).toBe(51);
    expect(glance.stderr).toBe("There are older ones: see --limit.\n");
    expect(count(await client("jobs", "--json"))).toBe(60);
    const since = await client("jobs", "--since=1d");
    expect(count(since)).toBe(61);
    expect(since.stderr).toBe("");
    expect(count(await client("jobs", "--json", "--limit=4"))).toBe(4);
  });

  it("says so when there are none", async () => {
    expect(await client("jobs")).toMatchObject({ code: 0, stdout: "", stderr: "No jobs.\n" });
  });
});

it("job shows all that is on record", async () => {
  twoJobs();
  const { stdout } = await client("job", "1");
  expect(stdout.split("\n")).toEqual([
    "Job 1: failed: Build failed",
    "Client:     alice",
    "Pool:       cpu",
    "Name:       tile",
    "Key:        52_21",
    "Cache hint: h",
    "Submitted:  2026-11-30 18:00:01",
    "Started:    2026-11-30 18:00:11",
    "Ended:      2026-11-30 18:00:26",
    "Took:       15s",
    "Options:    0 retries, 5 lost retries",
    "",
    "ATTEMPT  WORKER              STARTED  TOOK  OUTCOME   LOG  REASON",
    "      1  w1      2026-11-30 18:00:11  5.0s  lost      8 B  no word from it",
    "      2  w2      2026-11-30 18:00:21  5.0s  failed   14 B  Build failed",
    "",
  ]);
  expect(await client("job", "9")).toMatchObject({
    code: 12,
    stdout: "",
    stderr: "Failed: There is no job 9.\n",
  });
});

describe("logs", () => {
  it("prints that of the newest attempt, or of another", async () => {
    twoJobs();
    expect(await client("logs", "1")).toMatchObject({ code: 0, stdout: "one\ntwo\nthree\n" });
    expect(await client("logs", "1", "--attempt=1")).toMatchObject({ stdout: "no luck\n" });
    expect(await client("logs", "1", "--attempt=3")).toMatchObject({
      ...{ code: 1, stdout: "" },
      stderr: "Job 1 has no attempt 3: it has had 2.\n",
    });
  });

  it.each([
    ["--tail=0", ""],
    ["--tail=1", "three\n"],
    ["--tail=2", "two\nthree\n"],
    ["--tail=9", "one\ntwo\nthree\n"],
  ])("%s", async (option, stdout) => {
    twoJobs();
    expect((await client("logs", "1", option)).stdout).toBe(stdout);
  });

  it("finds the last lines of a long log that ends within a line", async () => {
    scheduler.chunk = 10_000;
    const job = scheduler.add();
    job.begin("w1");
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i}`);
    job.print(lines.join("\n"));
    const { stdout } = await client("logs", "1", "--tail=15000");
    scheduler.chunk = 7;
    expect(stdout).toBe(lines.slice(5000).join("\n"));
  });

  it("follows a job through its attempts with -f, and a lost scheduler", async () => {
    const job = scheduler.add();
    job.begin("w1");
    job.print("one\ntwo\n");
    const args = ["-c", "submission.cap", "logs", "1", "-f", "--tail=1"];
    const program = new Program("ocluster-client", args, options());
    await program.sees("stdout", /two/);
    await scheduler.leave();
    await program.sees("stderr", /Lost the scheduler/);
    job.print("three\n");
    job.end("crashed", "queued");
    job.begin("w2");
    job.print("four\n");
    await scheduler.comeBack();
    await program.sees("stdout", /four/);
    job.end("failed", "failed", "Build failed");
    // It was about the log, which is complete.
    const { code, stdout, stderr } = await program.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "two\nthree\nfour\n" });
    expect(stderr).toContain("Attempt 1 ended when w1 crashed. There is another one.\n");
  });

  it("has ids of layers in short form on a terminal, and as they are elsewhere", async () => {
    const id = "9d75f0d7c398".padEnd(64, "0");
    const job = scheduler.add();
    job.begin("w");
    job.print(`\u001b[01;2m\u001b[01;35m2026-11-21 09:53.25 ---> saved as "${id}"\u001b[0m\nend`);
    job.end("succeeded", "succeeded");
    expect((await client("logs", "1")).stdout).toContain(`saved as "${id}"`);
    const words = ["-q", "-c", `${scheduler.dir}/submission.cap`, "logs", "1"];
    for (const option of [[], ["-f"], ["--tail=5"]]) {
      const pty = Pty.run(Pty.program("ocluster-client", [...words, ...option]), { columns: 100 });
      expect(await pty.sees(/end$/)).toContain('---> saved as "9d75f0d7c398…"');
      expect(await pty.ended).toBe(0);
    }
  });

  it("is JSON for programs, a line for each", async () => {
    const job = scheduler.add();
    job.begin("w1");
    job.print("büro\n\nopen");
    job.end("succeeded", "succeeded");
    const { stdout } = await client("logs", "1", "--json");
    const line = (text: string) => JSON.stringify({ id: 1, attempt: 1, line: text });
    expect(stdout).toBe(`${["büro", "", "open"].map(line).join("\n")}\n`);
  });

  it("says what there is no log of", async () => {
    scheduler.add();
    scheduler.add({ attached: true, state: "succeeded" });
    const queued = await run("ocluster-client", ["-c", "submission.cap", "logs", "1"], options());
    expect(queued).toMatchObject({ code: 0, stdout: "" });
    expect(queued.stderr).toContain("Job 1 has no log (yet): queued.\n");
    expect(await client("logs", "2")).toMatchObject({
      code: 1,
      stderr: "Job 2 was attached: its log is not kept.\n",
    });
  });
});

describe("wait", () => {
  it("ends when all have ended, over a lost scheduler; and well only if all succeeded", async () => {
    const [first, second] = [scheduler.add(), scheduler.add()];
    const args = ["-c", "submission.cap", "wait", "1", "2"];
    const program = new Program("ocluster-client", args, options());
    second.begin("w1");
    second.end("succeeded", "succeeded");
    await program.sees("stdout", /^Job 2: succeeded\n$/);
    await scheduler.leave();
    await program.sees("stderr", /Lost the scheduler/);
    first.begin("w1");
    first.end("failed", "failed", "Build failed");
    await scheduler.comeBack();
    expect(await program.ended).toMatchObject({
      code: 1,
      stdout: "Job 2: succeeded\nJob 1: failed: Build failed\n",
    });
    expect(await client("wait", "2", "2", "--json")).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\{"id":2,.*\}\n$/),
    });
  });

  it("does not wait for longer than it may", async () => {
    scheduler.add();
    expect(await client("wait", "1", "--timeout=0.2")).toMatchObject({
      ...{ code: 14, stdout: "Job 1: queued\n" },
      stderr: "The time is over, and not all jobs have ended.\n",
    });
  });

  it("names jobs that there are not, and waits for the others", async () => {
    scheduler.add({ state: "succeeded", ended: BEGINNING });
    expect(await client("wait", "7", "1")).toMatchObject({
      ...{ code: 12, stdout: "Job 1: succeeded\n" },
      stderr: "There is no job 7.\n",
    });
  });
});

describe("cancel and retry", () => {
  it("do so with each, and say what cannot be", async () => {
    twoJobs();
    expect(await client("cancel", "1", "2", "3")).toMatchObject({
      code: 12,
      stdout: "Job 1: has ended: failed: Build failed\nJob 2: cancelled\n",
      stderr: "There is no job 3.\n",
    });
    const { code, stdout } = await client("retry", "1", "2", "--json");
    expect(code).toBe(0);
    const states = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).state);
    expect(states).toEqual(["queued", "queued"]);
    expect(await client("retry", "1")).toMatchObject({
      ...{ code: 12, stdout: "" },
      stderr: "Job 1 has not ended.\n",
    });
  });

  it("administrators cancel jobs of others", async () => {
    twoJobs();
    expect(await admin("cancel", "2")).toMatchObject({ code: 0, stdout: "Job 2: cancelled\n" });
  });
});

describe("usage", () => {
  const alice = { client: "alice", jobs: 3, succeeded: 1, failed: 1, cancelled: 0 };
  const bob = { client: "b\u001bob", jobs: 2, succeeded: 2, failed: 0, cancelled: 0 };

  it("is a line for each client, who had most first", async () => {
    scheduler.usage = [
      { ...alice, seconds: 59, lostSeconds: 0 },
      { ...bob, seconds: 11_100, lostSeconds: 60 },
    ];
    const { stdout } = await admin("usage", "--since=2026-11-01", "--until=2026-12-01");
    expect(stdout.split("\n")).toEqual([
      "CLIENT   JOBS  SUCCEEDED  FAILED  CANCELLED   TIME  OF IT LOST",
      "b\\x1bob     2          2       0          0  3h05m       1m00s",
      "alice       3          1       1          0    59s        0.0s",
      "",
    ]);
    const at = (text: string) => Date.parse(text) / 1000;
    expect(scheduler.asked).toEqual([
      { since: at("2026-11-01T00:00Z"), until: at("2026-12-01T00:00Z") },
    ]);
    const json = await admin("usage", "--json");
    expect(JSON.parse(json.stdout.split("\n")[1]!)).toEqual({
      ...{ client: "alice", jobs: 3, succeeded: 1, failed: 1, cancelled: 0 },
      ...{ seconds: 59, lostSeconds: 0 },
    });
  });

  it("is of a week, if nothing else is said", async () => {
    await admin("usage");
    const [{ since, until }] = scheduler.asked as [{ since: number; until: number }];
    expect(until - since).toBeCloseTo(7 * 86_400, 0);
  });
});
