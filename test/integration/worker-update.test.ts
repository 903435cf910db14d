/**
 * The update of a worker that is a Docker service, on a real Swarm of one engine: whoever asks for
 * it, what becomes of the service, and what does not.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { serviceUpdater } from "../../src/worker/index.js";
import { Cluster } from "../support/cluster.js";
import { DockerEngine, Registry } from "../support/docker-engine.js";
import { run } from "../support/programs.js";

/** Debian's client: another one, which may come first on the path, need not go with the engine. */
const DOCKER = "/usr/bin/docker";

let cluster: Cluster;
let engine: DockerEngine;
let registry: Registry;
let repository: string;
const services: string[] = [];

beforeAll(async () => {
  engine = await DockerEngine.start();
  registry = await Registry.start();
  cluster = await Cluster.start();
  repository = `${registry.host}/org/ocluster-worker`;
  await engine.startSwarm();
});

afterAll(async () => {
  for (const name of services) await engine.docker.getService(name).remove();
  while ((await engine.containers()).length > 0);
  await cluster?.stop();
  await registry?.stop();
  await engine?.stop();
});

afterEach(() => {
  registry.credentials = undefined;
});

/** Pushes a new version of the worker's image, and gives its name with the digest. */
async function release(): Promise<string> {
  const name = `${repository}:live`;
  await engine.pushBusybox(name);
  const { RepoDigests } = await engine.docker.getImage(name).inspect();
  await engine.docker.getImage(name).remove({ force: true });
  return RepoDigests.find((digest) => digest.startsWith(`${repository}@`))!;
}

/**
 * Creates a service as an operator would, with settings of all kinds; it stands in for the worker's
 * own.
 */
async function createService(name: string, image: string): Promise<void> {
  services.push(name);
  const options = {
    Name: name,
    Labels: { owner: "us" },
    TaskTemplate: {
      ContainerSpec: {
        Image: image,
        Command: ["sleep", "1000000"],
        Env: ["CAPACITY=4"],
        Mounts: [{ Type: "bind" as const, Source: "/tmp", Target: "/state", ReadOnly: true }],
        StopGracePeriod: 0,
      },
      Networks: [{ Target: "host" }],
      RestartPolicy: { Condition: "any" as const, MaxAttempts: 3 },
    },
    Mode: { Replicated: { Replicas: 1 } },
    UpdateConfig: { Parallelism: 1, Order: "stop-first" as const },
  };
  await engine.docker.createService(options);
}

const specOf = async (name: string) => (await engine.docker.getService(name).inspect()).Spec;

/** Waits until the service's one container runs this image. */
async function runs(service: string, image: string): Promise<void> {
  const filters = JSON.stringify({ label: [`com.docker.swarm.service.name=${service}`] });
  for (;;) {
    const containers = await engine.docker.listContainers({ filters });
    if (containers.length === 1 && containers[0]!.Image === image) return;
  }
}

const startWorker = (name: string, service: string, env: Record<string, string> = {}) =>
  cluster.worker(
    name,
    ["--update-mode=service", `--update-repository=${repository}`, `--update-service=${service}`],
    { DOCKER_HOST: `unix://${engine.socket}`, ...env },
  );

const update = (worker: string) =>
  run("ocluster-admin", ["-c", cluster.cap("admin"), "update", "linux-x86_64", worker]);

describe("an update", () => {
  it("pulls the newest image, has the service replaced by it, and ends the worker", async () => {
    const before = await release();
    await createService("agent", before);
    await runs("agent", before);
    const spec = await specOf("agent");
    const worker = await startWorker("agent-worker", "agent");
    const after = await release();
    expect(after).not.toBe(before);
    const updating = update("agent-worker");
    expect((await worker.ended).code).toBe(1);
    expect(worker.stderr).toContain(`Latest service version is ${after}`);
    await runs("agent", after);
    // Of all settings, only the image is another one.
    spec.TaskTemplate.ContainerSpec.Image = after;
    expect(await specOf("agent")).toEqual(spec);
    const again = await startWorker("agent-worker", "agent");
    expect(await updating).toMatchObject({ code: 0, stdout: expect.stringContaining("Restarted") });
    await again.stop();
  });

  it("does to the service what `docker service update --image` does", async () => {
    const before = await release();
    for (const name of ["by-command", "by-worker"]) await createService(name, before);
    const after = await release();
    const args = ["service", "update", "--detach", "--image", after, "by-command"];
    execFileSync(DOCKER, args, {
      env: { DOCKER_HOST: `unix://${engine.socket}` },
      stdio: "ignore",
    });
    const finish = await serviceUpdater(engine.docker, {
      repository,
      tag: "live",
      service: "by-worker",
    })();
    expect((await specOf("by-worker")).TaskTemplate.ContainerSpec.Image).toBe(before);
    await finish();
    const { Name, ...rest } = await specOf("by-worker");
    expect({ ...rest, Name: "by-command" }).toEqual(await specOf("by-command"));
    expect(Name).toBe("by-worker");
  });

  it("uses the operator's password for the image", async () => {
    const before = await release();
    await createService("private", before);
    const config = cluster.path("docker-config/config.json");
    mkdirSync(dirname(config));
    const auth = Buffer.from("operator:secret").toString("base64");
    writeFileSync(config, JSON.stringify({ auths: { [registry.host]: { auth } } }));
    const worker = await startWorker("private-worker", "private", {
      DOCKER_CONFIG: dirname(config),
    });
    const after = await release();
    registry.credentials = "operator:secret";
    const updating = update("private-worker");
    expect((await worker.ended).code).toBe(1);
    registry.credentials = undefined;
    expect((await specOf("private")).TaskTemplate.ContainerSpec.Image).toBe(after);
    const again = await startWorker("private-worker", "private");
    await updating;
    await again.stop();
  });
});

describe("an update that cannot be", () => {
  it.each([
    ["without such an image", "nothing/there", "agent", /Cannot pull|The Docker engine refused/],
    ["without such a service", undefined, "nobody", /service nobody not found/],
  ])("%s is refused, and the worker works on", async (_what, path, service, message) => {
    await release();
    const worker = await cluster.worker(
      `stays-${service}`,
      [
        "--update-mode=service",
        `--update-repository=${path ? `${registry.host}/${path}` : repository}`,
        `--update-service=${service}`,
      ],
      { DOCKER_HOST: `unix://${engine.socket}` },
    );
    const { code, stdout, stderr } = await update(`stays-${service}`);
    expect(stdout + stderr).toMatch(message);
    expect(code).not.toBe(0);
    expect(worker.hasEnded).toBe(false);
    expect((await worker.stop()).code).toBe(0);
  });
});
