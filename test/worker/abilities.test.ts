/**
 * A worker says what it is able to do, and gets no other jobs: with a real scheduler, over TLS on
 * loopback.
 */
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { AbleQueue, type DockerBuild, PoolMonitor, Ticket } from "../../src/api/index.js";
import { connectEngine } from "../../src/docker/index.js";
import { Abilities } from "../../src/worker/abilities.js";
import { outcome, SmallCluster } from "./small-cluster.js";

const DOCKER: DockerBuild = {
  kind: "docker",
  dockerfile: { contents: "FROM scratch\n" },
  buildArgs: [],
  squash: false,
  buildkit: false,
  includeGit: false,
};

const SPEC = { kind: "obuilder", spec: "((from busybox))" } as const;

let cluster: SmallCluster;
let engine: Server | undefined;

beforeEach(async () => {
  cluster = await SmallCluster.open();
  vi.stubEnv("DOCKER_HOST", `unix://${socket()}`);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  engine?.closeAllConnections();
  engine?.close();
  engine = undefined;
  await cluster.close();
});

const socket = () => join(cluster.stateDir, "engine.sock");

/** Something that answers as an engine does when it is asked whether it is there. */
async function startEngine(): Promise<void> {
  engine = createServer((request, response) => {
    response.statusCode = request.url === "/_ping" ? 200 : 500;
    response.end("OK");
  });
  await new Promise<void>((resolve) => engine!.listen(socket(), resolve));
}

it("a worker without an engine is given no Dockerfile, which waits and says for what", async () => {
  await cluster.startWorker({ custom: { test: async () => "done" } });
  const image = cluster.submit({ action: DOCKER });
  const spec = cluster.submit({ action: SPEC });
  expect(await outcome(cluster.submit())).toMatchObject({ result: "done" });
  expect(await Ticket.place(image.ticket)).toMatchObject({ ahead: 0, lacking: ["docker"] });
  expect(await Ticket.place(spec.ticket)).toMatchObject({ lacking: ["obuilder"] });
  const admin = await cluster.network.poolAdmin();
  const { obstacles } = await PoolMonitor.explain(admin, { kind: "pool" });
  expect(obstacles).toEqual([{ kind: "unable", workers: 1, needs: ["docker"] }]);
  image.release();
  spec.release();
});

it("a worker that says nothing gets any job, and says itself what it cannot do", async () => {
  await cluster.startWorker({ declares: false });
  const { log } = await outcome(cluster.submit({ action: DOCKER }));
  expect(log).toContain("Cannot reach the worker's Docker engine");
});

it("an engine that is started later is found, and one that is gone is missed", async () => {
  await cluster.startWorker(); // another one, which asks its engine more seldom
  const worker = await cluster.network.worker("w2");
  const abilities = new Abilities({ docker: connectEngine(), specs: true, intervalMs: 5 });
  const over = new AbortController();
  await abilities.declare(worker.queue, over.signal);
  const waiting = cluster.submit({ action: DOCKER });
  expect(await Ticket.place(waiting.ticket)).toMatchObject({ lacking: ["docker"] });
  const next = worker.pop();
  await startEngine();
  expect((await next).descr.action).toEqual(DOCKER);
  engine!.closeAllConnections();
  engine!.close();
  await vi.waitUntil(() => !existsSync(socket()));
  const missed = cluster.submit({ action: DOCKER });
  await vi.waitUntil(async () => (await Ticket.place(missed.ticket))?.lacking?.length === 1);
  over.abort();
  for (const each of [waiting, missed]) each.release();
});

it("the scheduler does not let a worker be able to do more than can be looked through", async () => {
  await cluster.startWorker(); // for what is checked at the end
  const worker = await cluster.network.worker("w2");
  const about = { cpus: 4, memory: 2 ** 33, architecture: "amd64" };
  for (const able of [Array<string>(101).fill("x"), ["x".repeat(101)]]) {
    await expect(AbleQueue.declare(worker.queue, { ...about, able })).rejects.toThrow(
      "A worker can declare 100 abilities, of 100 characters each",
    );
  }
});
