/**
 * Durable jobs from the command line, with a scheduler whose jobs are the test's to tell of:
 * submitting, following, and what a scheduler that goes away and comes back does to it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { RpcError } from "../../src/rpc/index.js";
import { PaperScheduler } from "../support/paper-scheduler.js";
import { Program, run, stopAll } from "../support/programs.js";

let scheduler: PaperScheduler;

beforeAll(async () => {
  scheduler = await PaperScheduler.start();
  scheduler.write("hello.spec", "((from busybox) (run (shell date)))");
});

beforeEach(() => {
  scheduler.jobs.clear();
});

afterAll(async () => {
  await stopAll();
  await scheduler.stop();
});

const SUBMIT = ["submit-obuilder", "--pool=cpu", "--local-file=hello.spec"];

function client(...args: readonly string[]): Program {
  return new Program("ocluster-client", ["-c", "submission.cap", ...args], { cwd: scheduler.dir });
}

const submit = (...args: readonly string[]): Program => client(...SUBMIT, ...args);

describe("--detach", () => {
  it("prints the number of the job alone, which has all that was asked for", async () => {
    scheduler.add();
    const ended = await submit(
      "--detach",
      ...["--name=tile", "--key=52_21", "--retries=2", "--lost-retries=infinite"],
      ...["--retry-delay=1m", "--timeout=1h", "--after=1", "--cache-hint=h", "--urgent"],
    ).ended;
    expect(ended).toMatchObject({ code: 0, stdout: "2\n" });
    const { descr, record } = await scheduler.job(2);
    expect(descr).toMatchObject({ action: { kind: "obuilder" }, cacheHint: "h" });
    expect(record).toMatchObject({ pool: "cpu", urgent: true });
    expect(record.options).toEqual({
      ...{ name: "tile", key: "52_21", retries: 2, lostRetries: Infinity },
      ...{ retryDelay: 60, timeout: 3600, after: [1] },
    });
  });

  it("is the same job with the same key", async () => {
    const first = await submit("--detach", "--key=k").ended;
    const again = await submit("--detach", "--key=k").ended;
    expect([first.stdout, again.stdout]).toEqual(["1\n", "1\n"]);
    expect(again.stderr).toContain("Job 1 has this key already.\n");
  });

  it("prints the job's record with --json", async () => {
    const { stdout } = await submit("--detach", "--json").ended;
    expect(JSON.parse(stdout)).toMatchObject({ id: 1, pool: "cpu", state: "queued", key: null });
  });

  it("says why there is no job", async () => {
    scheduler.refusal = new RpcError("overloaded", "alice has 1000 jobs queued");
    const { code, stdout, stderr } = await submit("--detach", "--json").ended;
    scheduler.refusal = null;
    expect(code).toBe(1);
    expect(stderr).toContain("Overloaded: alice has 1000 jobs queued\n");
    const reason = "alice has 1000 jobs queued";
    expect(JSON.parse(stdout)).toEqual({ ok: false, kind: "refused", reason });
  });
});

describe("--durable", () => {
  it("follows the log to the result", async () => {
    const program = submit("--durable");
    const job = await scheduler.job(1);
    job.begin("w1");
    job.print("Building on w1\nhello ");
    await program.sees("stdout", /hello $/);
    job.print("world\n");
    job.end("succeeded", "succeeded", "", "the-layer");
    const { code, stdout, stderr } = await program.ended;
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'Tailing log:\nBuilding on w1\nhello world\nResult: "the-layer"\n',
    });
    expect(stderr).toMatch(/^Job 1\.\n$/);
  });

  it("says how a job failed, and ends with status 1", async () => {
    const program = submit("--durable");
    const job = await scheduler.job(1);
    job.begin("w1");
    job.end("timeout", "failed", "it took longer than 1h00m\u001b[2J.");
    const { code, stdout } = await program.ended;
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: "Tailing log:\nFailed (timeout): it took longer than 1h00m\\x1b[2J.\n",
    });
  });

  it("tells of a further attempt between their logs", async () => {
    const program = submit("--durable", "--log-file=job.log", "--json");
    const job = await scheduler.job(1);
    job.begin("w\u202e1");
    job.print("first\n");
    job.end("lost", "queued", "no word from it for 10 min.");
    await program.sees(
      "stderr",
      /^Attempt 1 was lost with w\\u\{202e\}1: no word from it for 10 min\. There is another one\.$/m,
    );
    job.begin("w2");
    job.print("second\n");
    job.end("succeeded", "succeeded");
    const { code, stdout } = await program.ended;
    expect(code).toBe(0);
    expect(readFileSync(join(scheduler.dir, "job.log"), "utf8")).toBe("first\nsecond\n");
    expect(JSON.parse(stdout)).toMatchObject({
      state: "succeeded",
      attempts: [
        { worker: "w\u202e1", outcome: "lost", cause: "lost", logSize: 6 },
        { outcome: "succeeded", cause: null },
      ],
    });
  });

  it("leaves the job running at Ctrl-C, and says how to come back", async () => {
    const program = submit("--durable");
    const job = await scheduler.job(1);
    job.begin("w1");
    job.print("started\n");
    await program.sees("stdout", /started/);
    const ended = await program.stop("SIGINT");
    expect(ended.signal).toBe("SIGINT");
    expect(ended.stderr).toContain(
      "Job 1 goes on. To come back: ocluster-client -c submission.cap logs 1 -f\n",
    );
    expect(job.record.state).toBe("running");
  });

  it("waits for a scheduler that goes away, and goes on at the byte where it was", async () => {
    const program = submit("--durable");
    const job = await scheduler.job(1);
    const lines = Array.from({ length: 40 }, (_, i) => `line ${i} of many\n`);
    job.begin("w1");
    job.print(lines.slice(0, 20).join("").slice(0, -5));
    await program.sees("stdout", /line 19 of $/);
    await scheduler.leave();
    await program.sees("stderr", /^Lost the scheduler \(Disconnected: .*\): waiting for it\.$/m);
    job.print(`many\n${lines.slice(20, 30).join("")}`);
    await scheduler.comeBack();
    await program.sees("stdout", /line 29 of many\n/);
    expect(program.stderr).toContain("The scheduler is back.\n");
    // Once more, and it is away for longer than one try.
    await scheduler.leave();
    job.print(lines.slice(30).join(""));
    job.end("succeeded", "succeeded");
    await scheduler.comeBack();
    const { code, stdout } = await program.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: `Tailing log:\n${lines.join("")}` });
  });
});

it("an attempt of which a killed scheduler has lost some log is over all the same", async () => {
  const program = submit("--durable");
  const job = await scheduler.job(1);
  job.begin("w1");
  job.print("one\ntwo\n");
  await program.sees("stdout", /two\n/);
  await scheduler.leave();
  job.unprint(4);
  job.end("lost", "queued");
  job.begin("w2");
  job.print("three\n");
  job.end("succeeded", "succeeded");
  await scheduler.comeBack();
  expect(await program.ended).toMatchObject({ code: 0, stdout: "Tailing log:\none\ntwo\nthree\n" });
});

describe("without durable jobs", () => {
  it.each([
    [...SUBMIT, "--detach"],
    [...SUBMIT, "--durable"],
    ["jobs"],
    ["job", "1"],
    ["logs", "1"],
    ["logs", "1", "-f"],
    ["wait", "1"],
    ["cancel", "1"],
    ["retry", "1"],
  ])("a scheduler's clients read so: %s %s %s %s", async (...args) => {
    const words = args.filter((word) => word !== undefined);
    const ended = await run("ocluster-client", ["-q", "-c", "plain.cap", ...words], {
      cwd: scheduler.dir,
    });
    expect(ended).toMatchObject({ code: args[0]!.startsWith("submit") ? 1 : 12, stdout: "" });
    expect(ended.stderr).toMatch(
      /^This scheduler knows neither durable jobs nor records of jobs \(or "plain\.cap" is neither /,
    );
  });
});
