/**
 * Local directories on their way while programs are killed, each at a moment that is drawn by lot:
 * what is built in the end is what the directory has. With OCLUSTER_LONG=1 alone.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";
import { Program } from "../support/programs.js";

const isLong = process.env.OCLUSTER_LONG === "1";
/** How often each program is killed. */
const KILLS = 15;
/** Small files, and bytes of the large one. */
const FILES = 2000;
const LARGE = 24 * 1024 ** 2;

let cluster: Cluster;
let worker: Program;
/** Hash of all that is in the directory, as the build prints it. */
let expected: string;

const startWorker = () =>
  cluster.worker("my-host", [
    `--obuilder-store=overlayfs:${cluster.path("store")}`,
    `--obuilder-image-dir=${cluster.path("images")}`,
    "--obuilder-fetch=local",
    "--obuilder-prune-threshold=0",
    // Each job fetches all of it.
    "--context-cache=1",
  ]);

/** Another tree each time, so that there is something to send. */
function makeTree(): void {
  mkdirSync(cluster.path("tree"), { recursive: true });
  const all = createHash("sha256");
  const large = randomBytes(LARGE);
  writeFileSync(cluster.path("tree/large"), large);
  const begin = randomBytes(8).toString("hex");
  for (let i = 0; i < FILES; i++) {
    const text = `${begin} ${i}\n`;
    all.update(text);
    writeFileSync(cluster.path(`tree/${String(i).padStart(5, "0")}`), text);
  }
  expected = `${all.digest("hex")} ${createHash("sha256").update(large).digest("hex")}`;
}

beforeAll(async () => {
  if (!isLong) return;
  cluster = await Cluster.start(["--reattach-timeout=5"]);
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(cluster.path("images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
  );
  const print = "cd /src; echo $(cat 0* | sha256sum | cut -c1-64) $(sha256sum large | cut -c1-64)";
  cluster.write(
    "a.spec",
    `((from busybox) (shell /bin/sh -c) (copy (src .) (dst /src)) (run (shell "${print}")))`,
  );
  worker = await startWorker();
});

afterAll(() => cluster?.stop());

const client = (...args: readonly string[]) =>
  new Program("ocluster-client", ["-q", "-c", cluster.cap("submission"), ...args], {
    cwd: cluster.dir,
    env: { XDG_CACHE_HOME: cluster.path("cache") },
  });

const submit = (...args: readonly string[]) =>
  client("submit-obuilder", "--local-file=a.spec", "--context=tree", "--detach", ...args);

async function expectBuilt(id: string): Promise<void> {
  expect((await client("wait", id).ended).code, (await client("logs", id).ended).stdout).toBe(0);
  expect((await client("logs", id).ended).stdout).toContain(expected);
}

/** Some moment until it has ended. */
const someMoment = (of: Program, most: number) =>
  Promise.race([of.ended, sleep(Math.random() * most)]);

describe.runIf(isLong)("killed while a directory is on its way", { timeout: 1_800_000 }, () => {
  it("a client sends the rest the next time", async () => {
    for (let round = 0; round < KILLS; round++) {
      makeTree();
      const killed = submit("--key=unused");
      await someMoment(killed, 3000);
      await killed.stop("SIGKILL");
      const { code, stderr, stdout } = await submit().ended;
      expect(code, stderr).toBe(0);
      await expectBuilt(stdout.trim());
    }
  });

  it("a scheduler takes the rest when it is back", async () => {
    for (let round = 0; round < KILLS; round++) {
      makeTree();
      const submitted = submit(`--key=scheduler-${round}`);
      await someMoment(submitted, 3000);
      await cluster.scheduler.stop("SIGKILL");
      await cluster.restartScheduler();
      let ended = await submitted.ended;
      // It was on its first way there, or nobody knows whether there is a job: the key does.
      if (ended.code !== 0) ended = await submit(`--key=scheduler-${round}`).ended;
      expect(ended.code, ended.stderr).toBe(0);
      await expectBuilt(ended.stdout.trim());
    }
  });

  it("a worker begins anew when it is back", async () => {
    for (let round = 0; round < KILLS; round++) {
      makeTree();
      const { stdout } = await submit().ended;
      await sleep(Math.random() * 2000);
      await worker.stop("SIGKILL");
      worker = await startWorker();
      await expectBuilt(stdout.trim());
    }
  });
});
