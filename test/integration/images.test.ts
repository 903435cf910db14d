/**
 * The project's images: built on a real engine, started as the compose file says, and used from
 * outside for whole jobs.
 *
 * Their base is made from Debian packages here (test/support/debian-base.ts). The two containers
 * share a network of their own, in which nothing but the loopback exists, so that they have their
 * usual ports and disturb nobody.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { engineMessages, postForStream } from "../../src/docker/index.js";
import { BuildKitProgress } from "../../src/worker/docker/buildkit-progress.js";
import { openSession } from "../../src/worker/docker/buildkit-session.js";
import { sessionDirectories } from "../../src/worker/docker/session-files.js";
import { AddonMirror } from "../support/addon-mirror.js";
import { composeServices } from "../support/compose.js";
import { containerOf } from "../support/compose-container.js";
import { debianBase } from "../support/debian-base.js";
import { DockerEngine, Registry } from "../support/docker-engine.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";

const ROOT = join(import.meta.dirname, "../..");
const BASE = "ocluster-test-base:latest";

/**
 * Making the base takes a minute or two the first time; other tests may take most of the processor.
 */
const BUILD_TIMEOUT_MS = 15 * 60_000;

let dir: string;
let engine: DockerEngine;
let registry: Registry;
let addons: AddonMirror;
let scheduler: Docker.Container;
let worker: Docker.Container;
/** Those of the compose file. */
let services: ReturnType<typeof composeServices>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-images-"));
  engine = await DockerEngine.start();
  registry = await Registry.start();
  addons = await AddonMirror.start();
  const base = createReadStream(debianBase());
  const [repo, tag] = BASE.split(":") as [string, string];
  await said(
    await engine.docker.importImage(base, {
      repo,
      tag,
      changes: "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }),
  );
  await buildImage("Dockerfile", "ocluster-scheduler");
  await buildImage("Dockerfile.worker", "ocluster-worker");
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  for (const container of [worker, scheduler]) await container?.remove({ force: true, v: true });
  addons?.stop();
  await registry?.stop();
  await engine?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/**
 * Builds like `docker build -f FILE -t NAME --network=host --build-arg BASE=… --secret id=npmrc,…`.
 */
async function buildImage(dockerfile: string, name: string, target?: string): Promise<void> {
  const { docker } = engine;
  const session = await openSession(docker, {
    directories: await sessionDirectories(ROOT, dockerfile),
    secrets: new Map([["npmrc", Buffer.from(npmConfiguration())]]),
    registryAuth: async () => undefined,
  });
  const progress = new BuildKitProgress();
  let output = "";
  try {
    const response = await postForStream(docker, {
      path: "/build",
      query: {
        dockerfile,
        t: name,
        version: 2,
        networkmode: "host",
        session: session.id,
        remote: session.remote,
        // The addon comes ready-made; see below.
        buildargs: JSON.stringify({ BASE, COMPILER: "" }),
        ...(target !== undefined && { target }),
      },
      signal: AbortSignal.timeout(BUILD_TIMEOUT_MS),
    });
    for await (const { id, aux, error } of engineMessages(response)) {
      if (id === "moby.buildkit.trace")
        output += progress.text(Buffer.from(aux as string, "base64"));
      if (error !== undefined) throw new Error(`Cannot build ${name}: ${error}\n${output}`);
    }
  } finally {
    session.close();
  }
}

/** Where this machine's npm gets packages from, and the addon of better-sqlite3. */
function npmConfiguration(): string {
  const configured = ["userconfig", "globalconfig"]
    .map((name) => execFileSync("npm", ["config", "get", name], { encoding: "utf8" }).trim())
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, "utf8"));
  return [...configured, `better_sqlite3_binary_host=${addons.url}`, ""].join("\n");
}

/** What the engine says until it is done. Throws if that is an error. */
async function said(stream: NodeJS.ReadableStream): Promise<void> {
  for await (const { error } of engineMessages(stream as Readable)) {
    if (error !== undefined) throw new Error(error);
  }
}

