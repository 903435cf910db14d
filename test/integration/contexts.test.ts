/**
 * Local directories to build from, through all four real programs: sent with `--context`, kept by
 * the scheduler, fetched by a worker, built as specs and as Dockerfiles.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { DockerEngine, Registry } from "../support/docker-engine.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";
import { Program } from "../support/programs.js";

let cluster: Cluster;
let engine: DockerEngine;
let registry: Registry;
let busybox: string;
let worker: Program;

const startWorker = () =>
  cluster.worker(
    "my-host",
    [
      "--docker-network=none",
      `--obuilder-store=overlayfs:${cluster.path("store")}`,
      `--obuilder-image-dir=${cluster.path("images")}`,
      "--obuilder-fetch=local",
      "--obuilder-prune-threshold=0",
    ],
    { DOCKER_HOST: `unix://${engine.socket}` },
  );

beforeAll(async () => {
  engine = await DockerEngine.start();
  registry = await Registry.start();
  busybox = `${registry.host}/busybox:1`;
  await engine.pushBusybox(busybox);
  cluster = await Cluster.start();
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(cluster.path("images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
  );
  worker = await startWorker();
});

afterAll(async () => {
  await cluster?.stop();
  await registry?.stop();
  await engine?.stop();
});

/** Writes a file of the directory `tree`. */
function write(path: string, text: string): string {
  const at = cluster.path(`tree/${path}`);
  mkdirSync(dirname(at), { recursive: true });
  writeFileSync(at, text);
  return at;
}

/** A command of a client, in the cluster's directory. */
function client(...args: readonly string[]): Program {
  return new Program("ocluster-client", args, {
    cwd: cluster.dir,
    env: { OCLUSTER_CAP: cluster.cap("submission"), XDG_CACHE_HOME: cluster.path("cache") },
  });
}

const submitSpec = (...args: readonly string[]) =>
  client("submit-obuilder", "--local-file=a.spec", "--context=tree", ...args).ended;
const submitDocker = (...args: readonly string[]) =>
  client("submit-docker", "--context=tree", ...args).ended;

/** What is in /src, as `LIST` prints it. */
const LIST =
  "cd /src && find . | sort && for f in $(find . -type f | sort); do echo $f: $(cat $f); done";

