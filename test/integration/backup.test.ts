/**
 * `ocluster-admin backup` and `ocluster-scheduler --restore` with the real programs: a cluster is
 * lost, and had again.
 */
import { existsSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { LoopDisk } from "../support/loop-disk.js";
import { Program, run } from "../support/programs.js";
import { ScriptedWorker } from "../support/scripted-worker.js";

let cluster: Cluster;

/** Only what hangs takes so long. */
const PATIENCE = { timeout: 50_000 };

beforeEach(async () => {
  cluster = await Cluster.start(["--default-clients=bob"]);
  cluster.write("hello.spec", "((from busybox) (run (shell date)))");
});

afterEach(() => cluster.stop());

const client = (...args: readonly string[]) =>
  run("ocluster-client", ["-q", "-c", cluster.cap("submission"), ...args]);

const backup = (directory: string, ...args: readonly string[]) =>
  run("ocluster-admin", ["-q", "-c", cluster.cap("admin"), "backup", directory, ...args]);

async function submit(): Promise<string> {
  const spec = `--local-file=${cluster.path("hello.spec")}`;
  const submitted = await client("submit-obuilder", "--pool=linux-x86_64", spec, "--detach");
  expect(submitted).toMatchObject({ code: 0, stderr: "" });
  return submitted.stdout.trim();
}

async function jobs(): Promise<Record<string, string>> {
  const { stdout } = await client("jobs", "--json");
  const lines = stdout.trimEnd().split("\n");
  return Object.fromEntries(
    lines.map((line) => JSON.parse(line)).map(({ id, state }) => [id, state]),
  );
}

it("a cluster that is lost is had again, with its jobs, keys and capability files", async () => {
  const worker = await ScriptedWorker.connect(cluster.cap("pool-linux-x86_64"));
  const done = await submit();
  const job = await worker.pop();
  job.write("what it said\n");
  job.succeed("the-result");
  expect((await client("wait", done)).code).toBe(0);
  const running = await submit();
  (await worker.pop()).write("half of it\n");
  const follower = new Program("ocluster-client", [
    ...["-q", "-c", cluster.cap("submission")],
    ...["logs", running, "-f"],
  ]);
  await follower.sees("stdout", /half of it/);
  await follower.stop();
  const queued = await submit();

  const made = cluster.path("backup");
  expect(await backup(made)).toMatchObject({ code: 0, stderr: "" });
  expect(readdirSync(made).sort()).toEqual(
    ["backup.jsonl", "capnp-secrets", "job-logs", "jobs.db", "key.pem", "scheduler.db"].sort(),
  );
  expect(readdirSync(join(made, "capnp-secrets"))).toContain("submit-bob.cap");
  expect(await backup(made)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/exists already: a backup is made in a new directory/),
  });
  const after = await submit();

  // The scheduler's machine is gone; workers and clients have their capability files.
  await cluster.scheduler.stop("SIGKILL");
  await worker.close();
  const secrets = cluster.path("capnp-secrets");
  for (const name of ["key.pem", "admin.cap", "submit-bob.cap"]) rmSync(join(secrets, name));
  rmSync(cluster.path("scheduler"), { recursive: true });

  const restore = () =>
    run("ocluster-scheduler", [
      `--capnp-secret-key-file=${join(secrets, "key.pem")}`,
      `--capnp-listen-address=tcp:127.0.0.1:${cluster.port}`,
      `--state-dir=${cluster.path("scheduler")}`,
      `--secrets-dir=${secrets}`,
      "--pools=linux-x86_64",
      `--restore=${made}`,
    ]);
  expect(await restore()).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^Restored the backup of .*Now start the scheduler/),
  });
  expect(await restore()).toMatchObject({
    code: 123,
    stderr: expect.stringMatching(/There is a scheduler's state in .* already/),
  });
  expect(existsSync(join(secrets, "submit-bob.cap"))).toBe(true);
  await cluster.restartScheduler();

  // What it knew at that time, and nothing of later.
  expect(await jobs()).toEqual({ [done]: "succeeded", [running]: "queued", [queued]: "queued" });
  expect((await client("logs", done)).stdout).toBe("what it said\n");
  expect((await client("logs", after)).code).toBe(12);
  // A worker of the reference loses its jobs with its connection: that attempt was lost.
  const back = await ScriptedWorker.connect(cluster.cap("pool-linux-x86_64"));
  for (const id of [running, queued]) {
    (await back.pop()).succeed("again");
    expect((await client("wait", id)).code).toBe(0);
  }
  const { stdout } = await client("job", running, "--json");
  expect(JSON.parse(stdout).attempts).toMatchObject([
    { worker: "w1", outcome: "lost" },
    { worker: "w1", outcome: "succeeded" },
  ]);
  await back.close();
});

it("a disk that is full, and one who is interrupted, leave nothing of it", async () => {
  const disk = new LoopDisk("tmpfs", cluster.path("small"), "40k");
  try {
    const made = join(disk.path, "backup");
    expect(await backup(made)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/There is no room for the backup in ".*small"/),
    });
    expect(readdirSync(disk.path)).toEqual([]);
  } finally {
    disk.remove();
  }
  expect((await backup(cluster.path("nonexist/backup"))).stderr).toMatch(
    /Cannot make a backup there/,
  );
  // More than can be written before it is interrupted.
  truncateSync(cluster.write("scheduler/job-logs/000099", ""), 2 * 1024 ** 3);
  const begun = () => readdirSync(cluster.dir).filter((name) => name.startsWith("interrupted"));
  const interrupted = new Program("ocluster-admin", [
    ...["-q", "-c", cluster.cap("admin")],
    ...["backup", cluster.path("interrupted")],
  ]);
  await expect.poll(begun, PATIENCE).not.toEqual([]);
  interrupted.signal("SIGINT");
  expect(await interrupted.ended).toMatchObject({ signal: "SIGINT" });
  expect(begun()).toEqual([]);
  const copies = () => readdirSync(cluster.path("scheduler")).filter((name) => /new$/.test(name));
  await expect.poll(copies, PATIENCE).toEqual([]);
});

it("a scheduler that gives none says so", async () => {
  const other = await Cluster.start(["--no-backups"]);
  try {
    const made = await run("ocluster-admin", [
      ...["-q", "-c", other.cap("admin")],
      ...["backup", other.path("backup")],
    ]);
    expect(made).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/makes no backups over the network \(--no-backups/),
    });
    expect(existsSync(other.path("backup"))).toBe(false);
  } finally {
    rmSync(other.dir, { recursive: true, force: true });
    await other.scheduler.stop();
  }
});
