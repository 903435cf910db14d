/**
 * Docker jobs on a real engine, with a real registry: what the builder makes of them.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Push } from "../../src/api/index.js";
import { deferred } from "../../src/async/index.js";
import { fromBytes } from "../../src/text/bytes.js";
import { DockerBuilder, type DockerJob } from "../../src/worker/docker/docker-builder.js";
import { JobCancelled } from "../../src/worker/failure.js";
import { JobLog } from "../../src/worker/log/job-log.js";
import { openNameless } from "../../src/worker/log/log-file.js";
import { WorkerMetrics } from "../../src/worker/metrics.js";
import { CONTAINERD_STORE, DockerEngine, Registry } from "../support/docker-engine.js";

let engine: DockerEngine;
let registry: Registry;
let busybox: string;

beforeAll(async () => {
  engine = await DockerEngine.start();
  registry = await Registry.start();
  busybox = `${registry.host}/busybox:1`;
  await engine.pushBusybox(busybox);
});

afterAll(async () => {
  await registry?.stop();
  await engine?.stop();
});

let src: string;
let log: JobLog;
let stop: AbortController;

beforeEach(() => {
  src = mkdtempSync(join(tmpdir(), "ocluster-context-"));
  log = new JobLog({ openFile: () => openNameless(tmpdir()) });
  stop = new AbortController();
});

afterEach(async () => {
  rmSync(src, { recursive: true });
  registry.credentials = undefined;
  registry.interfere = () => undefined;
  expect(await engine.containers()).toEqual([]);
});

interface Order extends Partial<Omit<DockerJob, "push">> {
  readonly push?: Push;
}

async function build({ push, ...job }: Order, allowPush: readonly string[] = []): Promise<string> {
  const builder = new DockerBuilder({
    docker: engine.docker,
    allowPush,
    network: "none",
    metrics: new WorkerMetrics(),
  });
  return builder.build(
    {
      kind: "docker",
      dockerfile: { path: "Dockerfile" },
      buildArgs: [],
      squash: false,
      buildkit: false,
      includeGit: false,
      secrets: [],
      src,
      push: push && builder.checkPush(push),
      ...job,
    },
    { log, signal: stop.signal },
  );
}

const contents = (...lines: string[]) => ({
  dockerfile: { contents: [`FROM ${busybox}`, ...lines].join("\n") },
});

async function logText(): Promise<string> {
  let text = "";
  for (let from = 0; from < log.length; ) {
    const { data, next } = await log.page(from);
    text += Buffer.from(data).toString();
    from = next;
  }
  return text;
}

/** Waits until the log contains `text`. */
async function sees(text: string): Promise<void> {
  for (let from = 0; !(await logText()).includes(text); from = (await log.page(from)).next);
}

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(src, name)), { recursive: true });
    writeFileSync(join(src, name), text);
  }
}

