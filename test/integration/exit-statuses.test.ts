/**
 * How commands of the client end: each kind of failure of docs/cluster.md, with real programs and a
 * worker that does as it is told.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FailureKind, FINE_STATUS } from "../../src/client/failure.js";
import { Cluster } from "../support/cluster.js";
import { type Ended, Program, run, stopAll } from "../support/programs.js";
import { type ScriptedJob, ScriptedWorker } from "../support/scripted-worker.js";

let cluster: Cluster;
let worker: ScriptedWorker;

beforeAll(async () => {
  cluster = await Cluster.start(["--max-job-size=100K"]);
  cluster.write("hello.spec", "((from busybox) (run (shell date)))");
  cluster.write("large.spec", `((from busybox) (run (shell "${"x".repeat(200_000)}")))`);
  cluster.write("rows.csv", "v\n1\n2\n");
  cluster.write("row.spec", "((from busybox) (run (shell {v})))");
  worker = await ScriptedWorker.connect(cluster.cap("pool-linux-x86_64"));
});

afterAll(async () => {
  await worker.close();
  await cluster.stop();
});

function start(...args: readonly string[]): Program {
  return new Program("ocluster-client", ["-q", "-c", cluster.cap("submission"), ...args]);
}

const client = (...args: readonly string[]) => start(...args).ended;

const admin = (...args: readonly string[]) =>
  run("ocluster-admin", ["-q", "-c", cluster.cap("admin"), ...args]);

const SPEC = () => `--local-file=${cluster.path("hello.spec")}`;
const POOL = "--pool=linux-x86_64";
const FINE = "--exit-codes=fine";

/** Its status and the `kind` in its last line of JSON. */
function told({ code, stdout }: Ended) {
  const { kind } = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
  return { code, kind };
}

const expected = (kind: FailureKind) => ({ code: FINE_STATUS[kind], kind });

/** How a job fails whose worker tells, in a record and as a kind. */
const CAUSES = [
  ["failed", "failed"],
  ["timeout", "timeout"],
  ["no space", "no-space"],
  ["crashed", "worker-lost"],
] as const;

