/**
 * What `ocluster-client` prints and how it ends, with a real scheduler and a worker that does as it
 * is told.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { type Ended, Program, run } from "../support/programs.js";
import { ScriptedWorker } from "../support/scripted-worker.js";

const POOL = "linux-x86_64";
const HASH = "ac619d2083bb15e0c408e4cd0e3ef7135670cfd5";

let cluster: Cluster;
let worker: ScriptedWorker;

beforeAll(async () => {
  cluster = await Cluster.start();
  cluster.write("hello.spec", "((from busybox) (run (shell date)))");
  cluster.write("Dockerfile", "FROM busybox\n");
});

afterEach(() => worker?.close());
afterAll(() => cluster.stop());

function client(command: string, ...args: readonly string[]): Program {
  return new Program(
    "ocluster-client",
    [command, "-c", cluster.cap("submission"), `--pool=${POOL}`, ...args],
    { cwd: cluster.dir },
  );
}

const obuilder = (...args: readonly string[]) =>
  client("submit-obuilder", "--local-file=hello.spec", ...args);

describe("a job", () => {
  it("that succeeds: its log as it comes, then the result", async () => {
    worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
    const program = obuilder("--cache-hint=tutorial", "--urgent");
    const job = await worker.pop();
    expect(job.descr).toMatchObject({
      action: { kind: "obuilder", spec: "((from busybox) (run (shell date)))" },
      cacheHint: "tutorial",
    });
    job.write("Building on w1\n");
    await program.sees("stdout", /^Tailing log:\nBuilding on w1\n$/);
    job.write("Job succeeded\n");
    job.succeed("the-layer");
    const { code, stdout, stderr } = await program.ended;
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'Tailing log:\nBuilding on w1\nJob succeeded\nResult: "the-layer"\n',
    });
    expect(stderr).toBe(`Connecting to tcp:127.0.0.1:${cluster.port}... OK\n`);
  });

  it("that has no result says nothing of it", async () => {
    worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
    const program = obuilder("--quiet");
    (await worker.pop()).succeed("");
    expect(await program.ended).toMatchObject({ code: 0, stdout: "Tailing log:\n", stderr: "" });
  });

  it("that fails: the reason, and status 1", async () => {
    worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
    const program = obuilder();
    const job = await worker.pop();
    job.write("no such file\n");
    job.fail("Build \u202efailed\u001b[2J");
    const { code, stdout } = await program.ended;
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: "Tailing log:\nno such file\nFailed: Build \\u{202e}failed\\x1b[2J.\n",
    });
  });

  it("is reported to programs as JSON, and its log to a file", async () => {
    worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
    const program = obuilder("--json", "--log-file=job.log");
    const job = await worker.pop();
    job.write(Uint8Array.of(0xff, 0x00, 0x0a));
    job.succeed("x");
    expect(await program.ended).toMatchObject({ code: 0, stdout: '{"ok":true,"output":"x"}\n' });
    expect([...readFileSync(cluster.path("job.log"))]).toEqual([0xff, 0x00, 0x0a]);
    const again = obuilder("--json");
    (await worker.pop()).fail("Build failed");
    expect(await again.ended).toMatchObject({
      code: 1,
      stdout: '{"ok":false,"kind":"failed","reason":"Build failed"}\n',
    });
  });
});

describe("what is submitted", () => {
  it("a Docker build with everything", async () => {
    worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
    cluster.write("password", "s3cret\nmore\n");
    writeFileSync(cluster.path("token"), Uint8Array.of(0x00, 0xff, 0x0a));
    const program = client(
      "submit-docker",
      "--local-dockerfile=Dockerfile",
      "--push-to=org/image:tag",
      "--push-user=me",
      "--push-password=password",
      "--build-arg=A=1",
      "--build-arg=B=2",
      "--squash",
      "--buildkit",
      "--include-git",
      "--secret=tok:token",
      "https://host/repo.git",
      HASH,
    );
    const job = await worker.pop();
    job.succeed("");
    await program.ended;
    expect(job.descr).toEqual({
      action: {
        kind: "docker",
        dockerfile: { contents: "FROM busybox\n" },
        push: { target: "org/image:tag", auth: { user: "me", password: "s3cret" } },
        buildArgs: ["A=1", "B=2"],
        squash: true,
        buildkit: true,
        includeGit: true,
      },
      cacheHint: "",
      source: { repository: "https://host/repo.git", commits: [HASH] },
      // A byte that is no UTF-8 is kept as a byte string has it.
      secrets: [{ id: "tok", value: "\u0000\udcff\n" }],
    });
  });

  it("the Dockerfile of the context, by default", async () => {
    worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
    const program = client("submit-docker", "https://host/repo.git", HASH);
    const job = await worker.pop();
    job.succeed("");
    await program.ended;
    expect(job.descr.action).toMatchObject({ dockerfile: { path: "Dockerfile" }, squash: false });
  });
});

describe("what cannot be", () => {
  const refused = (...args: readonly string[]): Promise<Ended> =>
    run(
      "ocluster-client",
      ["submit-docker", "-c", cluster.cap("submission"), `--pool=${POOL}`, ...args],
      { cwd: cluster.dir },
    );

  it("two Dockerfiles", async () => {
    const ended = await refused("--local-dockerfile=Dockerfile", "--context-dockerfile=x");
    expect(ended.code).toBe(124);
    expect(ended.stderr).toContain(
      "Can't use --local-dockerfile and --context-dockerfile together!",
    );
  });

  it("a repository without a commit", async () => {
    const ended = await refused("https://host/repo.git");
    expect(ended).toMatchObject({
      code: 1,
      stderr: 'No commits requested from repository "https://host/repo.git"!\n',
    });
  });

  it("an account without a place to push to", async () => {
    expect((await refused("--push-user=me")).code).toBe(124);
  });

  it("a pool that does not exist", async () => {
    const ended = await run("ocluster-client", [
      "submit-obuilder",
      "-c",
      cluster.cap("submission"),
      "--pool=nope",
      `--local-file=${cluster.path("hello.spec")}`,
    ]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(`Failed: Pool ID "nope" not one of {${POOL}}`);
  });

  it("a capability for something else", async () => {
    const ended = await run("ocluster-client", [
      "submit-obuilder",
      ...["-c", cluster.cap("admin"), `--pool=${POOL}`],
      `--local-file=${cluster.path("hello.spec")}`,
    ]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(
      "is for something else; use one that `ocluster-admin add-client` has printed.",
    );
  });
});

describe("exit statuses", () => {
  it.each([
    [["--exit-codes=fine", "--pool=nope"], 13],
    [["--pool=nope"], 1],
    [["--exit-codes=fine", "--detach", "--pool=nope"], 13],
  ])("%j: %i", async (args, code) => {
    const words = ["-c", cluster.cap("submission"), "--local-file=hello.spec", ...args];
    const cwd = cluster.dir;
    expect(await run("ocluster-client", ["submit-obuilder", ...words], { cwd })).toMatchObject({
      code,
    });
  });

  it("tell a lost worker from a failed build", async () => {
    worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
    const failed = obuilder("--exit-codes=fine");
    (await worker.pop()).fail("Build failed");
    expect((await failed.ended).code).toBe(1);
    const lost = obuilder("--exit-codes=fine", "--json");
    await worker.pop();
    await worker.close();
    expect((await lost.ended).code).toBe(10);
  });

  it("tell a secret that is not known, and a scheduler that is not there", async () => {
    const uri = readFileSync(cluster.cap("submission"), "utf8");
    cluster.write("secret.cap", uri.replace(/[^/]*$/, "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    cluster.write("nobody.cap", uri.replace(/:\d+\//, ":1/"));
    const args = [`--pool=${POOL}`, "--local-file=hello.spec", "--exit-codes=fine"];
    const cwd = cluster.dir;
    const [secret, nobody] = await Promise.all(
      ["secret.cap", "nobody.cap"].map((cap) =>
        run("ocluster-client", ["submit-obuilder", "-c", cap, ...args], { cwd }),
      ),
    );
    expect(secret).toMatchObject({
      code: 12,
      stderr: expect.stringContaining("`ocluster-admin add-client NAME` prints a client's."),
    });
    expect(nobody).toMatchObject({
      code: 11,
      stderr: expect.stringContaining("Is the scheduler running at that address"),
    });
  });
});

describe("a log file that cannot be written", () => {
  it.each([
    ["/nonexistent/log", "no such file or directory"],
    ["/dev/full", "no space left on device"],
  ])("%s", async (file, why) => {
    worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
    const program = obuilder(`--log-file=${file}`);
    const taken = worker.pop();
    if (file === "/dev/full") (await taken).write("something\n");
    else taken.catch(() => {});
    const { code, stderr } = await program.ended;
    expect(code).toBe(123);
    expect(stderr).toContain(`Cannot write the job's log to "${file}" (--log-file): ${why}.\n`);
    expect(stderr).toContain("without --log-file the log goes to standard output.");
  });
});

describe("who goes away", () => {
  it("an interrupted client cancels its job and dies of the signal", async () => {
    worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
    const program = obuilder();
    const job = await worker.pop();
    job.write("started\n");
    await program.sees("stdout", /started/);
    const ended = await program.stop("SIGINT");
    expect(ended.signal).toBe("SIGINT");
    expect(ended.stderr).toContain("Interrupted: cancelling the job.");
    await job.cancelled.promise;
    job.fail("Build cancelled");
  });

  it("a client that is killed cancels its job", async () => {
    worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
    const program = obuilder();
    const job = await worker.pop();
    job.write("started\n");
    await program.sees("stdout", /started/);
    await program.stop("SIGKILL");
    await job.cancelled.promise;
    job.fail("Build cancelled");
  });

  it("a worker that is lost is told of, with status 1", async () => {
    worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
    const program = obuilder();
    const job = await worker.pop();
    job.write("started\n");
    await program.sees("stdout", /started/);
    await worker.close();
    const { code, stderr } = await program.ended;
    expect(code).toBe(1);
    expect(stderr).toContain("Lost the worker that ran the job: Disconnected: ");
  });

  it("a worker that is lost is a result for programs", async () => {
    worker = await ScriptedWorker.connect(cluster.cap(`pool-${POOL}`));
    const program = obuilder("--json");
    await worker.pop();
    await worker.close();
    const { code, stdout } = await program.ended;
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      ...{ ok: false, kind: "worker-lost" },
      reason: expect.any(String),
    });
  });

  it("so is a job that is refused", async () => {
    const args = ["-c", cluster.cap("submission"), "--pool=nope", "--local-file=hello.spec"];
    const { code, stdout, stderr } = await new Program(
      "ocluster-client",
      ["submit-obuilder", "--json", ...args],
      { cwd: cluster.dir },
    ).ended;
    expect(code).toBe(1);
    const reason = 'Pool ID "nope" not one of {linux-x86_64}';
    expect(JSON.parse(stdout)).toEqual({ ok: false, kind: "no-such-pool", reason });
    expect(stderr).toContain(`Error tailing logs: Failed: ${reason}`);
  });

  it("a scheduler that ends is told of, with status 1", async () => {
    const program = obuilder();
    await program.sees("stdout", /Tailing log:/);
    await expect.poll(() => cluster.show()).toContain("test-user");
    await cluster.scheduler.stop("SIGTERM");
    const { code, stderr } = await program.ended;
    expect(code).toBe(1);
    expect(stderr).toContain("Lost connection to the scheduler: Disconnected: ");
    await cluster.restartScheduler();
  });
});
