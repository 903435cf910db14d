/**
 * Files on their way while programs are killed, each at a byte that is drawn by lot: nothing that
 * is not whole ever has its final name, and what arrives in the end is what was made.
 */
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";
import { Program } from "../support/programs.js";

/** How often each program is killed. */
const KILLS = process.env.OCLUSTER_LONG === "1" ? 50 : 1;

/** Megabytes of the large file. */
const SIZE = 32;

const MAKE =
  `mkdir -p /out/small; dd if=/dev/urandom of=/out/large bs=1M count=${SIZE} 2>/dev/null; ` +
  "for i in $(seq 300); do echo $i > /out/small/$i; done; sha256sum /out/large | cut -c1-64 > /out/sum";

let cluster: Cluster;
let worker: Program;

const startWorker = () =>
  cluster.worker("my-host", [
    `--obuilder-store=overlayfs:${cluster.path("store")}`,
    `--obuilder-image-dir=${cluster.path("images")}`,
    "--obuilder-fetch=local",
    "--obuilder-prune-threshold=0",
  ]);

beforeAll(async () => {
  cluster = await Cluster.start();
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(cluster.path("images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
  );
  worker = await startWorker();
});

afterAll(() => cluster.stop());

const client = (...args: readonly string[]) =>
  new Program("ocluster-client", ["-q", "-c", cluster.cap("submission"), ...args], {
    cwd: cluster.dir,
  });

/**
 * Submits the job that makes the files, under a name of its own so that it is made anew, and
 * returns its number.
 */
async function submit(round: string): Promise<string> {
  const command = JSON.stringify(`: ${round}; ${MAKE}`);
  const spec = cluster.write(
    "out.spec",
    `((from busybox) (shell /bin/sh -c) (run (shell ${command})))`,
  );
  const args = ["submit-obuilder", "--pool=linux-x86_64", `--local-file=${spec}`];
  const { code, stdout } = await client(...args, "--output=/out", "--detach").ended;
  expect(code).toBe(0);
  return stdout.trim();
}

/** Resolves when the file has so many bytes, or `over` says that it will not. */
async function hasBytes(
  find: () => string | undefined,
  bytes: number,
  over: Promise<unknown>,
): Promise<void> {
  let isOver = false;
  over.then(() => {
    isOver = true;
  });
  const isReached = () => {
    const path = find();
    const size = path === undefined ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0);
    return isOver || size >= bytes;
  };
  await expect.poll(isReached, { interval: 2, timeout: 60_000 }).toBe(true);
}

const draw = () => Math.floor(Math.random() * SIZE * 1024 ** 2);

/** The scheduler's file for a job on its way. */
function partOf(id: string): string | undefined {
  const top = cluster.path("scheduler/outputs");
  for (const book of existsSync(top) ? readdirSync(top) : []) {
    const path = join(top, book, `${id}-1.part`);
    if (existsSync(path)) return path;
  }
  return undefined;
}

async function expectWhole(id: string): Promise<void> {
  expect(await client("fetch", id, "--to=got").ended).toMatchObject({ code: 0, stderr: "" });
  const large = readFileSync(cluster.path("got/out/large"));
  expect(createHash("sha256").update(large).digest("hex")).toBe(cluster.read("got/out/sum").trim());
  expect(readdirSync(cluster.path("got/out/small"))).toHaveLength(300);
  expect(readdirSync(cluster.dir).filter((name) => name.includes(".ocluster-"))).toEqual([]);
  rmSync(cluster.path("got"), { recursive: true });
}

describe("killed while files are on their way", { timeout: 60_000 + KILLS * 90_000 }, () => {
  it("a client leaves nothing under its final name, and the next one goes on", async () => {
    const id = await submit("client");
    expect((await client("wait", id).ended).code).toBe(0);
    const aside = cluster.path(`.got.ocluster-${id}-1`);
    const large = () => (existsSync(join(aside, "0/large")) ? join(aside, "0/large") : undefined);
    for (let round = 0; round < KILLS; round++) {
      const fetch = client("fetch", id, "--to=got");
      const bytes = draw();
      await hasBytes(large, bytes, fetch.ended);
      await fetch.stop("SIGKILL");
      const isThere = existsSync(cluster.path("got/out"));
      if (!isThere && large()) expect(lstatSync(large()!).size).toBeGreaterThan(0);
      if (isThere) expect(readdirSync(cluster.path("got/out/small"))).toHaveLength(300);
      if (isThere) rmSync(cluster.path("got"), { recursive: true });
    }
    await expectWhole(id);
  });

  it("a scheduler goes on where it was, and tells of no end before all is there", async () => {
    for (let round = 0; round < KILLS; round++) {
      const id = await submit(`scheduler ${round}`);
      await hasBytes(() => partOf(id), draw(), client("wait", id).ended);
      await cluster.scheduler.stop("SIGKILL");
      await cluster.restartScheduler();
      expect(await client("wait", id).ended).toMatchObject({ code: 0 });
      expect(partOf(id)).toBeUndefined();
      await expectWhole(id);
    }
  });

  it("a worker hands over when it is back what it had taken", async () => {
    for (let round = 0; round < KILLS; round++) {
      const id = await submit(`worker ${round}`);
      await hasBytes(() => partOf(id), draw(), client("wait", id).ended);
      await worker.stop("SIGKILL");
      worker = await startWorker();
      expect(await client("wait", id).ended).toMatchObject({ code: 0 });
      await expectWhole(id);
      const attempts = cluster.path("worker-my-host/attempts");
      await expect.poll(() => readdirSync(attempts)).toEqual(["journal"]);
    }
  });
});
