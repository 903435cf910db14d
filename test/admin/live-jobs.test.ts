/**
 * `ocluster-admin running`, and `cancel` of all that fits, against a real scheduler; and the lines
 * that this one logs of jobs.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { type Program, run } from "../support/programs.js";
import { type ScriptedJob, ScriptedWorker } from "../support/scripted-worker.js";

const POOL = "linux-x86_64";

let cluster: Cluster;
let worker: ScriptedWorker;
let job: ScriptedJob;
let client: Program;

beforeAll(async () => {
  // The last of them decides: as without --verbose.
  cluster = await Cluster.start(["--log-jobs", "--verbosity=warning"]);
  worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
});

afterAll(async () => {
  await worker.close();
  await cluster.stop();
});

beforeEach(async () => {
  client = cluster.submitSpec(cluster.write("x.spec", "((from x))"), ["--cache-hint=web"]);
  job = await worker.pop();
  job.write("building\n");
  await client.sees("stdout", /building/);
});

async function admin(...args: readonly string[]) {
  const ended = await run("ocluster-admin", ["-c", cluster.cap("admin"), ...args]);
  return { ...ended, stderr: ended.stderr.replace(/^Connecting to .*\n/, "") };
}

/** The job ends as its worker says when it is told to stop. */
async function stopped(): Promise<void> {
  await job.cancelled.promise;
  job.fail("Build cancelled");
  await client.ended;
}

describe("running jobs", () => {
  it("are listed: whose, where, since when, and when they were last heard of", async () => {
    const { code, stdout } = await admin("running", POOL);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^JOB {2}CLIENT {5}POOL +STATE +WORKER +STARTED +LAST OUTPUT +HINT +KIND\n +\d+ +test-user +linux-x86_64 +running +w1 +\d+\.\ds ago +\d+\.\ds ago +web +attached\n$/,
    );
    const [line] = (await admin("running", POOL, "--json", "--worker=w1")).stdout.split("\n");
    expect(JSON.parse(line!)).toEqual({
      ...{ id: expect.any(Number), pool: POOL, state: "running", client: "test-user" },
      ...{ kind: "attached", name: null, hint: "web", urgent: false, worker: "w1", attempt: 1 },
      submitted: expect.stringMatching(/^20.*Z$/),
      started: expect.stringMatching(/^20.*Z$/),
      lastOutput: expect.stringMatching(/^20.*Z$/),
      outOfTouch: false,
    });
    expect(await admin("running", POOL, "--worker=w2")).toMatchObject({
      ...{ code: 0, stdout: "", stderr: "No jobs.\n" },
    });
    expect(await admin("running", "nope")).toMatchObject({
      ...{ code: 1, stderr: `Failed: No such pool "nope"; there is ${POOL}\n` },
    });
    job.succeed("");
    expect((await client.ended).code).toBe(0);
  });
});

describe("jobs that fit", () => {
  it("are listed first and cancelled then", async () => {
    const which = [`--pool=${POOL}`, "--client=test-user", "--hint=web", "--state=running"];
    const dry = await admin("cancel", ...which, "--dry-run");
    expect(dry.stdout).toMatch(/ test-user .*\nWould cancel 1 job\.\n$/);
    expect(client.hasEnded).toBe(false);
    expect((await admin("cancel", "--client=eve")).stdout).toBe("Cancelled 0 jobs.\n");
    expect((await admin("cancel", ...which)).stdout).toMatch(/ test-user .*\nCancelled 1 job\.\n$/);
    await stopped();
  });

  it("are cancelled by number, though they belong to a connection", async () => {
    const { stdout } = await admin("running", POOL, "--json");
    const { id } = JSON.parse(stdout);
    expect((await admin("cancel", String(id))).stdout).toMatch(
      RegExp(`^Job ${id}: (cancelled|is told to stop)\n$`),
    );
    await stopped();
  });

  it("have to be said", async () => {
    expect(await admin("cancel")).toMatchObject({
      code: 124,
      stderr: expect.stringContaining("Say which jobs: by number, or by --pool"),
    });
    expect(await admin("cancel", "1", "--client=alice")).toMatchObject({
      code: 124,
      stderr: expect.stringContaining("not both"),
    });
    job.fail("no");
    await client.ended;
  });
});

describe("the scheduler's log", () => {
  it("has a line for each job that has ended, without --verbose, too", async () => {
    job.fail("no");
    await client.ended;
    await cluster.scheduler.sees(
      "stderr",
      /^20\S+ \S+ {11}jobs {2}Job \d+ of "test-user" in "linux-x86_64", hint "web": failed on "w1" after \d+\.\ds \(waited \d+\.\ds\): no$/m,
    );
    expect(cluster.scheduler.stderr).not.toContain("[INFO]");
  });
});
