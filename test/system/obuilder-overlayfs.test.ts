/*
 * What overlayfs is not made for, and what happens when its disk is full.
 */

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSpec } from "../../src/obuilder/index.js";
import { TextLog, Workshop } from "../support/builder.js";
import { LoopDisk } from "../support/loop-disk.js";

let workshop: Workshop;

beforeAll(() => {
  workshop = new Workshop();
});

afterAll(() => workshop.remove());

describe("200 layers on top of each other", () => {
  const LAYERS = 200;
  // The deeper the store's own path, the longer would be the names of its layers.
  const store = () =>
    `overlayfs:${workshop.path("a/path/that/is/not/short/at/all/".repeat(3))}store`;
  const steps = Array.from({ length: LAYERS }, (_, n) => `(run (shell "echo ${n} >> /all"))`);

  it("are built, and are one root", async () => {
    const builder = await workshop.open({ store: store() });
    const log = new TextLog();
    try {
      const ops = `${steps.join(" ")} (run (shell "wc -l < /all; tail -n 1 /all"))`;
      await workshop.build(builder, ops, { log });
    } finally {
      await builder.close();
    }
    expect(log.text).toBe(`${LAYERS}\n${LAYERS - 1}\n`);
  });

  it("can be copied from, by a process that did not build them", async () => {
    const builder = await workshop.open({ store: store() });
    const log = new TextLog();
    const spec = readSpec(`
      ((build deep ((from busybox) (shell /bin/sh -c) ${steps.join(" ")}))
       (from busybox) (shell /bin/sh -c)
       (copy (from (build deep)) (src all) (dst /all)) (run (shell "tail -n 1 /all")))`);
    try {
      await builder.build({ spec, sourceDir: workshop.path("source"), log });
      expect(builder.stats.misses).toBe(2);
    } finally {
      await builder.close();
    }
    expect(log.text).toBe(`${LAYERS - 1}\n`);
  });
});

describe("a full disk", () => {
  let disk: LoopDisk;

  beforeAll(() => {
    disk = new LoopDisk("ext4", workshop.path("small"), "40M");
  });

  afterAll(() => disk.remove());

  it("fails the step that fills it, clearly, and leaves the store usable", async () => {
    const builder = await workshop.open({ store: `overlayfs:${disk.path}/store` });
    try {
      await workshop.build(builder, '(run (shell "echo small > /f"))');
      const fill = '(run (shell "cat /dev/zero > /fill"))';
      await expect(workshop.build(builder, fill)).rejects.toThrow(
        /failed with exit status 1\nNo space left on device: the store's disk is full$/,
      );
      const print = '(run (shell "yes | head -c 100000000"))';
      await expect(workshop.build(builder, print)).rejects.toThrow(/[Nn]o space left on device/);
      const log = new TextLog();
      await workshop.build(builder, '(run (shell "echo small > /f")) (run (shell "cat /f"))', {
        log,
      });
      expect(log.text).toBe("small\n");
    } finally {
      await builder.close();
    }
  });

  it("does not take a copy for complete that had no room", async () => {
    const builder = await workshop.open({ store: `overlayfs:${disk.path}/store` });
    const large = join(workshop.path("source"), "large");
    writeFileSync(large, Buffer.alloc(60_000_000));
    try {
      await expect(workshop.build(builder, "(copy (src large) (dst /large))")).rejects.toThrow(
        /[Nn]o space left on device/,
      );
    } finally {
      rmSync(large);
      await builder.close();
    }
  });
});
