/**
 * A worker's jobs, from the client's side: through a real scheduler, over TLS on loopback.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Message, Text } from "capnp-es";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Custom } from "../../src/api/generated/ocluster.js";
import {
  Job,
  type JobDescr,
  PoolAdmin,
  Submission,
  Ticket,
  Worker as WorkerApi,
} from "../../src/api/index.js";
import { writeCapFile } from "../../src/rpc/index.js";
import { type CustomJob, JobFailed, Worker, type WorkerOptions } from "../../src/worker/index.js";
import { Network, Submitted, type TestClient } from "../scheduler/network.js";
import { deferred } from "../support/deferred.js";
import { GitServer } from "../support/git-server.js";

let network: Network;
let client: TestClient;
let stateDir: string;
let stop: AbortController;
let ended: Promise<"stopped" | "updated">;

beforeEach(async () => {
  network = await Network.start();
  client = await network.client("alice");
  stateDir = mkdtempSync(join(tmpdir(), "ocluster-worker-"));
  stop = new AbortController();
  ended = Promise.resolve("stopped");
});

afterEach(async () => {
  stop.abort();
  await ended;
  expect(readdirSync(join(stateDir, "tmp"))).toEqual([]);
  rmSync(stateDir, { recursive: true });
  await network.stop();
});

/** Starts a worker and waits until it is registered. */
async function start(options: Partial<WorkerOptions> = {}): Promise<Worker> {
  const connect = join(stateDir, "pool.cap");
  writeCapFile(connect, network.ref("pool-pool"));
  const registered = deferred();
  const worker = new Worker({
    connect,
    name: "w1",
    stateDir,
    onRegistered: () => registered.resolve(),
    ...options,
  });
  ended = worker.run(stop.signal);
  await Promise.race([registered.promise, ended]);
  return worker;
}

interface Order extends Partial<JobDescr> {
  readonly kind?: string;
  readonly text?: string;
}

function submit({ kind = "test", text = "", ...descr }: Order = {}): Submitted {
  const root = new Message().initRoot(Custom);
  Text.fromPointer(root.payload).set(0, text);
  const ticket = Submission.submit(client.submission, {
    pool: "pool",
    urgent: false,
    descr: {
      action: { kind: "custom", name: kind, payload: root.payload },
      cacheHint: "",
      secrets: [],
      ...descr,
    },
  });
  return new Submitted(ticket, Ticket.job(ticket));
}

/** Waits for a job's end, and gives what its client saw. */
async function outcome(job: Submitted): Promise<{ log: string; result: string }> {
  const log = await job.log();
  const result = await job.result.catch(String);
  job.release();
  return { log, result };
}

/** A handler whose jobs wait to be told how to end, by what was sent with them. */
function puppets() {
  const jobs = new Map<string, { job: CustomJob; end: ReturnType<typeof deferred<string>> }>();
  const started = deferred<void>();
  let waiting: { text: string; done: () => void }[] = [];
  const handler = async (job: CustomJob) => {
    const text = Text.fromPointer(job.payload).get(0);
    const end = deferred<string>();
    jobs.set(text, { job, end });
    for (const { done } of waiting.filter((each) => each.text === text)) done();
    waiting = waiting.filter((each) => each.text !== text);
    job.signal.addEventListener("abort", () => end.reject(job.signal.reason));
    started.resolve();
    return end.promise;
  };
  return {
    custom: { test: handler },
    running: () => [...jobs.keys()],
    /** Waits until the job that `text` came with runs. */
    async started(text: string) {
      if (!jobs.has(text)) {
        await new Promise<void>((done) => {
          waiting.push({ text, done });
        });
      }
      return jobs.get(text)!;
    },
    end(text: string) {
      jobs.get(text)!.end.resolve(`${text} is done`);
      jobs.delete(text);
    },
  };
}