describe.each([
  ["classic", false],
  ["BuildKit", true],
])("the %s builder", (_name, buildkit) => {
  it("builds from a Dockerfile's text and shows its output", async () => {
    const marker = `marker-${Math.random()}`;
    expect(await build({ buildkit, ...contents(`RUN echo "${marker}" | tr a-z A-Z`) })).toBe("");
    expect(await logText()).toContain(marker.toUpperCase());
  });

  it("builds from a file in the context", async () => {
    write({
      "deep/er/Dockerfile": `FROM ${busybox}\nCOPY data/*.txt /\nRUN cat /*.txt`,
      "data/a.txt": "content of a",
      "data/b.txt": "content of b",
    });
    await build({ buildkit, dockerfile: { path: "./deep/er/Dockerfile" } });
    expect(await logText()).toMatch(/content of a(.|\n)*content of b/);
  });

  it("says what failed", async () => {
    await expect(build({ buildkit, ...contents("RUN echo output; exit 3") })).rejects.toThrow(
      /^docker-build failed with exit-code [13]$/,
    );
    const text = await logText();
    expect(text).toContain("output");
    expect(text).toMatch(/returned a non-zero code: 3|exit code: 3/);
  });

  it("says what is wrong with a Dockerfile", async () => {
    const failure = await build({ buildkit, ...contents("NONSENSE") }).catch(String);
    expect((await logText()) + failure).toMatch(/unknown instruction: NONSENSE/i);
  });

  it("passes build arguments, and none of the worker's variables", async () => {
    process.env.WORKER_TOKEN = "token-of-the-worker";
    try {
      await build({
        buildkit,
        buildArgs: ["GREETING=hello = world", "WORKER_TOKEN"],
        ...contents(
          "ARG GREETING",
          "ARG WORKER_TOKEN=unset",
          `RUN echo "<$GREETING> <$WORKER_TOKEN> ${Math.random()}"`,
        ),
      });
      expect(await logText()).toContain("<hello = world> <unset>");
    } finally {
      delete process.env.WORKER_TOKEN;
    }
  });

  it.skipIf(CONTAINERD_STORE)("squashes when asked to", async () => {
    const lines = ["RUN echo 1 > /1", "RUN echo 2 > /2", `LABEL squashed=${buildkit}`];
    await build({ buildkit, squash: true, ...contents(...lines) });
    const filters = { label: [`squashed=${buildkit}`] };
    const images = await engine.docker.listImages({ filters });
    const details = images.map(({ Id }) => engine.docker.getImage(Id).inspect());
    const layers = (await Promise.all(details)).map(({ RootFS }) => RootFS.Layers!.length);
    expect(Math.min(...layers)).toBeLessThan(3);
  });

  it("pulls a base image that is newer than the engine's", async () => {
    const base = `${registry.host}/changing:1`;
    const other = await DockerEngine.start();
    try {
      await engine.pushBusybox(base);
      await build({ buildkit, dockerfile: { contents: `FROM ${base}\nRUN cat /new || echo old` } });
      expect(await logText()).toMatch(/old$/m);
      const file = join(src, "Dockerfile");
      writeFileSync(file, `FROM ${base}\nRUN echo "it is new" > /new`);
      const tar = execFileSync("tar", ["-C", src, "-c", "."]) as unknown as NodeJS.ReadableStream;
      for await (const _ of await other.docker.buildImage(tar, { t: base, networkmode: "none" }));
      const authconfig = { username: "", password: "", serveraddress: "" };
      for await (const _ of await other.docker.getImage(base).push({ authconfig }));
    } finally {
      await other.stop();
    }
    await build({ buildkit, dockerfile: { contents: `FROM ${base}\nRUN cat /new` } });
    expect(await logText()).toContain("it is new");
  });

  it("leaves out what .dockerignore says, but not what it needs itself", async () => {
    write({
      ".dockerignore": "*\n!keep\n!dir/also\n",
      Dockerfile: `FROM ${busybox}\nCOPY . /ctx\nRUN cd /ctx; find . -type f | sort | tr "\\n" " "`,
      keep: "",
      drop: "",
      "dir/also": "",
      "dir/drop": "",
    });
    await build({ buildkit });
    const found = [...(await logText()).matchAll(/\.\/[\w/]+/g)].map(([name]) => name);
    expect(found.filter((name) => !/docker/i.test(name))).toEqual(["./dir/also", "./keep"]);
  });

  it("minds the ignore file of the one Dockerfile, if it is BuildKit", async () => {
    const list = "cd /ctx; find . -type f | sort | tr '\\n' ' '";
    write({
      ".dockerignore": "for-one\n",
      "deep/One.dockerignore": "for-all\n",
      "deep/One": `FROM ${busybox}\nCOPY . /ctx\nRUN ${list} # ${Math.random()}`,
      "for-one": "",
      "for-all": "",
    });
    await build({ buildkit, dockerfile: { path: "deep/One" } });
    const found = [...(await logText()).matchAll(/\.\/for-\w+/g)].map(([name]) => name);
    expect(found).toEqual([buildkit ? "./for-one" : "./for-all"]);
  });

  describe.each<[string, (config: LoginConfig) => object]>([
    ["in the configuration", ({ auth, host }) => ({ auths: { [host]: { auth } } })],
    [
      "as old clients wrote it",
      ({ auth, host }) => ({ auths: { [`https://${host}/v1/`]: { auth } } }),
    ],
    ["with the registry's helper", ({ host }) => ({ credHelpers: { [host]: "ocluster-test" } })],
    ["with the helper for all", () => ({ credsStore: "ocluster-test" })],
  ])("with the operator's password %s", (_where, config) => {
    it("pulls a base image that is not for everybody", async () => {
      await withLogin(config, async (base) => {
        const marker = `marker-${Math.random()}`;
        const dockerfile = { contents: `FROM ${base}\nRUN echo "${marker}" | tr a-z A-Z` };
        await build({ buildkit, dockerfile });
        expect(await logText()).toContain(marker.toUpperCase());
      });
    });
  });

  it("is stopped by a cancellation, with its container", async () => {
    // A number of its own: others on this machine may sleep for long, too.
    const forever = `sleep ${1_000_000 + Math.floor(100_000_000 * Math.random())}`;
    const building = build({ buildkit, ...contents(`RUN echo started; ${forever}`) });
    building.catch(() => {});
    await sees("started\n");
    stop.abort(new JobCancelled());
    await expect(building).rejects.toThrow(JobCancelled);
    // The engine clears up behind the answer.
    while ((await engine.containers()).length > 0 || running(forever));
  });
});

