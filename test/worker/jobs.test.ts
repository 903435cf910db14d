/**
 * A worker's jobs, from the client's side: through a real scheduler, over TLS on loopback.
 */
import { readdirSync } from "node:fs";
import { Text } from "capnp-es";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Job, type JobDescr } from "../../src/api/index.js";
import { JobFailed } from "../../src/worker/index.js";
import { GitServer } from "../support/git-server.js";
import { outcome, puppets, SmallCluster } from "./small-cluster.js";

let cluster: SmallCluster;

beforeEach(async () => {
  cluster = await SmallCluster.open();
});

afterEach(() => cluster.close());

describe("a job", () => {
  it("has a log and an output", async () => {
    await cluster.startWorker({
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
    expect(await outcome(cluster.submit({ text: "hello", secrets }))).toEqual({
      log: "Building on w1\ntest: hello\nsecrets: token=s3cret\nsource: 0 files\nno line endJob succeeded\n",
      result: "the output",
    });
  });

  it("that fails says why at the end of its log", async () => {
    await cluster.startWorker({
      custom: {
        test: async () => {
          throw new JobFailed("The thing is broken.\nVery broken.");
        },
      },
    });
    expect(await outcome(cluster.submit())).toEqual({
      log: "Building on w1\nThe thing is broken.\nVery broken.\n",
      result: "Failed: Build failed",
    });
  });

  it("that fails for no reason of its own is an internal error", async () => {
    await cluster.startWorker({
      custom: {
        test: async () => {
          throw new Error('what is "this"?');
        },
      },
    });
    expect(await outcome(cluster.submit())).toEqual({
      log: 'Building on w1\nUncaught exception: Failure("what is \\"this\\"?")\n',
      result: "Failed: Internal error",
    });
  });

  it("is cancelled on demand", async () => {
    const { custom, started } = puppets();
    await cluster.startWorker({ custom });
    const job = cluster.submit();
    await started("");
    await Job.cancel(job.job);
    expect(await outcome(job)).toEqual({
      log: "Building on w1\nJob cancelled\n",
      result: "Failed: Build cancelled",
    });
  });

  it("is cancelled when its client goes away", async () => {
    const { custom, started } = puppets();
    await cluster.startWorker({ custom });
    cluster.submit().release();
    const leaving = await cluster.network.client("bob");
    const job = cluster.submit({ text: "bob's", by: leaving });
    const { job: running } = await started("bob's");
    const cancelled = new Promise((resolve) => running.signal.addEventListener("abort", resolve));
    await leaving.vat.close();
    await cancelled;
    job.release();
  });

  it("that takes too long fails", async () => {
    const { custom } = puppets();
    await cluster.startWorker({ custom, jobTimeout: 50 });
    expect(await outcome(cluster.submit())).toEqual({
      log: "Building on w1\nJob timed out: it took longer than 0.05 s\n",
      result: "Failed: Build failed",
    });
  });

  it("that floods its log has it cut, and goes on", async () => {
    await cluster.startWorker({
      maxLogSize: 5_000_000,
      custom: {
        test: async ({ log }) => {
          for (let i = 0; i < 1000; i++) await log.write("x".repeat(9_999).concat("\n"));
          return "done";
        },
      },
    });
    const { log, result } = await outcome(cluster.submit());
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
      await cluster.startWorker({ maxLogSize: 5000, custom: { test: async () => "done" } });
      const source = { repository: server.url("repo.git"), commits: [base, side] };
      const { log, result } = await outcome(cluster.submit({ source }));
      expect(log.length).toBeLessThan(5500);
      expect(log).toContain("the log is longer than 5000 bytes ]\nJob succeeded\n");
      expect(result).toBe("done");
    } finally {
      await server.stop();
    }
  });

  it("of an unknown kind is refused", async () => {
    await cluster.startWorker({ custom: { other: async () => "" } });
    expect(await outcome(cluster.submit({ kind: "nonsense" }))).toEqual({
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
      ["a push to a port", { action: push("h:5000/x") }, `Missing ':TAG' in target "h:5000/x"`],
      [
        "a push with no tag that an image can have",
        { action: push("org/x:-bad") },
        'No image can have such a tag: "org/x:-bad"',
      ],
      [
        "a push to no repository that can be",
        { action: push("org/X:1") },
        'No image can be pushed to such a repository: "org/X:1"',
      ],
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
      await cluster.startWorker({ declares: false, custom: { test: async () => "" } });
      expect(await outcome(cluster.submit(descr))).toEqual({
        log: expect.stringContaining(
          `Building on w1\nUncaught exception: Failure(${JSON.stringify(message)})\n`,
        ),
        result: "Failed: Internal error",
      });
    });
  });

  it("gets its log read from anywhere, but not from beyond the end", async () => {
    const { custom, end, started } = puppets();
    await cluster.startWorker({ custom });
    const job = cluster.submit();
    await started("");
    const { data, next } = await Job.log(job.job, -3);
    expect({ text: Buffer.from(data).toString(), next }).toEqual({ text: "w1\n", next: 15 });
    await expect(Job.log(job.job, 16)).rejects.toThrow("Start value out of range!");
    end("");
    await outcome(job);
  });
});
