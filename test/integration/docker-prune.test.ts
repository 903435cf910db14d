/**
 * Pruning on a real engine whose disk is small: what goes, in which order, and when that is enough.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Capacity } from "../../src/worker/capacity.js";
import { DiskGate } from "../../src/worker/docker/disk-gate.js";
import { WorkerMetrics } from "../../src/worker/metrics.js";
import { DockerEngine } from "../support/docker-engine.js";

let engine: DockerEngine;
let dir: string;
const signal = new AbortController().signal;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-prune-"));
  engine = await DockerEngine.startOnDisk("400M");
});

afterEach(async () => {
  await engine?.stop();
  rmSync(dir, { recursive: true });
});

const MB = 1_000_000;

/** A context with a Dockerfile and a file of so many bytes that nothing packs. */
function context(size: number): Buffer {
  writeFileSync(join(dir, "Dockerfile"), "FROM scratch\nCOPY data /data\n");
  writeFileSync(join(dir, "data"), randomBytes(size));
  const maxBuffer = size + 10 * MB;
  return execFileSync("tar", ["-C", dir, "-c", "Dockerfile", "data"], { maxBuffer });
}

/** Builds an image, with BuildKit or as engines always did. */
async function build(name: string, size: number, version: "1" | "2"): Promise<void> {
  const body = context(size) as unknown as NodeJS.ReadableStream; // It takes buffers.
  const options = { t: name, version };
  await text(await engine.docker.buildImage(body, options as object));
}

async function names(): Promise<string[]> {
  const images = await engine.docker.listImages();
  return images.flatMap(({ RepoTags }) => RepoTags ?? []).sort();
}

const cacheSize = async () => {
  const { BuildCache } = (await engine.docker.df()) as { BuildCache: null | { Size: number }[] };
  // An engine without any says null.
  return (BuildCache ?? []).reduce((sum, { Size }) => sum + Size, 0);
};

function freePercent(): number {
  const { bavail, bfree, blocks } = statfsSync(engine.dataRoot);
  return (100 * bavail) / (bavail + blocks - bfree);
}

async function pass(minFreePercent: number): Promise<boolean[]> {
  const switches: boolean[] = [];
  const gate = new DiskGate({
    docker: engine.docker,
    rule: { minFreePercent },
    capacity: new Capacity(1),
    metrics: new WorkerMetrics(),
  });
  await gate.pass({ setActive: async (active) => void switches.push(active) }, signal);
  return switches;
}

it("takes the longest unused images until there is room, and some more", async () => {
  const before = freePercent();
  for (const name of ["a:1", "b:1", "c:1", "d:1"]) await build(name, 20 * MB, "1");
  // Two names of one image; it is used again now.
  await engine.docker.getImage("a:1").tag({ repo: "again", tag: "1" });
  const container = await engine.docker.createContainer({ Image: "b:1", Cmd: ["/data"] });
  const each = (before - freePercent()) / 4;
  // It takes one to have room, and a margin of 5 %, which is one more.
  expect(await pass(freePercent() + each / 2)).toEqual([false, true]);
  // The container has ended, or never begun: it is nobody's, and goes as before.
  expect(await names()).toEqual(["a:1", "again:1", "d:1"]);
  await expect(container.inspect()).rejects.toThrow(/No such container/);
  expect(await pass(freePercent() - 1)).toEqual([]);
});

it("takes build cache in the same order, and leaves what is newer", async () => {
  await build("old:1", 40 * MB, "2");
  await build("middle:1", 20 * MB, "1");
  await build("new:1", 20 * MB, "2");
  const cache = await cacheSize();
  expect(cache).toBeGreaterThan(40 * MB);
  await engine.docker.getImage("old:1").remove();
  const free = freePercent();
  // The oldest record is enough.
  expect(await pass(free + 0.5)).toEqual([false, true]);
  expect(await names()).toEqual(["middle:1", "new:1"]);
  const left = await cacheSize();
  expect(left).toBeLessThan(cache);
});

it("takes all that is unused when that is not enough", async () => {
  for (const name of ["a:1", "b:1"]) await build(name, 10 * MB, "2");
  const stop = new AbortController();
  const gate = new DiskGate({
    docker: engine.docker,
    rule: { minFreePercent: 100 },
    capacity: new Capacity(1),
    metrics: new WorkerMetrics(),
    retryAfter: 1_000_000,
  });
  const passing = gate.pass({ setActive: async () => {} }, stop.signal);
  const left = async () => (await names()).length + (await cacheSize());
  await expect.poll(left, { timeout: 170_000 }).toBe(0);
  stop.abort(new Error("stopped"));
  await expect(passing).rejects.toThrow("stopped");
  // Engines take their time to remove records of the cache one after the other.
}, 180_000);