interface LoginConfig {
  /** The registry's address. */
  readonly host: string;
  /** As in Docker's configuration. */
  readonly auth: string;
}

/**
 * Runs `body` with the name of an image for which the registry wants a password, and which the
 * engine has not. The operator's configuration is what `config` makes of it, with a helper
 * `ocluster-test` on the path.
 */
async function withLogin(
  config: (login: LoginConfig) => object,
  body: (base: string) => Promise<void>,
): Promise<void> {
  const [user, password] = ["operator", "pa:ss"];
  const dir = mkdtempSync(join(tmpdir(), "ocluster-login-"));
  const { host } = registry;
  const base = `${host}/private-${Math.random().toString(36).slice(2)}:1`;
  const { DOCKER_CONFIG, PATH } = process.env;
  try {
    const auth = Buffer.from(`${user}:${password}`).toString("base64");
    writeFileSync(join(dir, "config.json"), JSON.stringify(config({ host, auth })));
    const credentials = JSON.stringify({ ServerURL: host, Username: user, Secret: password });
    writeFileSync(
      join(dir, "docker-credential-ocluster-test"),
      `#!/bin/sh
      case $1 in
        list) echo '${JSON.stringify({ [host]: user })}';;
        get) read registry
             if [ "$registry" = "${host}" ]; then echo '${credentials}'
             else echo "credentials not found in native keychain"; exit 1; fi;;
      esac\n`,
      { mode: 0o755 },
    );
    await engine.pushBusybox(base);
    await engine.docker.getImage(base).remove();
    registry.credentials = `${user}:${password}`;
    process.env.DOCKER_CONFIG = dir;
    process.env.PATH = `${dir}:${PATH}`;
    await body(base);
  } finally {
    if (DOCKER_CONFIG === undefined) delete process.env.DOCKER_CONFIG;
    else process.env.DOCKER_CONFIG = DOCKER_CONFIG;
    process.env.PATH = PATH;
    rmSync(dir, { recursive: true });
  }
}

/** Whether a process with this command line exists. */
function running(command: string): boolean {
  const programs = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" });
  return programs.split("\n").includes(command);
}

