/*
 * A builder is killed at random moments, again and again. What its store serves afterwards is
 * complete, and nothing of the killed one is left.
 *
 * By default 100 times in all, with OCLUSTER_LONG=1 five times as often; OCLUSTER_SEED repeats a
 * run as far as time allows.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readRows } from "../../src/obuilder/build/database.js";
import type { RsyncMode } from "../../src/obuilder/choices.js";
import type { LayerId, Store } from "../../src/obuilder/contracts.js";
import { type BuilderOptions, readSpec } from "../../src/obuilder/index.js";
import { inspectStore, parseStoreSpec } from "../../src/obuilder/stores/open-store.js";
import { listMounts } from "../../src/system/mounts.js";
import { Random } from "../rpc/model/random.js";
import { TextLog, Workshop } from "../support/builder.js";
import { bundled } from "../support/bundled.js";
import { CRASH_BUILDS } from "../support/crash-builds.js";
import { DockerEngine } from "../support/docker-engine.js";
import { LoopDisk } from "../support/loop-disk.js";
import { busyboxWithMountPoints } from "../support/oci-layout.js";
import { describeTree } from "../support/tree.js";

const TIMES = process.env.OCLUSTER_LONG === "1" ? 5 : 1;
const SEED = Number(process.env.OCLUSTER_SEED ?? Date.now() % 1_000_000);

/** The latest moment to be killed at, in ms after a process has begun to open the store. */
const LATEST = 1000;

interface Layer {
  readonly tree: string;
  readonly log: string;
}

type Options = Partial<BuilderOptions> & { readonly store: string };

let program: string;
let workshop: Workshop;
/** All layers that can come of the builds, from a builder that nobody killed. */
let expected: Map<LayerId, Layer>;

beforeAll(async () => {
  program = await bundled("test/integration/fixtures/crash-builder.ts");
  workshop = new Workshop();
  workshop.image("busybox", "latest", busyboxWithMountPoints, ["PATH=/bin:/usr/bin"]);
  mkdirSync(join(workshop.path("source"), "sub"));
  for (let n = 0; n < 20; n++)
    writeFileSync(join(workshop.path("source"), "sub", `${n}`), `${n}\n`);
  expected = await undisturbed({ store: `overlayfs:${workshop.path("undisturbed")}` });
});

afterAll(() => {
  workshop.remove();
  rmSync(join(program, ".."), { recursive: true });
});

async function buildAll(options: Options): Promise<void> {
  const builder = await workshop.open(options);
  try {
    for (const spec of CRASH_BUILDS) {
      const sourceDir = workshop.path("source");
      await builder.build({ spec: readSpec(spec), sourceDir, log: new TextLog() });
    }
  } finally {
    await builder.close();
  }
}

async function undisturbed(options: Options): Promise<Map<LayerId, Layer>> {
  await buildAll(options);
  return await withStore(options, layersOf);
}

async function withStore<T>({ store }: Options, use: (store: Store) => Promise<T>): Promise<T> {
  const { store: inspected } = await inspectStore(parseStoreSpec(store));
  try {
    return await use(inspected);
  } finally {
    await inspected.close();
  }
}

async function layersOf(store: Store): Promise<Map<LayerId, Layer>> {
  const layers = new Map<LayerId, Layer>();
  for (const { id } of await store.list()) {
    const root = await store.rootfs(id);
    const log = readFileSync(await store.logFile(id), "utf8");
    layers.set(id, { tree: describeTree(root.path), log });
    await root.release();
  }
  return layers;
}

