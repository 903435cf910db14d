/**
 * Docker jobs through all programs: source from a Git server, an image from an engine, pushed to a
 * registry.
 */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { deferred } from "../../src/async/index.js";
import { Cluster } from "../support/cluster.js";
import { DockerEngine, Registry } from "../support/docker-engine.js";
import { GitServer } from "../support/git-server.js";
import type { Program } from "../support/programs.js";

let cluster: Cluster;
let engine: DockerEngine;
let registry: Registry;
let server: GitServer;
let worker: Program;
let busybox: string;

const startWorker = () =>
  cluster.worker(
    "docker-worker",
    [
      "--capacity=2",
      `--allow-push=${registry.host}/org/staging`,
      "--docker-network=none",
      "--git-timeout=20s",
    ],
    { DOCKER_HOST: `unix://${engine.socket}` },
  );

beforeAll(async () => {
  engine = await DockerEngine.start();
  registry = await Registry.start();
  server = await GitServer.start();
  busybox = `${registry.host}/busybox:1`;
  await engine.pushBusybox(busybox);
  cluster = await Cluster.start();
  worker = await startWorker();
});

afterAll(async () => {
  await cluster?.stop();
  await server?.stop();
  await registry?.stop();
  await engine?.stop();
});

afterEach(async () => {
  registry.interfere = () => undefined;
  server.onRequest = () => {};
});

/** What the worker must not leave behind once it is idle. */
async function expectNothingLeft(): Promise<void> {
  expect(await engine.containers()).toEqual([]);
  expect(readdirSync(cluster.path("worker-docker-worker/tmp"))).toEqual([]);
}

let repositories = 0;

/** A repository with two branches to merge and a submodule. */
function makeRepository() {
  const name = `project-${repositories++}.git`;
  const library = server.create(`lib-${name}`, { "lib.txt": "from the library" });
  server.create(name, {
    Dockerfile: `FROM ${busybox}\nCOPY . /src\nRUN cat /src/*.txt /src/*/*.txt`,
  });
  const base = server.submodule(name, "vendor", server.url(`lib-${name}`), library);
  const left = server.branch(name, "left", base, { "left.txt": "from the left " });
  const right = server.branch(name, "right", base, { "right.txt": "from the right " });
  return { url: server.url(name), name, base, left, right };
}

describe("a job from a Git repository", () => {
  it("has the merged commits and their submodules as its context", async () => {
    const { left, right, url } = makeRepository();
    const { code, stdout } = await cluster.submitDocker([url, left, right]).ended;
    expect(stdout).toContain("from the left from the right from the library");
    expect(stdout).toMatch(/Job succeeded\n$/);
    expect(code).toBe(0);
    await expectNothingLeft();
  });

  it.each([
    ["leaves .git out", [], "no git here"],
    ["includes .git if asked to", ["--include-git"], "ref: refs/heads/"],
  ])("%s", async (_what, options, expected) => {
    const { base, url } = makeRepository();
    const lines = [`FROM ${busybox}`, "COPY . /src", "RUN cat /src/.git/HEAD || echo no git here"];
    const dockerfile = cluster.write("Dockerfile.git", lines.join("\n"));
    const args = ["--local-dockerfile", dockerfile, ...options, url, base];
    expect((await cluster.submitDocker(args).ended).stdout).toContain(expected);
  });

  it("uses another Dockerfile of the source", async () => {
    const { name, url } = makeRepository();
    const commit = server.commit(name, { "build/Other": `FROM ${busybox}\nRUN echo the other` });
    const args = ["--buildkit", "--context-dockerfile=build/Other", url, commit];
    expect((await cluster.submitDocker(args).ended).stdout).toContain("the other");
  });

  it("says so when the source is not to be had", async () => {
    const { url } = makeRepository();
    const hash = "f".repeat(40);
    const { code, stdout } = await cluster.submitDocker([url, hash]).ended;
    expect(stdout).toContain(`Commit ${hash} not found in ${url}`);
    expect(code).toBe(1);
    await expectNothingLeft();
  });
});