describe("secrets", () => {
  const useSecret = () =>
    contents(
      `RUN --mount=type=secret,id=token cat /run/secrets/token | tr a-z A-Z | rev # ${Math.random()}`,
      "RUN --mount=type=secret,id=token cp /run/secrets/token /tmp && rm /tmp/token",
    );

  it("get to the steps that ask for them, and nowhere else", async () => {
    const secrets = [
      { id: "other", value: "x" },
      { id: "token", value: "s3cr3t-value" },
    ];
    await build({ buildkit: true, secrets, ...useSecret() });
    const text = await logText();
    expect(text).toContain("EULAV-T3RC3S");
    expect(text).not.toContain("s3cr3t-value");
    const found = execFileSync("sh", ["-c", 'grep -rl s3cr3t-value "$0" || true', engine.dataRoot]);
    expect(found.toString()).toBe("");
  });

  it("and Dockerfiles are bytes, which need not be text", async () => {
    const secrets = [{ id: "key", value: fromBytes(Buffer.from([0xff, 0x0a, 0xfe])) }];
    const latin1 = [
      `FROM ${busybox}`,
      "RUN --mount=type=secret,id=key od -An -tx1 /run/secrets/key",
      "COPY Dockerfile /",
      "RUN grep caf Dockerfile | od -An -tx1 # caf\u00e9",
    ].join("\n");
    const dockerfile = { contents: fromBytes(Buffer.from(latin1, "latin1")) };
    await build({ buildkit: true, secrets, dockerfile });
    expect(await logText()).toMatch(/ ff 0a fe\n(.|\n)* 63 61 66 e9/);
  });

  it("mean BuildKit, also when the job does not say so", async () => {
    const lines = useSecret();
    await build({ buildkit: false, secrets: [{ id: "token", value: "abc" }], ...lines });
    expect(await logText()).toContain("CBA");
  });

  it("that are missing are named", async () => {
    await expect(
      build({
        buildkit: true,
        ...contents("RUN --mount=type=secret,id=nothere,required=true cat /run/secrets/nothere"),
      }),
    ).rejects.toThrow("docker-build failed");
    expect(await logText()).toContain("nothere");
  });
});

describe("a hostile context", () => {
  const paths: [string, string][] = [
    ["/etc/passwd", "/etc/passwd is an absolute path!"],
    ["../outside", "Relative segment in ../outside"],
    ["dir/../Dockerfile", "Relative segment in dir/../Dockerfile"],
    ["dir//Dockerfile", "Empty segment in dir//Dockerfile!"],
    ["-", "Path cannot be '-'!"],
    ["", "Empty path!"],
    ["link", '"link" is not a regular file (in link)'],
    ["outdir/passwd", '"outdir" is not a directory (in outdir/passwd)'],
    ["dir", '"dir" is not a regular file (in dir)'],
    ["nowhere", '"nowhere" does not exist (in nowhere)'],
    ["dir/nowhere", '"nowhere" does not exist (in dir/nowhere)'],
    ["Dockerfile\0", "Invalid path"],
  ];

  it.each(paths)("refuses the Dockerfile path %j", async (path, message) => {
    write({ Dockerfile: `FROM ${busybox}`, "dir/Dockerfile": `FROM ${busybox}` });
    symlinkSync("/etc/passwd", join(src, "link"));
    symlinkSync("/etc", join(src, "outdir"));
    await expect(build({ dockerfile: { path } })).rejects.toThrow(message);
  });

  it("cannot make a Dockerfile's text be written elsewhere", async () => {
    const victim = mkdtempSync(join(tmpdir(), "ocluster-victim-"));
    writeFileSync(join(victim, "file"), "untouched");
    symlinkSync(join(victim, "file"), join(src, "Dockerfile"));
    await build(contents("LABEL a=b"));
    expect(readFileSync(join(victim, "file"), "utf8")).toBe("untouched");
    rmSync(victim, { recursive: true });
  });

  it("cannot get at the worker's files through its ignore file", async () => {
    symlinkSync("/etc/passwd", join(src, ".dockerignore"));
    await expect(build(contents())).rejects.toThrow(".dockerignore is not a regular file");
  });

  it("gets links into the image as links", async () => {
    symlinkSync("/etc/hostname", join(src, "link"));
    const tag = String(Math.random());
    await build(contents("COPY . /ctx", `RUN echo "${tag} $(readlink /ctx/link)"`));
    expect(await logText()).toContain(`\n${tag} /etc/hostname\n`);
  });
});