/** Starts builds on the store and kills their process. */
async function killedOnce(options: Options, seed: number, after: number): Promise<void> {
  const all = { imageDir: workshop.path("images"), fetch: ["local"], ...options };
  const args = [program, JSON.stringify(all), workshop.path("source"), String(seed)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const complaints = gather(child);
  const ended = once(child, "close");
  await Promise.race([once(child.stdout!, "data"), ended]); // it is about to open the store
  await Promise.race([delay(after), ended]);
  child.kill("SIGKILL");
  const [, signal] = await ended;
  expect({ signal, said: complaints() }).toEqual({ signal: "SIGKILL", said: "" });
}

function gather(child: ChildProcess): () => string {
  let text = "";
  child.stderr!.setEncoding("utf8").on("data", (data: string) => {
    text += data;
  });
  return () => text;
}

/** Opens the store as the next process would; then all that is in it must be as it should. */
async function verify(options: Options): Promise<void> {
  await (await workshop.open(options)).close();
  await withStore(options, async (store) => {
    const layers = await layersOf(store);
    for (const [id, layer] of layers) expect({ id, ...layer }).toEqual({ id, ...expected.get(id) });
    const rows = readRows(join(store.stateDir, "db/db.sqlite"));
    expect(rows.map(({ id }) => id).sort()).toEqual([...layers.keys()].sort());
    for (const { id, children } of rows) {
      const made = rows.filter(({ parent }) => parent === id).length;
      expect({ id, children }).toEqual({ id, children: made });
    }
    for (const dir of ["result-tmp", "in-progress", "cache-tmp", "merged", "work", "views"]) {
      expect(entriesOf(join(store.root, dir))).toEqual([]);
    }
    expect(entriesOf(join(store.stateDir, "private"))).toEqual([]);
    expect(entriesOf(join(store.stateDir, "sandbox"))).toEqual([]);
    expect(entriesOf(join(store.stateDir, "sandbox-crun"))).toEqual([]);
    const mounts = (await listMounts()).filter(({ target }) => target.startsWith(`${store.root}/`));
    expect(mounts).toEqual([]);
    expect(processesIn(store.root)).toEqual([]);
  });
}

function entriesOf(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // not in this kind of store
  }
}

/** The command lines of other processes that work in the store, or see something of it mounted. */
function processesIn(root: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8");
      if (command.includes(`${root}/`) || mounts.includes(`${root}/`)) found.push(command);
    } catch {
      // It has ended.
    }
  }
  return found;
}

/** A store of one kind is killed that often, then all builds are done on it. */
async function survives(options: Options, kills: number): Promise<void> {
  const random = new Random(SEED);
  for (let n = 0; n < kills; n++) {
    const after = random.below(LATEST);
    try {
      await killedOnce(options, random.below(1_000_000), after);
      await verify(options);
    } catch (error) {
      const seed = `OCLUSTER_SEED=${SEED}, kill ${n + 1} of ${kills} after ${after} ms`;
      throw new Error(`${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  await buildAll(options);
  const layers = await withStore(options, layersOf);
  expect(new Set(layers.keys())).toEqual(new Set(expected.keys()));
  await verify(options);
}

const LONG = { timeout: 1_200_000 };

describe.concurrent("killed again and again", () => {
  it.for<[kind: "overlayfs" | "rsync", kills: number, rsyncMode?: RsyncMode]>([
    ["overlayfs", 30],
    ["rsync", 6, "copy"],
    ["rsync", 12, "hardlink"],
    ["rsync", 6, "hardlink_unsafe"],
  ])("a store of %j is complete", LONG, async ([kind, kills, rsyncMode]) => {
    const store = `${kind}:${workshop.path(`${kind}-${rsyncMode}`)}`;
    await survives({ store, rsyncMode }, kills * TIMES);
  });

  it.for<[kind: "btrfs" | "xfs", kills: number]>([
    ["btrfs", 20],
    ["xfs", 14],
  ])("a store on a disk of its own, %j, is complete", LONG, async ([kind, kills]) => {
    const disk = new LoopDisk(kind, workshop.path(kind), "1G");
    try {
      await survives({ store: `${kind}:${disk.path}/store` }, kills * TIMES);
    } finally {
      disk.remove();
    }
  });
});

describe("killed again and again", () => {
  describe("in a Docker engine", () => {
    let engine: DockerEngine;
    let dockerHost: string | undefined;

    beforeEach(async () => {
      dockerHost = process.env.DOCKER_HOST;
      engine = await DockerEngine.start();
      process.env.DOCKER_HOST = `unix://${engine.socket}`;
    });

    afterEach(async () => {
      if (dockerHost === undefined) delete process.env.DOCKER_HOST;
      else process.env.DOCKER_HOST = dockerHost;
      await engine.stop();
    });

    it("a store is complete", LONG, async () => {
      await survives({ store: `docker:${workshop.path("docker")}` }, 12 * TIMES);
      expect(await engine.containers()).toEqual([]);
    });
  });
});