describe("a job without a source", () => {
  it("builds with arguments, secrets and BuildKit", async () => {
    const dockerfile = cluster.write(
      "Dockerfile.secret",
      `FROM ${busybox}\nARG WHO\nRUN --mount=type=secret,id=key echo "$WHO: $(wc -c < /run/secrets/key)"`,
    );
    const secret = cluster.write("key", "0123456789");
    const args = ["--buildkit", "--build-arg=WHO=me", `--secret=key:${secret}`];
    const { code, stdout } = await cluster.submitDocker([...args, "--local-dockerfile", dockerfile])
      .ended;
    expect(stdout).toContain("me: 10");
    expect(stdout).not.toContain("0123456789");
    expect(code).toBe(0);
    await expectNothingLeft();
  });

  it("fails with the step that failed", async () => {
    const dockerfile = cluster.write("Dockerfile.bad", `FROM ${busybox}\nRUN exit 42`);
    const { code, stdout } = await cluster.submitDocker(["--local-dockerfile", dockerfile]).ended;
    expect(stdout).toContain("returned a non-zero code: 42");
    expect(stdout).toMatch(/docker-build failed with exit-code 42\nFailed: Build failed\.\n$/);
    expect(code).toBe(1);
    await expectNothingLeft();
  });
});

describe("a job's image", () => {
  const dockerfile = () => cluster.write("Dockerfile.push", `FROM ${busybox}\nLABEL pushed=yes`);

  it("is pushed, and its RepoId is the result", async () => {
    const target = `${registry.host}/org/staging:build-1`;
    const { code, stdout } = await cluster.submitDocker([
      "--push-to",
      target,
      "--local-dockerfile",
      dockerfile(),
    ]).ended;
    const [, repoId] = /Result: "(.*)"\n$/.exec(stdout) ?? [];
    expect(repoId).toMatch(/\/org\/staging@sha256:[0-9a-f]{64}$/);
    expect(code).toBe(0);
    for await (const _ of await engine.docker.pull(repoId!));
  });

  it("is not pushed where it must not be", async () => {
    const target = `${registry.host}/org/live:latest`;
    const args = ["--push-to", target, "--local-dockerfile", dockerfile()];
    const { code, stdout } = await cluster.submitDocker(args).ended;
    expect(stdout).toContain(
      `To allow pushing to this repository, start the worker with --allow-push "${registry.host}/org/live"`,
    );
    expect(code).toBe(1);
  });

  it("is pushed again when the registry fails", async () => {
    // The engine itself tries a few times, too, before it gives up.
    let failures = 0;
    registry.interfere = ({ method, url }) =>
      method === "PUT" && /manifests/.test(url!) && failures++ === 0 ? 500 : undefined;
    const target = `${registry.host}/org/staging:build-2`;
    const args = ["--push-to", target, "--local-dockerfile", dockerfile()];
    const { code, stdout } = await cluster.submitDocker(args).ended;
    expect(stdout).toMatch(
      /Push attempt 1\/6 failed with retryable error ".*"\. Retrying in 4 seconds\.\.\./,
    );
    expect(stdout).toMatch(/Result: ".*@sha256:[0-9a-f]{64}"\n$/);
    expect(code).toBe(0);
  });
});

/** Has the Git server wait, once it is asked for something, until it is told to go on. */
function slowGit() {
  const asked = deferred();
  const goOn = deferred();
  server.onRequest = () => {
    asked.resolve();
    return goOn.promise;
  };
  return { asked: asked.promise, goOn: () => goOn.resolve() };
}

/** Has the registry refuse all writes; resolves at the first. */
function refusedPush(): Promise<void> {
  const asked = deferred();
  registry.interfere = ({ method }) => {
    if (method === "GET" || method === "HEAD") return undefined;
    asked.resolve();
    return 503;
  };
  return asked.promise;
}

const endless = () =>
  cluster.write("Dockerfile.endless", `FROM ${busybox}\nRUN echo started; sleep 654321`);

