/**
 * The main job of the whole system, through all four programs: a spec is submitted, queued, popped
 * by a worker that dialled out, built in a real sandbox, its log streamed back, and the result is
 * the layer's id.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import {
  addBashAndTar,
  busyboxRoot,
  withTemporaryRoot,
  writeOciLayout,
} from "../support/oci-layout.js";
import { type Ended, type Program, run } from "../support/programs.js";

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

let cluster: Cluster;
let worker: Program;

const workerArgs = () => [
  "--capacity=2",
  `--obuilder-store=overlayfs:${cluster.path("store")}`,
  `--obuilder-image-dir=${cluster.path("images")}`,
  "--obuilder-fetch=local",
  // The host's free space is not what these tests are about.
  "--obuilder-prune-threshold=0",
];

beforeAll(async () => {
  cluster = await Cluster.start();
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(cluster.path("images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
  );
  withTemporaryRoot(
    (rootfs) => {
      busyboxRoot(rootfs);
      addBashAndTar(rootfs);
    },
    (rootfs) => writeOciLayout(cluster.path("images/debian"), { rootfs, env: [PATH], tag: "13" }),
  );
  worker = await cluster.worker("my-host", workerArgs());
});

afterAll(() => cluster.stop());

describe("a spec built end to end", () => {
  it("gives the ids of the system's documentation", async () => {
    const spec = cluster.write(
      "hello.spec",
      '((from debian:13) (user (uid 1000) (gid 1000)) (run (shell "echo Hello World")))',
    );
    const ended = await cluster.submitSpec(spec).ended;
    expect(ended.stderr).toMatch(/Connecting to tcp:127\.0\.0\.1:\d+\.\.\. OK/);
    expect(ended.code).toBe(0);
    const lines = ended.stdout.split("\n");
    expect(lines.slice(0, 2)).toEqual(["Tailing log:", "Building on my-host"]);
    expect(lines).toContain("Hello World");
    expect(ended.stdout).toContain(
      '---> saved as "4ea035d1f0cfdda7660f299954022c3a974ec9e1ba5d06b3a9aa2bca24fdcfb7"',
    );
    expect(lines.slice(-3)).toEqual([
      "Job succeeded",
      'Result: "e3859ae9dcce742a0d612e55f69b5ed1614551ca2b49109e43d08f2f2595fd57"',
      "",
    ]);
  });

  it("serves the same spec from the cache, log and all", async () => {
    const again = await cluster.submitSpec(cluster.path("hello.spec")).ended;
    expect(again.stdout).toContain(
      '---> using "e3859ae9dcce742a0d612e55f69b5ed1614551ca2b49109e43d08f2f2595fd57" from cache',
    );
    expect(again.stdout.split("\n")).toContain("Hello World");
    expect(again.code).toBe(0);
  });

  it("reports a failing step as the client's failure", async () => {
    const spec = cluster.write(
      "failing.spec",
      '((from busybox) (shell /bin/sh -c) (run (shell "cat /nonexistent; exit 3")))',
    );
    const ended = await cluster.submitSpec(spec).ended;
    expect(ended.stdout).toContain(
      '"/bin/sh" "-c" "cat /nonexistent; exit 3" failed with exit status 3\n',
    );
    expect(ended.stdout).toMatch(/Failed: Build failed\.\n$/);
    expect(ended.code).toBe(1);
  });

  it("passes secrets to the step and keeps them out of the log's headings", async () => {
    const secret = cluster.write("token", "s3cret-value");
    const spec = cluster.write(
      "secret.spec",
      '((from busybox) (shell /bin/sh -c) (run (secrets (tok (target /run/tok))) (shell "wc -c < /run/tok")))',
    );
    const ended = await cluster.submitSpec(spec, ["--secret", `tok:${secret}`]).ended;
    expect(ended.code).toBe(0);
    expect(ended.stdout.split("\n")).toContain("12");
    expect(ended.stdout).not.toContain("s3cret-value");
  });

  it("shows the worker in the pool's state", async () => {
    expect(await cluster.show()).toMatch(/registered:\n {2}my-host \(0\): \[\] \(0 running\)/);
  });
});

describe("what goes away", () => {
  const endless =
    '((from busybox) (shell /bin/sh -c) (run (shell "echo started; exec sleep 1000000")))';

  it("cancels the job on the worker when the client is interrupted", async () => {
    const client = cluster.submitSpec(cluster.write("endless.spec", endless));
    await client.sees("stdout", /^started$/m);
    const ended = await client.stop("SIGINT");
    expect(ended.signal ?? ended.code).toSatisfy((end) => end === "SIGINT" || end === 130);
    await worker.sees("stderr", /Job cancelled/);
  });

  it("tells the client when the worker dies, and takes the next worker", async () => {
    const client = cluster.submitSpec(
      cluster.write("endless2.spec", endless.replace("started", "begun")),
    );
    await client.sees("stdout", /^begun$/m);
    await worker.stop("SIGKILL");
    const ended = await client.ended;
    expect(ended.code).toBe(1);
    expect(ended.stdout + ended.stderr).toMatch(/Disconnected: /);

    worker = await cluster.worker("my-host", workerArgs());
    expect((await cluster.submitSpec(cluster.path("hello.spec")).ended).code).toBe(0);
  });

  it("lets a worker find the scheduler again after its restart", async () => {
    await cluster.scheduler.stop("SIGTERM");
    await worker.sees("stderr", /Lost connection to scheduler \(.*\)\. Will retry in [\d.]+s/);
    worker.stderr = "";
    await cluster.restartScheduler();
    await worker.sees("stderr", /Requesting a new job/);
    expect((await cluster.submitSpec(cluster.path("hello.spec")).ended).code).toBe(0);
  });
});

describe("capability files that do not work", () => {
  /** The submission cap, altered. */
  const altered = (name: string, alter: (uri: string) => string) => {
    writeFileSync(cluster.cap(name), alter(readFileSync(cluster.cap("submission"), "utf8").trim()));
    return cluster.cap(name);
  };
  const submitWith = (cap: string): Promise<Ended> =>
    run("ocluster-client", [
      "submit-obuilder",
      `--connect=${cap}`,
      "--pool=linux-x86_64",
      `--local-file=${cluster.path("hello.spec")}`,
    ]);

  it("refuses a wrong secret", async () => {
    const ended = await submitWith(altered("wrong-secret", (uri) => `${uri.slice(0, -4)}AAAA`));
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("Unknown persistent service ID");
    expect(ended.stderr).toContain("wrong-secret.cap");
  });

  it("refuses a scheduler with another fingerprint", async () => {
    const cap = altered("wrong-print", (uri) => uri.replace(/sha-256:..../, "sha-256:AAAA"));
    const ended = await submitWith(cap);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/fingerprint/i);
    expect(ended.stderr).toContain("wrong-print.cap");
  });

  it("names a malformed file and what is wrong with it", async () => {
    const cap = altered("cut", (uri) => uri.slice(0, "capnp://sha-2".length));
    const ended = await submitWith(cap);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("cut.cap");
    expect(ended.stderr).toContain("Missing digest hash type");
  });

  it("treats a missing file as a bad command line", async () => {
    const ended = await submitWith(join(cluster.dir, "nowhere.cap"));
    expect(ended.code).toBe(124);
    expect(ended.stderr).toContain("nowhere.cap");
  });
});
