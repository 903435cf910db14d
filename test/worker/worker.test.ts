/** A worker's life: how much it takes on, how it ends, and what it does not begin with. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Ticket, Worker as WorkerApi } from "../../src/api/index.js";
import { serviceUpdater, Worker } from "../../src/worker/index.js";
import { LogEntries } from "../support/log-entries.js";
import { outcome, puppets, SmallCluster } from "./small-cluster.js";

let cluster: SmallCluster;

beforeEach(async () => {
  cluster = await SmallCluster.open();
});

afterEach(() => cluster.close());

describe("capacity", () => {
  it("is how many jobs run at a time", async () => {
    const { custom, end, running, started } = puppets();
    await cluster.startWorker({ custom, capacity: 2 });
    const jobs = ["a", "b", "c"].map((text) => cluster.submit({ text }));
    await started("a");
    await started("b");
    expect(running().sort()).toEqual(["a", "b"]);
    end("a");
    await started("c");
    end("b");
    end("c");
    const results = await Promise.all(jobs.map(outcome));
    expect(results.map(({ result }) => result)).toEqual(["a is done", "b is done", "c is done"]);
  });

  it("is taken in units of the job's weight", async () => {
    const { custom, end, running, started } = puppets();
    const weights = [
      { pattern: /heavy/, weight: 3 },
      { pattern: /^very heavy/, weight: 100 },
    ];
    const worker = await cluster.startWorker({ custom, weights, capacity: 3 });
    const heavy = cluster.submit({ text: "a", cacheHint: "a heavy one" });
    await started("a");
    const light = cluster.submit({ text: "b" });
    await light.queued();
    expect(running()).toEqual(["a"]);
    expect((await worker.metrics.report()).data).toContain("ocluster_worker_running_jobs 3\n");
    end("a");
    await started("b");
    const veryHeavy = cluster.submit({ text: "c", cacheHint: "very heavy" });
    await started("c");
    end("b");
    end("c");
    await Promise.all([heavy, light, veryHeavy].map(outcome));
  });
});

describe("the end of a worker", () => {
  it("comes after one job, if so wished, and leaves time to read its log", async () => {
    await cluster.startWorker({ once: true, custom: { test: async () => "first" } });
    const job = cluster.submit();
    expect(await job.result).toBe("first");
    expect(await job.log()).toContain("Job succeeded");
    job.release();
    expect(await cluster.ended).toBe("stopped");
    expect(await cluster.network.show()).toMatch(/disconnected:|workers: *$|registered: *$/m);
  });

  it("lets the running jobs finish when it drains, and takes no other", async () => {
    const { custom, end, started } = puppets();
    const worker = await cluster.startWorker({ custom });
    const job = cluster.submit({ text: "running" });
    await started("running");
    worker.drain();
    // Until the scheduler knows, it may still hand a job out.
    while (!(await cluster.network.show()).includes("w1 (0): (inactive: worker pause)"));
    const later = cluster.submit({ text: "later" });
    await later.queued();
    end("running");
    expect(await outcome(job)).toMatchObject({ result: "running is done" });
    expect(await cluster.ended).toBe("stopped");
    await Ticket.cancel(later.ticket);
    later.release();
  });

  it("cancels the running jobs when it is stopped", async () => {
    const { custom, started } = puppets();
    await cluster.startWorker({ custom });
    const job = cluster.submit();
    await started("");
    cluster.stopWorker();
    expect(await outcome(job)).toEqual({
      log: "Building on w1\nJob cancelled\n",
      result: "Failed: Build cancelled",
    });
    expect(await cluster.ended).toBe("stopped");
  });

  it("is told apart from an update, which waits for the running jobs", async () => {
    const { custom, end, started } = puppets();
    const steps: string[] = [];
    const updater = async () => {
      steps.push("prepared");
      return async () => void steps.push("finished");
    };
    await cluster.startWorker({ custom, updater });
    const job = cluster.submit();
    await started("");
    const api = await cluster.remoteWorker();
    const updating = WorkerApi.selfUpdate(api);
    while (steps.length === 0) await WorkerApi.metrics(api, "agent");
    end("");
    expect(await outcome(job)).toMatchObject({ result: " is done" });
    await expect(updating).rejects.toMatchObject({ kind: "disconnected" });
    expect(steps).toEqual(["prepared", "finished"]);
    expect(await cluster.ended).toBe("updated");
    api.release();
  });

  it("does not come by an update that cannot be prepared", async () => {
    const updater = async () => {
      throw new Error("no such image");
    };
    const { custom, end, started } = puppets();
    await cluster.startWorker({ custom, updater });
    const api = await cluster.remoteWorker();
    using told = new LogEntries();
    await expect(WorkerApi.selfUpdate(api)).rejects.toThrow("no such image");
    expect(told.text).toContain("[WARNING] Self-update failed: no such image\n");
    api.release();
    const job = cluster.submit();
    await started("");
    end("");
    await outcome(job);
  });

  it("names another way of updating where there is no Docker engine", async () => {
    await cluster.startWorker();
    const docker = new Docker({ socketPath: join(cluster.stateDir, "no.sock") });
    const image = { repository: "org/worker", tag: "live", service: "agent" };
    await expect(serviceUpdater(docker, image)()).rejects.toThrow(
      "Cannot reach the worker's Docker engine: it is not running; " +
        "a worker that is no Docker service is started with --update-mode=restart",
    );
  });
});

it("refuses a capability file that is none, before anything else", async () => {
  const bad = join(cluster.stateDir, "pool.cap");
  const worker = new Worker({ connect: bad, name: "w", stateDir: join(cluster.stateDir, "inner") });
  await expect(worker.run()).rejects.toThrow(`"${bad}" does not exist`);
  expect(readdirSync(cluster.stateDir)).toEqual([]);
  await cluster.startWorker(); // for what is checked at the end
  expect(readFileSync(bad, "utf8")).toMatch(/^capnp:/);
});