/** A job that pushes an image with something new in it. */
function submitPush(tag: string): Program {
  const lines = `FROM ${busybox}\nRUN echo ${Math.random()} > /file`;
  const target = `${registry.host}/org/staging:${tag}`;
  const file = cluster.write("Dockerfile.pushed", lines);
  return cluster.submitDocker(["--push-to", target, "--local-dockerfile", file]);
}

describe.each<[string, (client: Program) => Promise<unknown>, () => Promise<void>]>([
  ["a client", (client) => client.stop("SIGKILL"), async () => {}],
  [
    "the scheduler",
    () => cluster.scheduler.stop("SIGKILL"),
    async () => {
      worker.stderr = "";
      await cluster.restartScheduler();
      await worker.sees("stderr", /Requesting a new job/);
    },
  ],
])("when %s goes away", (_who, goAway, comeBack) => {
  /** Kills at the moment that `reached` tells; the job must be cancelled, and leave nothing. */
  async function leaveWhen(
    client: Program,
    reached: Promise<unknown>,
    afterwards = () => {},
  ): Promise<void> {
    await reached;
    worker.stderr = "";
    await goAway(client);
    afterwards();
    await worker.sees("stderr", /Job cancelled/);
    await client.ended;
    while ((await engine.containers()).length > 0);
    await expectNothingLeft();
    await comeBack();
  }

  it("a clone ends, and with it the job", async () => {
    const { left, url } = makeRepository();
    const { asked, goOn } = slowGit();
    // Git is left to finish: killed, it could damage the clone.
    await leaveWhen(cluster.submitDocker([url, left]), asked, goOn);
    server.onRequest = () => {};
    expect((await cluster.submitDocker([url, left]).ended).stdout).toContain("from the left");
  });

  it.each([[[]], [["--buildkit"]]])("a build is stopped %j", async (options) => {
    const client = cluster.submitDocker([...options, "--local-dockerfile", endless()]);
    await leaveWhen(client, client.sees("stdout", /started$/m));
    while (execFileSync("ps", ["-eo", "args"], { encoding: "utf8" }).includes("sleep 654321\n"));
  });

  it("a push is given up", async () => {
    const refused = refusedPush();
    await leaveWhen(submitPush("build-4"), refused);
  });
});

describe("a worker that is killed", () => {
  /**
   * Submits, waits until the job is where it shall be killed, kills the worker, and starts another
   * on the same state.
   */
  async function killWhen(client: Program, reached: Promise<unknown>): Promise<void> {
    await reached;
    await worker.stop("SIGKILL");
    const { code, stdout, stderr } = await client.ended;
    expect(stdout + stderr).toContain("Disconnected: ");
    expect(code).toBe(1);
    worker = await startWorker();
    while ((await engine.containers()).length > 0);
    await expectNothingLeft();
    const good = cluster.write("Dockerfile.good", `FROM ${busybox}\nRUN echo alive`);
    expect((await cluster.submitDocker(["--local-dockerfile", good]).ended).code).toBe(0);
  }

  it("in a clone, leaves nothing, and clones again", async () => {
    const { left, url } = makeRepository();
    await killWhen(cluster.submitDocker([url, left]), slowGit().asked);
    expect(execFileSync("ps", ["-eo", "args"], { encoding: "utf8" })).not.toContain(url);
    server.onRequest = () => {};
    expect((await cluster.submitDocker([url, left]).ended).stdout).toContain("from the left");
  });

  it.each([[[]], [["--buildkit"]]])("in a build, leaves nothing %j", async (options) => {
    const client = cluster.submitDocker([...options, "--local-dockerfile", endless()]);
    await killWhen(client, client.sees("stdout", /started$/m));
    const processes = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" });
    expect(processes).not.toContain("sleep 654321\n");
  });

  it("in a push, leaves nothing", async () => {
    const refused = refusedPush();
    await killWhen(submitPush("build-3"), refused);
  });
});
