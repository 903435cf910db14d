/**
 * Many jobs at once, of which some are cancelled at any moment: when all is over, nothing of them
 * is left.
 *
 * By default one round of 50 jobs; with OCLUSTER_LONG=1 rounds for five minutes.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Job, PoolAdmin } from "../../src/api/index.js";
import { deferred } from "../../src/async/index.js";
import { type Capability, writeCapFile } from "../../src/rpc/index.js";
import { Worker } from "../../src/worker/index.js";
import { Network, type TestClient } from "../scheduler/network.js";
import { countLeaks } from "../support/leaks.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";

const JOBS = 50;
const CAPACITY = 8;
const LONG_MS = process.env.OCLUSTER_LONG === "1" ? 5 * 60_000 : 0;
/** Bytes that the heap may have grown after all rounds: caches of the runtime, compiled code. */
const HEAP_SLACK = 32 * 1024 * 1024;

let network: Network;
let client: TestClient;
let pool: Capability;
let dir: string;
let ended: Promise<unknown>;
const stop = new AbortController();

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-many-jobs-"));
  mkdirSync(join(dir, "images"));
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(join(dir, "images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
  );
  network = await Network.start();
  client = await network.client("alice");
  pool = await network.poolAdmin();
  const connect = join(dir, "pool.cap");
  writeCapFile(connect, network.ref("pool-pool"));
  const registered = deferred();
  const worker = new Worker({
    connect,
    name: "w1",
    capacity: CAPACITY,
    stateDir: join(dir, "state"),
    obuilder: {
      store: `overlayfs:${join(dir, "store")}`,
      imageDir: join(dir, "images"),
      fetch: ["local"],
      pruneThreshold: 0,
    },
    onRegistered: () => registered.resolve(),
  });
  ended = worker.run(stop.signal);
  await Promise.race([registered.promise, ended]);
});

afterAll(async () => {
  stop.abort();
  await ended;
  expect(mounts()).toEqual([]);
  expect(readdirSync(join(dir, "state/tmp"))).toEqual([]);
  rmSync(dir, { recursive: true });
  await network.stop();
});

const mounts = () =>
  readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .filter((line) => line.includes(dir));

/** What this process has open: `3 -> socket:[123]`, … */
const openFiles = () =>
  readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return `${fd} -> ${readlinkSync(`/proc/self/fd/${fd}`)}`;
    } catch {
      return []; // that was the one the directory was read with
    }
  });

/** The builder keeps the pipes of its steps for the next ones: as many as ran at a time. */
const isPooled = (file: string) => file.includes("/state/private/pipe-");

const children = () =>
  execFileSync("ps", ["-o", "args=", "--ppid", String(process.pid)], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("ps "));

/** Numbers from 0 to 1 that look random and are the same each time (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One job: submitted after a while, perhaps cancelled or forgotten; how it ended. */
async function job(number: number, next: () => number): Promise<string> {
  const [start, until, fate] = [next() * 500, next() * 1000, next()];
  const seconds = (next() * 0.5).toFixed(2);
  // Some steps are shared by several jobs, so that cancelling one must not harm the others.
  const word = next() < 0.3 ? `shared-${Math.floor(next() * 3)}` : `own-${number}-${next()}`;
  const command = next() < 0.1 ? "exit 1" : `echo ${word}; sleep ${seconds}; seq 1 2000`;
  await pause(start);
  const submitted = client.submit(
    `((from busybox) (shell /bin/sh -c) (run (shell "${command}")) (run (shell "echo second")))`,
  );
  try {
    if (fate < 0.15) {
      await pause(until);
      await Job.cancel(submitted.job).catch(() => {});
    } else if (fate < 0.3) {
      await pause(until);
      return "forgotten";
    }
    await submitted.log().catch(() => {});
    return await submitted.result.then(
      () => "ok",
      (error) => String(error),
    );
  } finally {
    submitted.release();
  }
}

it(
  "leaves no process, file, mount or capability behind",
  async () => {
    // What is loaded and opened once does not count: a first round makes it so.
    const next = random(20_261_121);
    await Promise.all(Array.from({ length: CAPACITY }, (_, number) => job(-number, next)));
    await idle();
    await countLeaks();
    const files = openFiles();
    const heap = process.memoryUsage().heapUsed;
    const endings = new Map<string, number>();
    const deadline = performance.now() + LONG_MS;
    do {
      const round = Array.from({ length: JOBS }, (_, number) => job(number, next));
      for (const ending of await Promise.all(round)) {
        endings.set(ending, (endings.get(ending) ?? 0) + 1);
      }
    } while (performance.now() < deadline);
    await idle();
    await countLeaks();
    expect(children()).toEqual([]);
    const left = openFiles();
    expect(left.filter((file) => !isPooled(file) && !files.includes(file))).toEqual([]);
    expect(left.filter(isPooled).length).toBeLessThanOrEqual(CAPACITY);
    expect(process.memoryUsage().heapUsed).toBeLessThan(heap + HEAP_SLACK);
    const known = ["ok", "forgotten", "Failed: Build failed", "Failed: Build cancelled"];
    expect([...endings.keys()].filter((ending) => !known.includes(ending))).toEqual([]);
    expect(endings.get("ok")).toBeGreaterThan(JOBS / 4);
  },
  LONG_MS + 120_000,
);

/** Waits until the worker has nothing to do: the scheduler counts what runs there. */
async function idle(): Promise<void> {
  while (
    !/w1 \(0\): \[\] \(0 running\)/.test(await PoolAdmin.show(pool)) ||
    children().length > 0
  ) {
    await pause(20);
  }
}