describe("a job", () => {
  it("has a log and an output", async () => {
    await start({
      custom: {
        test: async ({ kind, log, payload, secrets, src }) => {
          log.append(`${kind}: ${Text.fromPointer(payload).get(0)}`);
          log.append(`secrets: ${secrets.map(({ id, value }) => `${id}=${value}`)}`);
          log.append(`source: ${readdirSync(src).length} files`);
          log.write("no line end");
          return "the output";
        },
      },
    });
    const secrets = [{ id: "token", value: "s3cret" }];
    expect(await outcome(submit({ text: "hello", secrets }))).toEqual({
      log: "Building on w1\ntest: hello\nsecrets: token=s3cret\nsource: 0 files\nno line endJob succeeded\n",
      result: "the output",
    });
  });

  it("that fails says why at the end of its log", async () => {
    await start({
      custom: {
        test: async () => {
          throw new JobFailed("The thing is broken.\nVery broken.");
        },
      },
    });
    expect(await outcome(submit())).toEqual({
      log: "Building on w1\nThe thing is broken.\nVery broken.\n",
      result: "Failed: Build failed",
    });
  });

  it("that fails for no reason of its own is an internal error", async () => {
    await start({
      custom: {
        test: async () => {
          throw new Error('what is "this"?');
        },
      },
    });
    expect(await outcome(submit())).toEqual({
      log: 'Building on w1\nUncaught exception: Failure("what is \\"this\\"?")\n',
      result: "Failed: Internal error",
    });
  });

  it("is cancelled on demand", async () => {
    const { custom, started } = puppets();
    await start({ custom });
    const job = submit();
    await started("");
    await Job.cancel(job.job);
    expect(await outcome(job)).toEqual({
      log: "Building on w1\nJob cancelled\n",
      result: "Failed: Build cancelled",
    });
  });

  it("is cancelled when its client goes away", async () => {
    const { custom, started } = puppets();
    await start({ custom });
    submit().release();
    const leaving = await network.client("bob");
    client = leaving;
    const job = submit({ text: "bob's" });
    const { job: running } = await started("bob's");
    const cancelled = new Promise((resolve) => running.signal.addEventListener("abort", resolve));
    await leaving.vat.close();
    await cancelled;
    job.release();
  });

  it("that takes too long fails", async () => {
    const { custom } = puppets();
    await start({ custom, jobTimeout: 50 });
    expect(await outcome(submit())).toEqual({
      log: "Building on w1\nJob timed out: it took longer than 0.05 s\n",
      result: "Failed: Build failed",
    });
  });

  it("that floods its log has it cut, and goes on", async () => {
    await start({
      maxLogSize: 5_000_000,
      custom: {
        test: async ({ log }) => {
          for (let i = 0; i < 1000; i++) await log.write("x".repeat(9_999).concat("\n"));
          return "done";
        },
      },
    });
    const { log, result } = await outcome(submit());
    expect(log.length).toBeLessThan(5_001_000);
    expect(log.slice(-200)).toContain("the log is longer than 5000000 bytes ]\nJob succeeded\n");
    expect(result).toBe("done");
  });

  it("has what Git says about its source count as its output", async () => {
    const server = await GitServer.start();
    try {
      const files = Array.from({ length: 500 }, (_, n) => [`file-${n}`, ""] as const);
      const base = server.create("repo.git", { file: "" });
      const side = server.branch("repo.git", "side", base, Object.fromEntries(files));
      server.commit("repo.git", { other: "" });
      await start({ maxLogSize: 5000, custom: { test: async () => "done" } });
      const source = { repository: server.url("repo.git"), commits: [base, side] };
      const { log, result } = await outcome(submit({ source }));
      expect(log.length).toBeLessThan(5500);
      expect(log).toContain("the log is longer than 5000 bytes ]\nJob succeeded\n");
      expect(result).toBe("done");
    } finally {
      await server.stop();
    }
  });

  it("of an unknown kind is refused", async () => {
    await start({ custom: { other: async () => "" } });
    expect(await outcome(submit({ kind: "nonsense" }))).toEqual({
      log:
        "Building on w1\n" +
        'This worker does not handle custom jobs of kind "nonsense". It handles: other\n',
      result: "Failed: Build failed",
    });
  });

  describe("that cannot be one", () => {
    const docker = {
      kind: "docker",
      dockerfile: { path: "Dockerfile" },
      buildArgs: [],
      squash: false,
      buildkit: false,
      includeGit: false,
    } as const;
    const spec = (text: string) => ({ kind: "obuilder", spec: text }) as const;
    const push = (target: string) => ({ ...docker, push: { target } });
    const source = (repository: string, commit = "0".repeat(40)) => ({
      repository,
      commits: [commit],
    });

    it.each<[string, Partial<JobDescr>, string]>([
      [
        "a spec for a worker without a store",
        { action: spec("((from busybox))") },
        "This worker is not configured for use with OBuilder!",
      ],
      ["a bad spec, store or not", { action: spec("hush") }, "Invalid spec: hush"],
      ["a push without a tag", { action: push("org/x") }, `Missing ':TAG' in target "org/x"`],
      ["a push without a repository", { action: push(":1") }, `Repository empty in ":1"`],
      ["a push with an empty tag", { action: push("org/x:") }, `Tag empty in "org/x:"`],
      ["commits of no repository", { source: source("") }, "Missing scheme in URL "],
      ["a URL without a scheme", { source: source("/etc") }, "Missing scheme in URL /etc"],
      [
        "a URL with another scheme",
        { source: source("ssh://host/repo") },
        'Unsupported scheme "ssh" in URL ssh://host/repo',
      ],
      [
        "a commit that is no hash",
        { source: source("http://127.0.0.1/repo", "master") },
        'Invalid commit "master": expected a full hash',
      ],
    ])("is an internal error: %s", async (_what, descr, message) => {
      await start({ custom: { test: async () => "" } });
      expect(await outcome(submit(descr))).toEqual({
        log: expect.stringContaining(
          `Building on w1\nUncaught exception: Failure(${JSON.stringify(message)})\n`,
        ),
        result: "Failed: Internal error",
      });
    });
  });

  it("gets its log read from anywhere, but not from beyond the end", async () => {
    const { custom, end, started } = puppets();
    await start({ custom });
    const job = submit();
    await started("");
    const { data, next } = await Job.log(job.job, -3);
    expect({ text: Buffer.from(data).toString(), next }).toEqual({ text: "w1\n", next: 15 });
    await expect(Job.log(job.job, 16)).rejects.toThrow("Start value out of range!");
    end("");
    await outcome(job);
  });
});

