/*
 * The same builds on every kind of store: the same ids, the same trees.
 */

import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Builder, type BuilderOptions, readSpec } from "../../src/obuilder/index.js";
import { inspectStore, parseStoreSpec } from "../../src/obuilder/stores/open-store.js";
import { TextLog, Workshop } from "../support/builder.js";
import { DockerEngine } from "../support/docker-engine.js";
import { LoopDisk } from "../support/loop-disk.js";
import { busyboxWithMountPoints } from "../support/oci-layout.js";
import { describeTree } from "../support/tree.js";
import { TWELVE_BUILDS } from "../support/twelve-builds.js";

/** What a build came to. */
interface Outcome {
  readonly id: string;
  readonly tree: string;
}

type Options = Partial<BuilderOptions> & { readonly store: string };

let workshop: Workshop;
let engine: DockerEngine;
const disks: LoopDisk[] = [];
/** Those on the store that everything is compared with. */
let expected: Map<string, Outcome>;

beforeAll(async () => {
  engine = await DockerEngine.start();
  process.env.DOCKER_HOST = `unix://${engine.socket}`;
  workshop = new Workshop();
  workshop.image("busybox", "latest", busyboxWithMountPoints, ["PATH=/bin:/usr/bin"]);
  const source = workshop.path("source");
  mkdirSync(join(source, "sub/skipped"), { recursive: true });
  writeFileSync(join(source, "plain"), "plain\n");
  writeFileSync(join(source, "sub/script"), "#!/bin/sh\n");
  chmodSync(join(source, "sub/script"), 0o700);
  symlinkSync("../plain", join(source, "sub/link"));
  writeFileSync(join(source, "sub/skipped/file"), "not copied everywhere\n");
  expected = await outcomesOn({ store: `overlayfs:${workshop.path("reference")}` });
});

afterAll(async () => {
  for (const disk of disks) disk.remove();
  workshop.remove();
  await engine.stop();
});

async function outcomesOn(options: Options): Promise<Map<string, Outcome>> {
  const ids = new Map<string, string>();
  const builder = await workshop.open(options);
  try {
    const builds = Object.entries(TWELVE_BUILDS).map(async ([name, ops]) => {
      ids.set(name, await workshop.build(builder, ops));
    });
    await Promise.all(builds);
    ids.set("copies from a build", await copyFromBuild(builder));
  } finally {
    await builder.close();
  }
  const { store } = await inspectStore(parseStoreSpec(options.store));
  const outcomes = new Map<string, Outcome>();
  try {
    for (const [name, id] of ids) {
      const root = await store.rootfs(id);
      outcomes.set(name, { id, tree: describeTree(root.path) });
      await root.release();
    }
  } finally {
    await store.close();
  }
  return outcomes;
}

/** Files of several layers of a nested build, not only of its last one. */
async function copyFromBuild(builder: Builder): Promise<string> {
  const spec = readSpec(`
    ((build parts ((from busybox) (shell /bin/sh -c)
       (run (shell "mkdir /out; echo 1 > /out/1; echo gone > /out/gone"))
       (run (shell "echo 2 > /out/2; rm /out/gone; ln -s 1 /out/one"))))
     (from busybox) (copy (from (build parts)) (src /out bin/busybox) (dst /got/)))`);
  return await builder.build({ spec, sourceDir: workshop.path("source"), log: new TextLog() });
}

function disk(kind: "btrfs" | "xfs"): string {
  const made = new LoopDisk(kind, workshop.path(kind), "1G");
  disks.push(made);
  return made.path;
}

describe("compared with overlayfs", () => {
  it.each<[name: string, options: () => Options]>([
    ["rsync, copies", () => ({ store: `rsync:${workshop.path("copy")}`, rsyncMode: "copy" })],
    [
      "rsync, hard links",
      () => ({ store: `rsync:${workshop.path("links")}`, rsyncMode: "hardlink" }),
    ],
    [
      "rsync, hard links without checksums",
      () => ({ store: `rsync:${workshop.path("unsafe")}`, rsyncMode: "hardlink_unsafe" }),
    ],
    ["btrfs", () => ({ store: `btrfs:${disk("btrfs")}/store` })],
    ["docker", () => ({ store: `docker:${workshop.path("docker")}` })],
    ["xfs", () => ({ store: `xfs:${disk("xfs")}/store` })],
    [
      "overlayfs, by runc",
      () => ({ store: `overlayfs:${workshop.path("runc")}`, runtime: "runc" }),
    ],
  ])("%s has the same ids and trees", async (_, options) => {
    const outcomes = await outcomesOn(options());
    for (const [name, outcome] of expected) {
      expect({ name, ...outcomes.get(name) }).toEqual({ name, ...outcome });
    }
  });
});
