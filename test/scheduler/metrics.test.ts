/**
 * Metrics over HTTP: what the scheduler counts, and what its workers have to say, which comes over
 * their connections.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Queue } from "../../src/api/index.js";
import { RpcError } from "../../src/rpc/index.js";
import { MetricsServer } from "../../src/scheduler/metrics/http.js";
import { queueGauges } from "../../src/scheduler/metrics/queue-gauges.js";
import { SchedulerMetrics } from "../../src/scheduler/metrics/registry.js";
import { FIXED_ESTIMATES } from "../../src/scheduler/pool/estimates.js";
import { Pool } from "../../src/scheduler/pool/pool.js";
import { jobTraits } from "../../src/scheduler/services/pool-job.js";
import { Store } from "../../src/scheduler/state/store.js";
import { Network, silentLog } from "./network.js";

let network: Network;
let server: MetricsServer;
let ready: boolean;

beforeEach(async () => {
  const metrics = new SchedulerMetrics();
  network = await Network.start({ events: metrics });
  metrics.watch(network.scheduler.pools.values());
  ready = true;
  server = await MetricsServer.listen({
    host: "127.0.0.1",
    port: 0,
    metrics,
    pools: network.scheduler.pools,
    isReady: () => ready,
    log: silentLog(),
  });
});

afterEach(async () => {
  server.close();
  await network.stop();
});

async function get(path: string, method = "GET") {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    body: await response.text(),
  };
}

/** The value of a metric of the scheduler. */
async function value(metric: string): Promise<number> {
  const { body } = await get("/metrics");
  const line = body.split("\n").find((each) => each.startsWith(`${metric} `));
  return Number(line?.slice(metric.length));
}

it("the life of a job can be told from the scheduler's figures", async () => {
  const alice = await network.client("alice");
  const submitted = [
    alice.submit("one", { urgent: true }),
    alice.submit("two"),
    alice.submit("three"),
  ];
  await Promise.all(submitted.map((each) => each.queued()));
  expect(await value('ocluster_pool_jobs_submitted_total{pool="pool"}')).toBe(3);
  const inQueue = 'ocluster_pool_queue_length{queue="incoming",pool="pool",priority=';
  expect(await value(`${inQueue}"high"}`)).toBe(1);
  expect(await value(`${inQueue}"low"}`)).toBe(2);
  const ofAlice = 'ocluster_scheduler_client_submitted_jobs{client="alice",pool="pool",priority=';
  expect(await value(`${ofAlice}"low"}`)).toBe(2);

  const worker = await network.worker("w1", { capacity: 3 });
  const first = await worker.pop();
  expect(await value('ocluster_pool_jobs_running{pool="pool"}')).toBe(1);
  expect(await value('ocluster_pool_jobs_accepted_total{pool="pool"}')).toBe(1);
  expect(await value('ocluster_pool_queue_wait_seconds_count{pool="pool"}')).toBe(1);
  expect(await value('ocluster_pool_workers_capacity{pool="pool"}')).toBe(3);

  const second = await worker.pop();
  first.output.resolve("");
  second.output.reject(new RpcError("failed", "Build failed"));
  await Promise.allSettled([submitted[0]!.result, submitted[1]!.result]);
  submitted[2]!.ticket.release();
  await submitted[2]!.result.catch(() => {});
  expect(await value('ocluster_pool_jobs_cancelled_total{pool="pool"}')).toBe(1);
  expect(await value('ocluster_pool_jobs_finished_total{pool="pool",result="ok"}')).toBe(1);
  expect(await value('ocluster_pool_jobs_finished_total{pool="pool",result="failed"}')).toBe(1);
  expect(await value('ocluster_pool_jobs_running{pool="pool"}')).toBe(0);
  for (const each of submitted) each.release();
});

it("names that clients and workers chose cannot hide or break a figure", async () => {
  const hostile = 'a"} 7\n# \\';
  const client = await network.client(hostile);
  const submitted = client.submit("one");
  await submitted.queued();
  const worker = await network.worker("incoming");
  await Queue.setActive(worker.queue, false);
  const inQueue = 'ocluster_pool_queue_length{queue="incoming",pool="pool",priority=';
  expect(await value(`${inQueue}"low"}`)).toBe(1);
  const ofClient = `ocluster_scheduler_client_submitted_jobs{client="a\\"} 7\\n# \\\\",pool="pool",priority=`;
  expect(await value(`${ofClient}"low"}`)).toBe(1);
  submitted.release();
});