describe("capacity", () => {
  it("is how many jobs run at a time", async () => {
    const { custom, end, running, started } = puppets();
    await start({ custom, capacity: 2 });
    const jobs = ["a", "b", "c"].map((text) => submit({ text }));
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
    const worker = await start({ custom, weights, capacity: 3 });
    const heavy = submit({ text: "a", cacheHint: "a heavy one" });
    await started("a");
    const light = submit({ text: "b" });
    await light.queued();
    expect(running()).toEqual(["a"]);
    expect((await worker.metrics.report()).data).toContain("ocluster_worker_running_jobs 3\n");
    end("a");
    await started("b");
    const veryHeavy = submit({ text: "c", cacheHint: "very heavy" });
    await started("c");
    end("b");
    end("c");
    await Promise.all([heavy, light, veryHeavy].map(outcome));
  });
});

describe("the end of a worker", () => {
  it("comes after one job, if so wished, and leaves time to read its log", async () => {
    await start({ once: true, custom: { test: async () => "first" } });
    const job = submit();
    expect(await job.result).toBe("first");
    expect(await job.log()).toContain("Job succeeded");
    job.release();
    expect(await ended).toBe("stopped");
    expect(await network.show()).toMatch(/disconnected:|workers: *$|registered: *$/m);
  });

  it("lets the running jobs finish when it drains, and takes no other", async () => {
    const { custom, end, started } = puppets();
    const worker = await start({ custom });
    const job = submit({ text: "running" });
    await started("running");
    worker.drain();
    // Until the scheduler knows, it may still hand a job out.
    while (!(await network.show()).includes("w1 (0): (inactive: worker pause)"));
    const later = submit({ text: "later" });
    await later.queued();
    end("running");
    expect(await outcome(job)).toMatchObject({ result: "running is done" });
    expect(await ended).toBe("stopped");
    await Ticket.cancel(later.ticket);
    later.release();
  });

  it("cancels the running jobs when it is stopped", async () => {
    const { custom, started } = puppets();
    await start({ custom });
    const job = submit();
    await started("");
    stop.abort();
    expect(await outcome(job)).toEqual({
      log: "Building on w1\nJob cancelled\n",
      result: "Failed: Build cancelled",
    });
    expect(await ended).toBe("stopped");
  });

  it("is told apart from an update, which waits for the running jobs", async () => {
    const { custom, end, started } = puppets();
    const steps: string[] = [];
    const updater = async () => {
      steps.push("prepared");
      return async () => void steps.push("finished");
    };
    await start({ custom, updater });
    const job = submit();
    await started("");
    const pool = await network.poolAdmin();
    const api = PoolAdmin.worker(pool, "w1");
    const updating = WorkerApi.selfUpdate(api);
    while (steps.length === 0) await WorkerApi.metrics(api, "agent");
    end("");
    expect(await outcome(job)).toMatchObject({ result: " is done" });
    await expect(updating).rejects.toMatchObject({ kind: "disconnected" });
    expect(steps).toEqual(["prepared", "finished"]);
    expect(await ended).toBe("updated");
    api.release();
  });

  it("does not come by an update that cannot be prepared", async () => {
    const updater = async () => {
      throw new Error("no such image");
    };
    const { custom, end, started } = puppets();
    await start({ custom, updater });
    const api = PoolAdmin.worker(await network.poolAdmin(), "w1");
    await expect(WorkerApi.selfUpdate(api)).rejects.toThrow("no such image");
    api.release();
    const job = submit();
    await started("");
    end("");
    await outcome(job);
  });
});

