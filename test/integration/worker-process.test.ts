/**
 * The worker as a process: how it is started, told to stop, and supervised.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";
import { Program, run } from "../support/programs.js";
import { ServiceManager } from "../support/service-manager.js";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start();
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(cluster.path("images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
  );
});

afterAll(() => cluster?.stop());

/** Arguments of a worker that builds specs; its store is `name`'s own. */
const specArgs = (name: string) => [
  `--obuilder-store=overlayfs:${cluster.path(`store-${name}`)}`,
  `--obuilder-image-dir=${cluster.path("images")}`,
  "--obuilder-fetch=local",
  "--obuilder-prune-threshold=0",
];

/** A spec with one step, which says that it has begun and then does the rest. */
function specOf(word: string, rest: string): string {
  const step = `echo ${word}-begun; ${rest}`;
  const spec = `((from busybox) (shell /bin/sh -c) (run (shell "${step}")))`;
  return cluster.write(`${word}.spec`, spec);
}

const endless = (word: string) => specOf(word, "exec sleep 1000000");
const short = (word: string) => specOf(word, `sleep 1; echo ${word}-ended`);

async function begun(client: Program, word: string): Promise<void> {
  await client.sees("stdout", new RegExp(`^${word}-begun$`, "m"));
}

describe("SIGTERM", () => {
  it("cancels the running jobs, and ends the worker well", async () => {
    const worker = await cluster.worker("term", specArgs("term"));
    const client = cluster.submitSpec(endless("term"));
    await begun(client, "term");
    const { code } = await worker.stop("SIGTERM");
    expect(code).toBe(0);
    const { stdout, code: clientCode } = await client.ended;
    expect(stdout).toContain("Job cancelled\n");
    expect(clientCode).toBe(1);
    expect(readdirSync(cluster.path("worker-term/tmp"))).toEqual([]);
  });

  it("lets them finish, if so wished", async () => {
    const worker = await cluster.worker("drain", [...specArgs("drain"), "--drain-on-sigterm"]);
    const client = cluster.submitSpec(short("drain"));
    await begun(client, "drain");
    expect((await worker.stop("SIGTERM")).code).toBe(0);
    const { code, stdout } = await client.ended;
    expect(stdout).toContain("drain-ended\n");
    expect(stdout).toContain("Job succeeded\n");
    expect(code).toBe(0);
  });

  it("cancels them after all when it comes again", async () => {
    const worker = await cluster.worker("twice", [...specArgs("twice"), "--drain-on-sigterm"]);
    const client = cluster.submitSpec(endless("twice"));
    await begun(client, "twice");
    worker.signal("SIGTERM");
    await worker.sees("stderr", /will finish the running jobs/);
    expect((await worker.stop("SIGTERM")).code).toBe(0);
    expect((await client.ended).stdout).toContain("Job cancelled\n");
  });
});

describe("a worker for one job", () => {
  it("ends after it", async () => {
    const worker = await cluster.worker("once", [...specArgs("once"), "--once"]);
    expect((await cluster.submitSpec(short("once")).ended).code).toBe(0);
    expect((await worker.ended).code).toBe(0);
  });
});

describe("a state directory", () => {
  it("is left to the worker that has it, until that is gone, however it went", async () => {
    const args = specArgs("locked");
    const first = await cluster.worker("locked", args);
    const job = cluster.submitSpec(endless("locked"));
    await begun(job, "locked");
    const second = new Program("ocluster-worker", [
      `--connect=${cluster.cap("pool-linux-x86_64")}`,
      "--name=other",
      `--state-dir=${cluster.path("worker-locked")}`,
      ...specArgs("other"),
    ]);
    expect((await second.ended).code).toBe(1);
    expect(second.stderr).toMatch(
      /The state directory ".*worker-locked" is in use by another worker\. Stop that one, or/,
    );
    // It has not ended what runs there.
    expect(first.stderr).not.toContain("Job failed");
    await first.stop("SIGKILL");
    expect((await job.ended).code).toBe(1);
    const third = await cluster.worker("locked", args);
    expect((await third.stop()).code).toBe(0);
  });
});

