/** A worker's metrics, as they come to whoever asks for them by way of the scheduler. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Worker as WorkerApi } from "../../src/api/index.js";
import { outcome, SmallCluster } from "./small-cluster.js";

let cluster: SmallCluster;

beforeEach(async () => {
  cluster = await SmallCluster.open();
});

afterEach(() => cluster.close());

describe("metrics", () => {
  it("of the worker have the known names", async () => {
    await cluster.startWorker({ custom: { test: async () => "" } });
    await outcome(cluster.submit());
    const api = await cluster.remoteWorker();
    const { contentType, data } = await WorkerApi.metrics(api, "agent");
    api.release();
    expect(contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
    const values = [
      "ocluster_worker_jobs_accepted_total 1",
      'ocluster_worker_job_time_seconds_count{result="ok"} 1',
      "ocluster_worker_docker_push_time_seconds_count 0",
      "ocluster_worker_docker_prune_time_seconds_count 0",
      "ocluster_worker_running_jobs 0",
      'ocluster_worker_durable_ended_total{cause="no space"} 0',
      'ocluster_worker_durable_resumed_total{verdict="go on"} 0',
      "ocluster_worker_unhealthy 0",
      "ocluster_worker_cache_hits 0",
      "ocluster_worker_cache_misses 0",
      "capnp_net_connections 1",
    ];
    expect(data.split("\n")).toEqual(expect.arrayContaining(values));
  });

  it("of a store are not made up by a worker without one: a full disk looks like that", async () => {
    const worker = await cluster.startWorker();
    const { data } = await worker.metrics.report();
    for (const name of ["obuilder_space_free", "healthcheck_time_seconds"]) {
      expect(data).toContain(`# TYPE ocluster_worker_${name} gauge\n`);
      expect(data).not.toMatch(new RegExp(`^ocluster_worker_${name} `, "m"));
    }
    worker.metrics.spaceFree.set(12.5);
    expect((await worker.metrics.report()).data).toContain(
      "\nocluster_worker_obuilder_space_free 12.5\n",
    );
  });

  it("of other sources are passed on, and their faults told", async () => {
    const server = createServer((request, response) => {
      if (request.url === "/good") {
        response.writeHead(200, { "Content-Type": "text/x" }).end("x 1\n");
      } else if (request.url === "/untyped") {
        response.end("x 2\n");
      } else {
        response.writeHead(500).end();
      }
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const paths = ["good", "untyped", "bad"];
    const additionalMetrics = new Map(paths.map((name) => [name, new URL(`${base}/${name}`)]));
    additionalMetrics.set("nobody", new URL("http://127.0.0.1:1/"));
    await cluster.startWorker({ additionalMetrics });
    const api = await cluster.remoteWorker();
    const get = (name: string) => WorkerApi.additionalMetric(api, name).catch(String);
    expect(await get("good")).toEqual({ contentType: "text/x", data: "x 1\n" });
    expect(await get("untyped")).toContain("Missing Content-Type in HTTP response from untyped");
    expect(await get("bad")).toContain("bad: 500 Internal Server Error");
    expect(await get("nobody")).toContain("Failed to connect to nobody");
    expect(await get("unknown")).toBeNull();
    api.release();
    server.close();
  });
});