/**
 * Resolves when the container's own health check says so. Rejects if it says otherwise in the end.
 */
async function whenHealth(container: Docker.Container, health: "healthy" | "unhealthy") {
  const wanted = `health_status: ${health}`;
  const events = (await engine.docker.getEvents({
    filters: { container: [container.id], event: ["health_status", "die"] },
  })) as Readable;
  try {
    const { State } = await container.inspect();
    if (State.Health?.Status === health) return;
    let status: unknown;
    for await (const event of engineMessages(events)) {
      status = event.status;
      if (status === wanted) return;
      if (status === "die" || status === "health_status: unhealthy") break;
    }
    throw new Error(`${status}:\n${await logOf(container)}${await checksOf(container)}`);
  } finally {
    events.destroy();
  }
}

/** What the last health checks said. */
async function checksOf(container: Docker.Container): Promise<string> {
  const { State } = await container.inspect();
  return (State.Health?.Log ?? [])
    .map(({ ExitCode, Output }) => `\n${ExitCode}: ${Output}`)
    .join("");
}

async function logOf(container: Docker.Container): Promise<string> {
  return (await container.logs({ stdout: true, stderr: true })).toString();
}

/**
 * Checks more often than the image asks for. Until the start period is over, checks that fail do
 * not count.
 */
const Healthcheck = { Interval: 300_000_000, StartPeriod: 120_000_000_000 } as const;