describe("a worker's pages", () => {
  it("are the worker's own, its host's and others that it reports", async () => {
    await network.worker("w 1", {
      service: {
        additionalMetric: async (name) =>
          name === "disk" ? { contentType: "text/x\r\nEvil: 1", data: "disk 1" } : null,
      },
    });
    const page = "/pool/pool/worker/w%201";
    expect(await get(`${page}/metrics`)).toMatchObject({ status: 200, body: "w 1 agent" });
    expect(await get(`${page}/host-metrics`)).toMatchObject({ status: 200, body: "w 1 host" });
    // A worker cannot put headers of its own into the answer.
    expect(await get(`${page}/disk`)).toEqual({
      status: 200,
      type: "text/xEvil: 1",
      body: "disk 1",
    });
    expect((await get(`${page}/other`)).status).toBe(404);
  });

  it("say so when the worker fails, or is not there", async () => {
    await network.worker("w1", {
      service: {
        metrics: async () => {
          throw new RpcError("failed", "broken");
        },
      },
    });
    expect(await get("/pool/pool/worker/w1/metrics")).toMatchObject({
      status: 500,
      body: "Worker metrics collection failed",
    });
    expect(await get("/pool/pool/worker/w2/metrics")).toMatchObject({
      status: 400,
      body: "Worker not connected",
    });
    expect(await get("/pool/x/worker/w1/metrics")).toMatchObject({
      status: 400,
      body: "No such pool",
    });
  });
});

it("says whether it is ready, and refuses what makes no sense", async () => {
  expect((await get("/readyz")).status).toBe(200);
  ready = false;
  expect((await get("/readyz")).status).toBe(503);
  expect((await get("/healthz")).status).toBe(200);
  for (const path of ["/", "/metrics/x", "/pool/pool/worker/w1", "/%zz"]) {
    const { status, body } = await get(path);
    expect(status).toBe(400);
    expect(body).toMatch(/^Bad request\n.*\n {2}\/metrics\n.*\n {2}\/healthz\n.*\n$/s);
  }
});

it("makes the text of very many queues piece by piece", () => {
  const counts = Array.from(
    { length: 5000 },
    (_, i) => [`name-${i}`, { high: 0, low: i }] as const,
  );
  const pool = new Pool({
    name: "pool",
    clock: () => 0,
    store: Store.open(":memory:").pool("pool"),
    traits: jobTraits(FIXED_ESTIMATES),
  });
  const metrics = {
    ...pool.metrics(),
    workerQueues: new Map(counts),
    clients: new Map(counts),
    workersWanted: 0,
  };
  const pieces = [...queueGauges([["pool", metrics]])];
  expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(200_000);
  const lines = pieces.join("").split("\n");
  expect(lines.filter((line) => line.startsWith("ocluster_pool_queue_length{"))).toHaveLength(
    2 * 5001,
  );
  expect(lines).toContain(
    'ocluster_scheduler_client_submitted_jobs{client="name-4999",pool="pool",priority="low"} 4999',
  );
});

it("says that its port is taken", async () => {
  const { port } = server;
  const metrics = new SchedulerMetrics();
  const { pools } = network.scheduler;
  const options = {
    host: "127.0.0.1",
    port,
    metrics,
    pools,
    isReady: () => true,
    log: silentLog(),
  };
  await expect(MetricsServer.listen(options)).rejects.toThrow(
    `Cannot provide metrics on 127.0.0.1:${port}: another process listens there already`,
  );
});

it("is asked for pages, or for their headers, and for nothing else", async () => {
  const { type } = await get("/metrics");
  expect(await get("/metrics", "HEAD")).toEqual({ status: 200, type, body: "" });
  const url = `http://127.0.0.1:${server.port}/metrics`;
  for (const method of ["POST", "DELETE", "OPTIONS"]) {
    const response = await fetch(url, { method });
    expect(response.status).toBe(400);
    expect(response.headers.get("allow")).toBe("GET, HEAD");
    expect(await response.text()).toBe("Bad request\nUse one of: GET, HEAD\n");
  }
});