it("the documented statuses are those of the source", () => {
  const page = readFileSync("docs/cluster.md", "utf8");
  const section = page.slice(page.indexOf("### Why a job failed")).split(/\n##/)[0]!;
  const rows = [...section.matchAll(/^\| `([\w-]+)` \| (\d+) \|/gm)];
  expect(Object.fromEntries(rows.map(([, kind, status]) => [kind, Number(status)]))).toEqual(
    FINE_STATUS,
  );
});

describe("an attached job", () => {
  it.each(CAUSES)("that ended as %s", async (cause, kind) => {
    for (const style of [FINE, "--exit-codes=reference"]) {
      const submitted = start("submit-obuilder", POOL, SPEC(), "--json", style);
      (await worker.popDurable()).end(cause);
      const { code } = expected(kind);
      expect(told(await submitted.ended)).toEqual({ kind, code: style === FINE ? code : 1 });
    }
  });

  it("whose worker is lost, and is one of the reference that fails", async () => {
    const lost = await ScriptedWorker.connect(cluster.cap("pool-linux-x86_64"), "lost");
    const submitted = start("submit", POOL, cluster.path("hello.spec"), "--json");
    await lost.pop();
    await lost.close();
    expect(told(await submitted.ended)).toEqual(expected("worker-lost"));
    const failed = start("submit", POOL, cluster.path("hello.spec"), "--json");
    (await worker.pop()).fail("the build");
    expect(told(await failed.ended)).toEqual(expected("failed"));
  });

  it("that is cancelled while it is queued", async () => {
    const submitted = start("submit", POOL, cluster.path("hello.spec"), "--json");
    const cancelled = async () =>
      (await admin("cancel", "--client=test-user", "--state=queued")).stdout;
    await expect.poll(cancelled, { timeout: 50_000 }).toMatch(/Cancelled 1 job/);
    expect(told(await submitted.ended)).toEqual(expected("cancelled"));
  });

  it("that is refused, or for a pool that there is not", async () => {
    const json = ["--json", FINE];
    const refused = await client(
      "submit-obuilder",
      POOL,
      `--local-file=${cluster.path("large.spec")}`,
      ...json,
    );
    expect(told(refused)).toEqual(expected("refused"));
    const nosuch = await client("submit-obuilder", "--pool=nosuch", SPEC(), ...json);
    expect(told(nosuch)).toEqual(expected("no-such-pool"));
    const broken = cluster.write("broken.cap", "not a capability");
    const ended = await run("ocluster-client", [
      "-q",
      "-c",
      broken,
      "submit-obuilder",
      POOL,
      SPEC(),
      ...json,
    ]);
    expect(told(ended)).toEqual(expected("refused"));
  });
});

/** Submits a job that is not tried again, and returns its number. */
async function detached(): Promise<string> {
  const { stdout } = await client("submit-obuilder", POOL, SPEC(), "--detach", "--lost-retries=0");
  return stdout.trim();
}

async function ended(cause: Parameters<ScriptedJob["end"]>[0]): Promise<string> {
  const id = await detached();
  (await worker.popDurable()).end(cause);
  return id;
}

describe("a durable job", () => {
  it.each(CAUSES)("that ended as %s, when it is followed and waited for", async (cause, kind) => {
    const followed = start(
      "submit-obuilder",
      POOL,
      SPEC(),
      "--durable",
      "--lost-retries=0",
      "--json",
      FINE,
    );
    (await worker.popDurable()).end(cause);
    const { code, stdout } = await followed.ended;
    expect(code).toBe(FINE_STATUS[kind]);
    const { cause: recorded, id } = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
    expect(recorded).toBe(cause);
    expect((await client("wait", String(id))).code).toBe(FINE_STATUS[kind]);
    // Its log is there, which is all that was asked for.
    expect((await client("logs", String(id))).code).toBe(0);
    expect((await client("job", String(id))).code).toBe(0);
  });

  it("that was cancelled, and several that ended in one way, or in more", async () => {
    const cancelled = await detached();
    expect((await client("cancel", cancelled)).code).toBe(0);
    expect((await client("wait", cancelled)).code).toBe(FINE_STATUS.cancelled);
    const [one, other] = [await ended("timeout"), await ended("timeout")];
    expect((await client("wait", one, other)).code).toBe(FINE_STATUS.timeout);
    expect((await client("wait", one, cancelled)).code).toBe(FINE_STATUS.failed);
  });

  it("that does not end in time", async () => {
    const id = await detached();
    const waited = await client("wait", id, "--timeout=0.1s", "--json");
    expect(told(waited)).toEqual(expected("timeout"));
    await client("cancel", id);
  });

  it("that there is not", async () => {
    for (const command of ["job", "logs", "wait", "cancel", "retry", "outputs"]) {
      const { code, kind } = told(await client(command, "4711", "--json"));
      expect([command, code, kind]).toEqual([command, FINE_STATUS.refused, "refused"]);
    }
    const fetched = await client("fetch", "4711", "--json", `--to=${cluster.path("files")}`);
    expect(told(fetched)).toEqual(expected("refused"));
    expect((await admin("cancel", "4711")).code).toBe(FINE_STATUS.refused);
    expect((await admin("job", "4711")).code).toBe(FINE_STATUS.refused);
  });

  it("that cannot be tried again", async () => {
    const id = await detached();
    (await worker.popDurable()).succeed("done");
    await client("wait", id);
    expect(told(await client("retry", id, "--json"))).toEqual(expected("refused"));
  });
});

describe("a batch", () => {
  const batch = (...args: readonly string[]) =>
    start(
      "batch",
      `--spec=${cluster.path("row.spec")}`,
      `--each=${cluster.path("rows.csv")}`,
      ...args,
    );

  it("whose rows fail, and that is cancelled", async () => {
    const failing = batch(POOL, "--name=fails");
    for (let row = 0; row < 2; row++) (await worker.popDurable()).end("failed");
    expect((await failing.ended).code).toBe(FINE_STATUS.failed);
    expect((await client("batch", "watch", "fails")).code).toBe(FINE_STATUS.failed);
    const cancelled = batch(POOL, "--name=cancelled");
    const job = await worker.popDurable();
    expect((await client("batch", "cancel", "cancelled")).code).toBe(0);
    job.end("failed");
    expect((await cancelled.ended).code).toBe(FINE_STATUS.cancelled);
  });

  it("that there is not, and a pool that there is not", async () => {
    expect(told(await client("batch", "show", "nosuch", "--json"))).toEqual(expected("refused"));
    const ended = await batch("--pool=nosuch", "--json").ended;
    expect(told(ended)).toEqual(expected("no-such-pool"));
  });
});

it("a scheduler that is lost, or not there", async () => {
  const submitted = start("submit", POOL, cluster.path("hello.spec"), "--json");
  await worker.pop();
  await cluster.scheduler.stop("SIGKILL");
  expect(told(await submitted.ended)).toEqual(expected("scheduler-lost"));
  const commands = [
    ["submit-obuilder", POOL, SPEC(), FINE],
    ["submit-obuilder", POOL, SPEC(), FINE, "--detach"],
    ["wait", "1"],
    ["job", "1"],
    ["jobs"],
    ["logs", "1"],
    ["cancel", "1"],
    ["retry", "1"],
    ["pools"],
    ["batch", "list"],
    ["batch", "show", "fails"],
  ];
  for (const command of commands) {
    const { code, kind } = told(await client(...command, "--json"));
    expect([command[0], code, kind]).toEqual([
      command[0],
      FINE_STATUS["scheduler-lost"],
      "scheduler-lost",
    ]);
  }
  await stopAll();
});