/** Runs one of this machine's programs in the network of the containers. */
async function program(name: string, args: readonly string[]) {
  const { State } = await scheduler.inspect();
  const child = spawn(
    "nsenter",
    [
      `--net=/proc/${State.Pid}/ns/net`,
      process.execPath,
      join(ROOT, `dist/bin/${name}.js`),
      ...args,
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = await once(child, "close");
  return { code, stdout, stderr };
}

describe("the images", () => {
  it("add little to their base", async () => {
    const size = async (name: string) => (await engine.docker.getImage(name).inspect()).Size;
    const base = await size(BASE);
    expect((await size("ocluster-scheduler")) - base).toBeLessThan(60e6);
    expect((await size("ocluster-worker")) - base).toBeLessThan(60e6);
  });

  it("contain no sources, keys or development tools", async () => {
    const { docker } = engine;
    const find = await docker.createContainer({
      Image: "ocluster-scheduler",
      Entrypoint: ["find", "/opt/ocluster", "-maxdepth", "2"],
      Tty: true,
    });
    try {
      await find.start();
      await find.wait();
      const paths = await logOf(find);
      expect(paths).toContain("/opt/ocluster/dist/bin");
      expect(paths).not.toMatch(
        /node_modules\/(typescript|vitest|esbuild)\r$|\/opt\/ocluster\/(src|test)\r$|\.env|\.pem/m,
      );
    } finally {
      await find.remove();
    }
  });
});

describe("a cluster of containers", () => {
  beforeAll(async () => {
    services = composeServices("deploy/compose.yml", { PUBLIC_HOST: "127.0.0.1" });
    const options = containerOf(services.scheduler!);
    scheduler = await engine.docker.createContainer({
      ...options,
      HostConfig: { ...options.HostConfig, NetworkMode: "none" },
      Healthcheck,
    });
    await scheduler.start();
    await whenHealth(scheduler, "healthy");
  });

  /** The volume with the capability files, as the host sees it. */
  const secrets = (name: string) => join(engine.dataRoot, "volumes/capnp-secrets/_data", name);

  it("has a scheduler that is no root, and keeps its secrets to itself", async () => {
    const { State } = await scheduler.inspect();
    expect(readFileSync(`/proc/${State.Pid}/status`, "utf8")).toMatch(/^Uid:\s+9000\s+9000/m);
    const listing = execFileSync("stat", ["-c", "%u %a", secrets("key.pem"), secrets("admin.cap")]);
    expect(listing.toString()).toBe("9000 600\n9000 600\n");
  });

  it("has the administrator's program in it", async () => {
    const exec = await scheduler.exec({
      Cmd: ["ocluster-admin", "show", "--quiet", "-c", "/capnp-secrets/admin.cap"],
      AttachStdout: true,
      Tty: true,
    });
    const stream = await exec.start({ Tty: true });
    let output = "";
    for await (const data of stream) output += String(data);
    expect(output).toBe("linux-x86_64\r\n");
  });

  it("gives the worker its capability, and nothing else", async () => {
    const options = containerOf(services["worker-capability"]!);
    const copying = await engine.docker.createContainer(options);
    try {
      await copying.start();
      const { StatusCode } = await copying.wait();
      expect([StatusCode, await logOf(copying)]).toEqual([0, ""]);
    } finally {
      await copying.remove();
    }
    expect(readdirSync(join(engine.dataRoot, "volumes/worker-secrets/_data"))).toEqual([
      "pool.cap",
    ]);
  });

  it("has a worker that joins, and is healthy then", async () => {
    withTemporaryRoot(busyboxRoot, (rootfs) =>
      writeOciLayout(join(dir, "images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
    );
    const { Cmd, HostConfig, ...options } = containerOf(services.worker!);
    worker = await engine.docker.createContainer({
      ...options,
      Cmd: [
        // However full this machine's disk is.
        ...Cmd!.filter((arg) => !arg.startsWith("--prune-threshold=")),
        "--obuilder-prune-threshold=0",
        "--obuilder-image-dir=/images",
        "--obuilder-fetch=local",
        "--docker-network=none",
      ],
      HostConfig: {
        ...HostConfig,
        NetworkMode: `container:${scheduler.id}`,
        Binds: [
          `${join(dir, "images")}:/images:ro`,
          ...HostConfig!.Binds!.map((bind) =>
            bind
              .replace(/^\/var\/run\/docker\.sock:/, `${engine.socket}:`)
              .replace(/^\/var\/lib\/docker:/, `${engine.dataRoot}:`),
          ),
        ],
      },
      Healthcheck,
    });
    await worker.start();
    await whenHealth(worker, "healthy");
  });

  it("runs a spec and a Dockerfile for a user outside", async () => {
    const user = join(dir, "user.cap");
    const added = await program("ocluster-admin", [
      "-c",
      secrets("admin.cap"),
      "add-client",
      "user",
    ]);
    expect(added).toMatchObject({ code: 0 });
    writeFileSync(user, added.stdout);

    const spec = join(dir, "hello.spec");
    writeFileSync(
      spec,
      '((from busybox) (shell /bin/sh -c) (run (shell "echo Hello from a spec")))',
    );
    const submission = ["-c", user, "--pool=linux-x86_64"];
    const built = await program("ocluster-client", [
      "submit-obuilder",
      ...submission,
      `--local-file=${spec}`,
    ]);
    expect(built).toMatchObject({ code: 0 });
    expect(built.stdout).toContain("\nHello from a spec\n");
    expect(built.stdout).toMatch(/\nJob succeeded\nResult: "[0-9a-f]{64}"\n$/);

    const busybox = `${registry.host}/busybox:1`;
    await engine.pushBusybox(busybox);
    const dockerfile = join(dir, "Dockerfile");
    writeFileSync(dockerfile, `FROM ${busybox}\nRUN echo Hello from a $(echo Dockerfile)\n`);
    const image = await program("ocluster-client", [
      "submit-docker",
      ...submission,
      `--local-dockerfile=${dockerfile}`,
    ]);
    expect(image).toMatchObject({ code: 0 });
    expect(image.stdout).toContain("Hello from a Dockerfile\n");
  });

  it("ends on SIGTERM, and a worker without its scheduler is not well", async () => {
    await scheduler.stop();
    expect((await scheduler.inspect()).State.ExitCode).toBe(0);
    await whenHealth(worker, "unhealthy");
    await worker.stop();
    expect((await worker.inspect()).State.ExitCode).toBe(0);
  });
});