describe("an update", () => {
  it("ends the worker with a status that has it started anew", async () => {
    const args = [...specArgs("update"), "--update-mode=restart"];
    const worker = await cluster.worker("update", args);
    const updating = run("ocluster-admin", [
      "-c",
      cluster.cap("admin"),
      "update",
      "linux-x86_64",
      "update",
    ]);
    expect((await worker.ended).code).toBe(1);
    const again = await cluster.worker("update", args);
    expect(await updating).toMatchObject({ code: 0, stdout: expect.stringContaining("Restarted") });
    await again.stop();
  });
});

describe("a scheduler that goes away", () => {
  it("takes the running jobs with it, and is found again", async () => {
    const worker = await cluster.worker("alone", specArgs("alone"));
    const client = cluster.submitSpec(endless("alone"));
    await begun(client, "alone");
    await cluster.scheduler.stop("SIGKILL");
    expect(await client.ended).toMatchObject({ code: 1 });
    await worker.sees("stderr", /Job cancelled/);
    await worker.sees("stderr", /Lost connection to scheduler \(.*\)\. Will retry in [\d.]+s…/);
    expect(readdirSync(cluster.path("worker-alone/tmp"))).toEqual([]);
    worker.stderr = "";
    await cluster.restartScheduler();
    await worker.sees("stderr", /Requesting a new job/);
    expect((await cluster.submitSpec(short("alone")).ended).code).toBe(0);
    await worker.stop();
  });
});

describe("a worker that is killed in a step with a secret", () => {
  it("leaves no process, mount, secret or context once it is started again", async () => {
    const args = specArgs("killed");
    const worker = await cluster.worker("killed", args);
    const secret = cluster.write("a-secret", "hunter2-of-the-job");
    const step = "echo killed-begun; wc -c < /run/secrets/key; exec sleep 765432";
    const spec = `((from busybox) (shell /bin/sh -c) (run (secrets (key (target /run/secrets/key))) (shell "${step}")))`;
    const client = cluster.submitSpec(cluster.write("killed.spec", spec), [
      `--secret=key:${secret}`,
    ]);
    await client.sees("stdout", /^18$/m);
    const holders = () =>
      grep("hunter2-of-the-job", cluster.path("store-killed"), cluster.path("worker-killed"));
    expect(holders()).not.toBe("");
    await worker.stop("SIGKILL");
    expect((await client.ended).code).toBe(1);
    const again = await cluster.worker("killed", args);
    expect(execFileSync("ps", ["-eo", "args"], { encoding: "utf8" })).not.toContain("sleep 765432");
    expect(holders()).toBe("");
    expect(readFileSync("/proc/self/mounts", "utf8")).not.toContain(cluster.path("store-killed"));
    expect(readdirSync(cluster.path("worker-killed/tmp"))).toEqual([]);
    expect((await cluster.submitSpec(short("killed")).ended).code).toBe(0);
    await again.stop();
  });
});

/** The files below `directories` with this text, one a line. */
function grep(text: string, ...directories: string[]): string {
  return spawnSync("grep", ["-rlF", text, ...directories], { encoding: "utf8" }).stdout;
}

describe("the command line", () => {
  it("takes all that the reference's takes, in its ways", async () => {
    const worker = new Program(
      "ocluster-worker",
      [
        cluster.cap("pool-linux-x86_64"),
        ...["--name", "options", "--capacity", "3"],
        `--state-dir=${cluster.path("worker-options")}`,
        "--allow-push=org/staging,org/other",
        "--prune-threshold=0",
        "--docker-max-df-size=1000.5",
        "--additional-metrics=a:http://127.0.0.1:1/metrics,b:http://127.0.0.1:2/",
        ...specArgs("options"),
        ...["--obuilder-prune-limit=10", "--obuilder-healthcheck=0", "--fast-sync"],
        ...["--docker-cpus=1.5", "--docker-memory=1g", "--docker-network=host"],
        ...["--qemu-cpus=2", "--qemu-memory=2", "--qemu-guest-os=linux", "--qemu-boot-time=30"],
        "--verbosity=info",
      ],
      // So that no engine of the host is meddled with.
      { env: { DOCKER_HOST: `unix://${cluster.path("no-engine.sock")}` } },
    );
    await worker.sees("stderr", /Requesting a new job… \(0 running\)/);
    expect(await cluster.show()).toMatch(/options/);
    expect((await worker.stop()).code).toBe(0);
  });

  it.each([
    [["--name=x"], "--state-dir"],
    [["--name=x", "--state-dir=/nonexistent/dir", "--capacity=none"], "option '--capacity'"],
    [["--name=x", "--state-dir=/nonexistent/dir", "--job-weight=nonsense"], "expected REGEX=N"],
    [["--name=x", "--state-dir=/nonexistent/dir", "--job-weight=(=2"], "option '--job-weight'"],
    [["--name=x", "--state-dir=/nonexistent/dir", "--prune-threshold=101"], "percentage"],
    [
      ["--name=x", "--state-dir=/nonexistent/dir", "--additional-metrics=a:http://h/,a:http://i/"],
      "the name 'a' is given twice",
    ],
  ])("says what is wrong with %j", async (args, message) => {
    const cap = `--connect=${cluster.cap("pool-linux-x86_64")}`;
    const { code, stderr } = await run("ocluster-worker", [cap, ...args]);
    expect(stderr).toContain(message);
    expect(code).toBe(124);
  });
});

