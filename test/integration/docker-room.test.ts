/**
 * Room for images, on a real engine whose images can be pruned.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { deferred } from "../../src/async/index.js";
import { Capacity } from "../../src/worker/capacity.js";
import { DiskGate } from "../../src/worker/docker/disk-gate.js";
import { imageDirectories, type RoomRule } from "../../src/worker/docker/room.js";
import { WorkerMetrics } from "../../src/worker/metrics.js";
import { CONTAINERD_STORE, DockerEngine, Registry } from "../support/docker-engine.js";

let engine: DockerEngine;
let registry: Registry;
let capacity: Capacity;
let metrics: WorkerMetrics;
let switches: boolean[];

beforeAll(async () => {
  engine = await DockerEngine.start();
  registry = await Registry.start();
});

afterAll(async () => {
  await registry?.stop();
  await engine?.stop();
});

beforeEach(async () => {
  capacity = new Capacity(1);
  metrics = new WorkerMetrics();
  switches = [];
  await engine.pushBusybox(`${registry.host}/busybox:1`);
});

const never = new AbortController().signal;

function pass(rule: RoomRule, signal = never, retryAfter?: number): Promise<void> {
  const gate = new DiskGate({
    docker: engine.docker,
    rule,
    capacity,
    metrics,
    ...(retryAfter !== undefined && { retryAfter }),
  });
  const setActive = async (active: boolean) => void switches.push(active);
  return gate.pass({ setActive }, signal);
}

const imageCount = async () => (await engine.docker.listImages()).length;
const prunings = async () =>
  /docker_prune_time_seconds_count (\d+)/.exec((await metrics.report()).data)?.[1];

describe("a worker with enough room", () => {
  it.each<[string, RoomRule]>([
    ["in per cent", { minFreePercent: 0 }],
    ["in GB of images", { maxImagesGb: 1000 }],
  ])("goes on as it is, %s", async (_name, rule) => {
    await pass(rule);
    expect(switches).toEqual([]);
    expect(await imageCount()).toBeGreaterThan(0);
    expect(await prunings()).toBe("0");
  });
});

describe("a worker with too little room", () => {
  it("prunes, and goes on once there is enough", async () => {
    expect(await imageCount()).toBeGreaterThan(0);
    await pass({ maxImagesGb: 0.000_001 });
    expect(switches).toEqual([false, true]);
    expect(await imageCount()).toBe(0);
    expect(await prunings()).toBe("1");
  });

  it("finishes its jobs before", async () => {
    capacity.take(1);
    const passing = pass({ maxImagesGb: 0.000_001 });
    while (switches.length === 0) await imageCount();
    expect(await imageCount()).toBeGreaterThan(0);
    expect(switches).toEqual([false]);
    capacity.giveBack(1);
    await passing;
    expect(switches).toEqual([false, true]);
    expect(await imageCount()).toBe(0);
  });

  it("tries again while pruning does not help, until it is told to stop", async () => {
    const stop = new AbortController();
    // No disk is more than wholly free.
    const passing = pass({ minFreePercent: 101 }, stop.signal, 1);
    while (Number(await prunings()) < 3) await nextTurn();
    stop.abort(new Error("stopped"));
    await expect(passing).rejects.toThrow("stopped");
    expect(switches).toEqual([false]);
  });
});

it("looks where the engine keeps its images", async () => {
  const containerd = CONTAINERD_STORE ? [join(engine.dataRoot, "containerd/daemon")] : [];
  expect(await imageDirectories(engine.docker)).toEqual([engine.dataRoot, ...containerd]);
});

describe("an engine that is frozen", () => {
  async function withFrozenEngine(body: (docker: typeof engine.docker) => Promise<void>) {
    const dir = mkdtempSync(join(tmpdir(), "ocluster-frozen-"));
    const asked = deferred();
    const server = createServer(() => asked.resolve());
    server.listen(join(dir, "docker.sock"));
    try {
      const Docker = engine.docker.constructor as new (options: object) => typeof engine.docker;
      await body(new Docker({ socketPath: join(dir, "docker.sock") }));
      await asked.promise;
    } finally {
      server.closeAllConnections();
      server.close();
      rmSync(dir, { recursive: true });
    }
  }

  it.each<RoomRule>([{ minFreePercent: 50 }, { maxImagesGb: 1 }])(
    "does not keep a worker from other work, nor from its end: %j",
    async (rule) => {
      await withFrozenEngine(async (docker) => {
        const setActive = async () => expect.unreachable();
        const options = { docker, rule, capacity, metrics };
        await new DiskGate({ ...options, patience: 50 }).pass({ setActive }, never);
        const stop = new AbortController();
        const passing = new DiskGate(options).pass({ setActive }, stop.signal);
        stop.abort(new Error("stopped"));
        await expect(passing).rejects.toThrow("stopped");
      });
    },
  );
});

it("does not keep a worker without an engine from other work", async () => {
  const Docker = engine.docker.constructor as new (options: object) => typeof engine.docker;
  const docker = new Docker({ socketPath: "/nonexistent/docker.sock" });
  const gate = new DiskGate({ docker, rule: { minFreePercent: 50 }, capacity, metrics });
  await gate.pass({ setActive: async () => expect.unreachable() }, never);
});