describe("a local directory", () => {
  it("is what a spec copies: files, modes, times and links, without what is left out", async () => {
    rmSync(cluster.path("tree"), { recursive: true, force: true });
    utimesSync(write("a.txt", "one\n"), 1_000_000_000, 1_000_000_000);
    chmodSync(write("bin/run", "#!/bin/sh\necho run\n"), 0o755);
    symlinkSync("/etc/passwd", cluster.path("tree/away"));
    write("build/x.o", "object");
    write(".git/config", "[core]");
    write(".dockerignore", "build\n");
    cluster.write(
      "a.spec",
      `((from busybox) (shell /bin/sh -c) (copy (src .) (dst /src)) (run (shell "${LIST}; /src/bin/run; readlink /src/away")))`,
    );
    const { code, stderr, stdout } = await submitSpec();
    expect(code, stdout + stderr).toBe(0);
    expect(stderr).toMatch(/^Build context: 3 files .*; sending 3/m);
    expect(stdout).toMatch(
      /\n\.\n\.\/\.dockerignore\n\.\/a\.txt\n\.\/away\n\.\/bin\n\.\/bin\/run\n/,
    );
    expect(stdout).toContain("./a.txt: one\n");
    expect(stdout).toContain("\nrun\n/etc/passwd\n");
    expect(stdout).toMatch(/Local directory: 3 files \(.*\), of which 3 \(.*\) were not here/);
    // Its layers depend on what is in it alone: not on times, and not on who has it where.
    execFileSync("cp", ["-r", cluster.path("tree"), cluster.path("copy")]);
    const again = await client("submit-obuilder", "--local-file=a.spec", "--context=copy").ended;
    expect(again.code).toBe(0);
    expect(again.stdout.match(/---> using "[0-9a-f]+" from cache/g), again.stdout).toHaveLength(3);
    const all = await submitSpec(
      "--include-git",
      `--ignore-file=${cluster.write("ignore", "bin")}`,
    );
    expect(all.stdout).toMatch(/\.\/\.git\/config: \[core\]/);
    expect(all.stdout).toMatch(/\.\/build\/x\.o: object/);
    expect(all.stdout).not.toMatch(/\.\/bin/);
  });

  it("is sent as far as it has changed, and not at all when it has not", async () => {
    for (let i = 0; i < 500; i++) write(`many/${i}`, `content ${i}\n`);
    const first = await submitSpec();
    expect(first.stderr).toMatch(/^Build context: 503 files .*; sending 500 /m);
    const second = await submitSpec();
    expect(second.stderr).toMatch(/^Build context: 503 files .*, all there already\.$/m);
    write("many/250", "other\n");
    const third = await submitSpec();
    expect(third.stderr).toMatch(/; sending 1 \(6 B\)\.$/m);
    expect(third.stdout).toMatch(/of which 1 \(6 B\) were not here already/);
    expect(third.stdout).toContain("./many/250: other\n");
  });

  it.each([
    ["the classic builder", []],
    ["BuildKit", ["--buildkit"]],
  ])("is what a Dockerfile in it is built from by %s", async (_, more) => {
    rmSync(cluster.path("tree"), { recursive: true, force: true });
    write("Dockerfile", `FROM ${busybox}\nCOPY . /src\nRUN ${LIST}\n`);
    write("src/a.c", "int a;\n");
    write("src/a.o", "object");
    write(".dockerignore", "**/*.o\nDockerfile\n.dockerignore\n");
    const built = await submitDocker(...more);
    expect(built.code, built.stdout + built.stderr).toBe(0);
    expect(built.stdout).toContain("./src/a.c: int a;");
    expect(built.stdout).not.toMatch(/\.\/(Dockerfile|\.dockerignore|src\/a\.o)/);
    const other = cluster.write("ignore", "src/a.c\n");
    const ignoring = await submitDocker(`--ignore-file=${other}`, ...more);
    expect(ignoring.stdout).toContain("./src/a.o: object");
    expect(ignoring.stdout).not.toContain("./src/a.c");
    const elsewhere = cluster.write(
      "Dockerfile.other",
      `FROM ${busybox}\nCOPY src /other\nRUN ls /other\n`,
    );
    const local = await submitDocker(`--local-dockerfile=${elsewhere}`, ...more);
    expect(local.code, local.stdout).toBe(0);
    expect(local.stdout).toContain("a.c");
  });

  it("of a durable job outlives all three programs", async () => {
    rmSync(cluster.path("tree"), { recursive: true, force: true });
    write("a.txt", "durable\n");
    await worker.stop("SIGTERM");
    const { stdout: id } = await submitSpec("--detach");
    await cluster.scheduler.stop("SIGKILL");
    rmSync(cluster.path("tree"), { recursive: true });
    await cluster.restartScheduler();
    worker = await startWorker();
    const log = await client("logs", id.trim(), "-f").ended;
    expect(log.stdout).toContain("./a.txt: durable\n");
  });

  it("that cannot be sent is refused before anything is queued", async () => {
    write("a.txt", "one");
    const both = await submitSpec("https://example.org/repo.git", "ab".repeat(20));
    expect(both).toMatchObject({
      code: 124,
      stderr: expect.stringContaining("exclude each other"),
    });
    const bare = await client("submit", "a.spec", "--ignore-file=a.spec").ended;
    expect(bare).toMatchObject({ code: 124, stderr: expect.stringContaining("without --context") });
    const none = await submitDocker();
    expect(none).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no file "tree\/Dockerfile"/),
    });
    const queued = await client("jobs", "--state=queued,running,waiting", "--json").ended;
    expect(queued).toMatchObject({ code: 0, stdout: "" });
    const limited = await Cluster.start(["--max-context-size=1M"]);
    try {
      write("large", "x".repeat(2_000_000));
      const large = await new Program(
        "ocluster-client",
        ["submit", "a.spec", "--context=tree", "--json", "-c", limited.cap("submission")],
        { cwd: cluster.dir, env: { XDG_CACHE_HOME: cluster.path("cache") } },
      ).ended;
      expect(large).toMatchObject({ code: 12 });
      expect(JSON.parse(large.stdout)).toMatchObject({ ok: false, kind: "refused" });
      expect(large.stderr).toMatch(/the scheduler takes .*--max-context-size.*\.dockerignore/);
    } finally {
      await limited.stop();
    }
  });
});