describe("readiness", () => {
  it("is told to the service manager that asks for it, as is the end", async () => {
    const manager = new ServiceManager(cluster.dir);
    const worker = await cluster.worker("notify", [], manager.env);
    await manager.hears("READY=1");
    await worker.stop("SIGTERM");
    await manager.hears("STOPPING=1");
    expect(manager.messages).toEqual([
      `--pid=${worker.pid} READY=1`,
      `--pid=${worker.pid} STOPPING=1`,
    ]);
  });
});

describe("what cannot work", () => {
  it("is a store of an unknown kind", async () => {
    const worker = cluster.startWorker("bad", ["--obuilder-store=floppy:/disk"]);
    const { code, stderr } = await worker.ended;
    expect(stderr).toContain('"floppy:/disk" is not a store');
    expect(code).not.toBe(0);
  });

  it("is a store without a base image for its self-test", async () => {
    mkdirSync(cluster.path("no-images"));
    const worker = cluster.startWorker("empty", [
      `--obuilder-store=overlayfs:${cluster.path("store-empty")}`,
      `--obuilder-image-dir=${cluster.path("no-images")}`,
      "--obuilder-fetch=local",
    ]);
    const { code, stderr } = await worker.ended;
    expect(stderr).toContain("Initial OBuilder healthcheck failed: ");
    expect(code).toBe(1);
  });

  it("is taken already, which the worker says without being asked to be verbose", async () => {
    const first = await cluster.worker("taken", []);
    const second = new Program("ocluster-worker", [
      `--connect=${cluster.cap("pool-linux-x86_64")}`,
      "--name=taken",
      `--state-dir=${cluster.path("worker-taken-2")}`,
    ]);
    await second.sees("stderr", /Another worker called "taken" is connected to that pool\. Stop/);
    await second.stop();
    await first.stop();
  });

  it.each([
    [
      "port",
      (uri: string) => uri.replace(/:\d+\//, ":1/"),
      /no way to the scheduler that ".*" names\. Is it running/,
    ],
    [
      "kind of capability",
      () => cluster.read("capnp-secrets/admin.cap").trim(),
      /The capability in ".*" is not for workers\. Replace/,
    ],
    [
      "secret",
      (uri: string) => `${uri.slice(0, -4)}AAAA`,
      /does not know the secret in ".*"\. Replace/,
    ],
    [
      "fingerprint",
      (uri: string) => uri.replace(/sha-256:..../, "sha-256:AAAA"),
      /is not the one that the file was made for/,
    ],
  ])("is a wrong %s, about which the worker says what to do", async (_what, alter, advice) => {
    const good = cluster.read("capnp-secrets/pool-linux-x86_64.cap").trim();
    const cap = cluster.write("capnp-secrets/altered.cap", `${alter(good)}\n`);
    const worker = new Program("ocluster-worker", [
      `--connect=${cap}`,
      "--name=altered",
      `--state-dir=${cluster.path("worker-altered")}`,
      "--verbose",
    ]);
    await worker.sees("stderr", /Lost connection to scheduler \(.*\)\. Will retry in [\d.]+s…/);
    await worker.sees("stderr", advice);
    expect((await worker.stop("SIGTERM")).code).toBe(0);
  });
});
