/**
 * The autoscaler with a real Docker Swarm of one engine: workers are tasks of a service, and build
 * Dockerfiles with that engine.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { DockerEngine, Registry } from "../support/docker-engine.js";
import { ElasticCluster } from "../support/elastic.js";
import { stopAll } from "../support/programs.js";

/** For an engine, its Swarm and some builds on a machine with more to do, in ms. */
const LIMIT = 240_000;
const SOON = { timeout: 90_000 };

let registry: Registry;
/** Which builds pull. */
let image: string;
let engine: DockerEngine;
let elastic: ElasticCluster;

beforeAll(async () => {
  engine = await DockerEngine.start();
  registry = await Registry.start();
  image = `${registry.host}/busybox:1`;
  await engine.pushBusybox(image);
  await engine.startSwarm();
  elastic = await ElasticCluster.start();
}, LIMIT);

afterAll(async () => {
  await stopAll();
  await engine?.docker.getService("workers").remove();
  while ((await engine.containers()).length > 0);
  await elastic?.stop();
  await registry?.stop();
  await engine?.stop();
}, LIMIT);

/** In a task the machine is at `/host`, as its image has no Node. */
async function createService(restart: "any" | "none"): Promise<void> {
  const dir = elastic.cluster.path("fleet/$OCLUSTER_WORKER_ID");
  const script = elastic.workerShell(["--idle-timeout=5s", `--state-dir="${dir}"`], "docker");
  await engine.docker.createService({
    Name: "workers",
    TaskTemplate: {
      ContainerSpec: {
        Image: image,
        Command: ["/bin/chroot", "/host", "/bin/sh", "-c", script],
        Env: [
          "OCLUSTER_WORKER_ID={{.Task.ID}}",
          `DOCKER_HOST=unix://${engine.socket}`,
          "HOME=/nonexistent",
        ],
        Mounts: [{ Type: "bind", Source: "/", Target: "/host" }],
      },
      Networks: [{ Target: "host" }],
      RestartPolicy: { Condition: restart },
    },
    Mode: { Replicated: { Replicas: 0 } },
  });
}

const start = () =>
  elastic.autoscaler(
    [{ name: "swarm", max: 2, "cool-down": "1h", swarm: { service: "workers" } }],
    [],
    { DOCKER_HOST: `unix://${engine.socket}` },
  );

const replicas = async () => {
  const { Spec } = await engine.docker.getService("workers").inspect();
  return Spec.Mode.Replicated.Replicas as number;
};

it(
  "does nothing with a service that would start its workers again",
  async () => {
    await createService("any");
    const scaler = start();
    await scaler.sees(
      "stderr",
      /so nothing is done: Service workers starts workers again that have ended: docker service update/,
    );
    await scaler.stop();
    await engine.docker.getService("workers").remove();
  },
  LIMIT,
);

it(
  "starts tasks for a queue, which end themselves, none of them while it is busy",
  async () => {
    await createService("none");
    const scaler = start();
    await scaler.sees("stderr", /have 0/);
    expect(await replicas()).toBe(0);
    const jobs = await elastic.submitDocker([1, 12], image);
    await scaler.sees("stderr", /start 2/);
    // The other one has been idle for long enough meanwhile.
    await expect.poll(replicas, SOON).toBe(2);
    await expect.poll(replicas, SOON).toBe(1);
    expect((await elastic.record(jobs[1]!)).state).toBe("running");
    const records = await elastic.ended(jobs);
    expect(records.map(({ state }) => state)).toEqual(["succeeded", "succeeded"]);
    for (const { attempts } of records) {
      expect(attempts).toHaveLength(1);
      expect(attempts[0]!.worker).toMatch(/^w-[a-z0-9]{25}$/);
    }
    await expect.poll(replicas, SOON).toBe(0);
    await expect.poll(() => elastic.workers(), SOON).toEqual([]);
    // What has ended is not there again when there is more to do.
    const more = await elastic.submitDocker([1], image);
    await elastic.ended(more);
    expect(await replicas()).toBe(1);
    await expect.poll(replicas, SOON).toBe(0);
  },
  LIMIT,
);
