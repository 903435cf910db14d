/**
 * What `ocluster-client` does for who does not say which scheduler, which pool, or what kind of
 * file.
 */
import { readFileSync, rmSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { AbleQueue, Registration, Worker } from "../../src/api/index.js";
import { readCapFile, Vat } from "../../src/rpc/index.js";
import { Cluster } from "../support/cluster.js";
import { type Ended, run } from "../support/programs.js";
import { ScriptedWorker } from "../support/scripted-worker.js";

let cluster: Cluster;
const workers: ScriptedWorker[] = [];

beforeAll(async () => {
  cluster = await Cluster.start(["--pools=cpu,linux-x86_64"]);
  cluster.write("hello.spec", "; a comment\n((from busybox))\n");
  cluster.write("Dockerfile", "# syntax\nfrom busybox\n");
});

afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.close();
  rmSync(cluster.path("config"), { recursive: true, force: true });
});

afterAll(() => cluster?.stop());

async function worker(pool: string): Promise<ScriptedWorker> {
  const connected = await ScriptedWorker.connect(cluster.cap(`pool-${pool}`));
  workers.push(connected);
  return connected;
}

/** Runs the client with a configuration of its own, and these variables. */
function client(args: readonly string[], variables: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const env = { XDG_CONFIG_HOME: cluster.path("config"), ...variables };
  return run("ocluster-client", args, { cwd: cluster.dir, env });
}

describe("a file", () => {
  it.each([
    ["hello.spec", { kind: "obuilder", spec: "; a comment\n((from busybox))\n" }],
    ["./Dockerfile", { kind: "docker", dockerfile: { contents: "# syntax\nfrom busybox\n" } }],
  ])("is submitted for what it is: %s", async (file, action) => {
    const cpu = await worker("cpu");
    const ended = client(["submit", file], {
      OCLUSTER_CAP: cluster.cap("submission"),
      OCLUSTER_POOL: "cpu",
    });
    const job = await cpu.pop();
    expect(job.descr.action).toMatchObject(action);
    job.fail("Build failed");
    expect((await ended).code).toBe(1);
  });
});

describe("a pool that is not named", () => {
  it("is one of those that are told, if there are several", async () => {
    const { code, stderr } = await client([
      "-c",
      cluster.cap("submission"),
      "submit",
      "hello.spec",
    ]);
    expect(code).toBe(124);
    expect(stderr).toContain("required option --pool is missing: it is one of cpu, linux-x86_64\n");
  });

  it("has a status of its own if it does not exist", async () => {
    const { code, stderr } = await client(["submit", "hello.spec", "--pool=nope"], {
      OCLUSTER_CAP: cluster.cap("submission"),
    });
    expect(code).toBe(13);
    expect(stderr).toContain('Pool ID "nope" not one of {cpu, linux-x86_64}');
  });
});

describe("contexts", () => {
  it("are named, used, listed and removed", async () => {
    const cap = cluster.cap("submission");
    expect(await client(["context", "list"])).toMatchObject({ code: 0, stdout: "" });
    expect((await client(["context", "add", "home", "-c", cap, "--pool=linux-x86_64"])).code).toBe(
      0,
    );
    expect((await client(["context", "add", "work", "-c", cap])).code).toBe(0);
    const list = `* home: ${cap} (pool linux-x86_64)\n  work: ${cap}\n`;
    expect((await client(["context", "list"])).stdout).toBe(list);
    const linux = await worker("linux-x86_64");
    const ended = client(["submit", "hello.spec"]);
    (await linux.pop()).succeed("");
    expect((await ended).code).toBe(0);
    expect((await client(["context", "use", "work"])).code).toBe(0);
    expect((await client(["submit", "hello.spec"])).stderr).toContain(
      "it is one of cpu, linux-x86_64",
    );
    const unknown = await client(["context", "use", "nope"]);
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining("home, work") });
    await client(["context", "remove", "work"]);
    expect(JSON.parse(readFileSync(cluster.path("config/ocluster/config"), "utf8"))).toEqual({
      contexts: { home: { cap, pool: "linux-x86_64" } },
    });
    expect((await client(["pools"])).stderr).toContain("required option --connect is missing (or ");
  });

  it("are not made of a file that is no capability file", async () => {
    const junk = cluster.write("junk.cap", "junk\n");
    const { code, stderr } = await client(["context", "add", "junk", "-c", junk]);
    expect(code).toBe(1);
    expect(stderr).toContain(`"${junk}" is no usable capability file: `);
    expect((await client(["context", "list"])).stdout).not.toContain("junk");
  });

  it("in a file that is none are told of", async () => {
    await client(["context", "add", "home", "-c", cluster.cap("submission")]);
    cluster.write("config/ocluster/config", '{"contexts": {"x": {}}}');
    const { code, stderr } = await client(["pools"]);
    expect(code).toBe(123);
    expect(stderr).toContain('is not understood: the context "x" needs a "cap"');
  });
});

describe("pools", () => {
  it("are listed with what their workers can do, and nothing of who uses them", async () => {
    const vat = new Vat();
    using registration = await vat.import(readCapFile(cluster.cap("pool-cpu")));
    const api = Worker.local({
      metrics: async () => ({ contentType: "text/plain", data: "" }),
      additionalMetric: async () => null,
      selfUpdate: async () => {},
    });
    using queue = Registration.register(registration, { name: "w", capacity: 4, worker: api });
    const machine = { cpus: 8, memory: 16 * 2 ** 30, architecture: "amd64" };
    await AbleQueue.declare(queue, { able: ["obuilder", "outputs"], ...machine });
    await worker("cpu");
    const cap = { OCLUSTER_CAP: cluster.cap("submission") };
    const { code, stderr, stdout } = await client(["pools"], cap);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n").map((line) => line.replace(/ +/g, " "))).toEqual([
      "POOL WORKERS RUNNING CAPACITY QUEUED BUILDS UP TO ALSO",
      "cpu 2 0 5 0 Dockerfiles (1 of 2), specs 8 CPUs, 16.0 GiB, amd64 hand over files (1 of 2)",
      "linux-x86_64 0 0 0 0",
      "",
    ]);
    const json = (await client(["pools", "--json"], cap)).stdout.trim().split("\n");
    expect(JSON.parse(json[0]!)).toEqual({
      ...{ name: "cpu", workers: 2, capacity: 5, running: 0, queued: 0, cpus: 8 },
      able: [
        { ability: "docker", workers: 1 },
        { ability: "obuilder", workers: 2 },
        { ability: "outputs", workers: 1 },
      ],
      ...{ memory: 16 * 2 ** 30, architectures: ["amd64"] },
    });
    expect((await client(["pools", "--names"], cap)).stdout).toBe("cpu\nlinux-x86_64\n");
    await vat.close();
  });
});