describe("pushing", () => {
  const repo = () => `${registry.host}/org/staging`;

  it("gives the RepoId, from which the image can be had", async () => {
    const push = { target: `${repo()}:build-1` };
    const repoId = await build({ push, ...contents("LABEL pushed=1") }, [repo()]);
    expect(repoId).toMatch(new RegExp(`^${repo()}@sha256:[0-9a-f]{64}$`));
    const other = await DockerEngine.start();
    try {
      for await (const _ of await other.docker.pull(repoId));
      const { Config } = await other.docker.getImage(repoId).inspect();
      expect(Config.Labels).toEqual({ pushed: "1" });
    } finally {
      await other.stop();
    }
  });

  it("logs in with the job's name and password, and leaves none of it behind", async () => {
    registry.credentials = "builder:pa:ss w0rd";
    const push = {
      target: `${repo()}:build-2`,
      auth: { user: "builder", password: "pa:ss w0rd" },
    };
    // The base image is behind the same password, so it has to be there.
    registry.interfere = () => undefined;
    const lines = { dockerfile: { contents: "FROM scratch\nCOPY . /\n" } };
    const repoId = await build({ push, ...lines }, [repo()]);
    expect(repoId).toContain("@sha256:");
    const text = await logText();
    expect(text).toContain(`to "${repo()}:build-2" as user "builder"`);
    expect(text).not.toContain("w0rd");
  });

  it("says when the password is wrong", async () => {
    registry.credentials = "builder:right";
    const push = { target: `${repo()}:build-3`, auth: { user: "builder", password: "wrong" } };
    const lines = { dockerfile: { contents: "FROM scratch\nCOPY . /\n" } };
    await expect(build({ push, ...lines }, [repo()])).rejects.toThrow(
      'Failed to docker-login as "builder"',
    );
    expect(await logText()).toMatch(/unauthorized|401/);
  });

  it("can be cancelled while the registry does not answer", async () => {
    const asked = deferred();
    const silent = createServer((socket) => {
      socket.on("error", () => {}).on("data", () => asked.resolve());
    }).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const repo = `127.0.0.1:${(silent.address() as AddressInfo).port}/org/x`;
    const push = { target: `${repo}:1`, auth: { user: "builder", password: "right" } };
    const lines = { dockerfile: { contents: "FROM scratch\nCOPY . /\n" } };
    const pushing = build({ push, ...lines }, [repo]);
    pushing.catch(() => {});
    await asked.promise;
    stop.abort(new JobCancelled());
    await expect(pushing).rejects.toThrow(JobCancelled);
    silent.close();
  });

  it("is refused to repositories that are not allowed, before anything is built", async () => {
    const push = { target: `${repo()}:build-4` };
    await expect(build({ push, ...contents() }, ["org/staging", repo().slice(1)])).rejects.toThrow(
      `To allow pushing to this repository, start the worker with --allow-push "${repo()}"`,
    );
    expect(await logText()).toBe("");
  });
});

it("says so when there is no engine", async () => {
  const Docker = engine.docker.constructor as new (options: object) => typeof engine.docker;
  const builder = new DockerBuilder({
    docker: new Docker({ socketPath: join(src, "nothing.sock") }),
    allowPush: [],
    metrics: new WorkerMetrics(),
  });
  const job = { ...contents(), secrets: [], src, buildArgs: [], squash: false };
  await expect(
    builder.build(
      { kind: "docker", buildkit: false, includeGit: false, ...job },
      { log, signal: stop.signal },
    ),
  ).rejects.toThrow("Cannot reach the worker's Docker engine: it is not running");
});