describe("metrics", () => {
  it("of the worker have the known names", async () => {
    await start({ custom: { test: async () => "" } });
    await outcome(submit());
    const api = PoolAdmin.worker(await network.poolAdmin(), "w1");
    const { contentType, data } = await WorkerApi.metrics(api, "agent");
    api.release();
    expect(contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
    const values = [
      "ocluster_worker_jobs_accepted_total 1",
      'ocluster_worker_job_time_seconds_count{result="ok"} 1',
      "ocluster_worker_docker_push_time_seconds_count 0",
      "ocluster_worker_docker_prune_time_seconds_count 0",
      "ocluster_worker_running_jobs 0",
      "ocluster_worker_unhealthy 0",
      "ocluster_worker_cache_hits 0",
      "ocluster_worker_cache_misses 0",
      "capnp_net_connections 1",
    ];
    expect(data.split("\n")).toEqual(expect.arrayContaining(values));
  });

  it("of a store are not made up by a worker without one: a full disk looks like that", async () => {
    const worker = await start();
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
    await start({ additionalMetrics });
    const api = PoolAdmin.worker(await network.poolAdmin(), "w1");
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

it("refuses a capability file that is none, before anything else", async () => {
  const bad = join(stateDir, "pool.cap");
  const worker = new Worker({ connect: bad, name: "w", stateDir: join(stateDir, "inner") });
  await expect(worker.run()).rejects.toThrow(`"${bad}" does not exist`);
  expect(readdirSync(stateDir)).toEqual([]);
  await start(); // for what is checked at the end
  expect(readFileSync(bad, "utf8")).toMatch(/^capnp:/);
});
