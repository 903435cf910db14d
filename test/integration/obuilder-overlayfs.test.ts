/*
 * What overlayfs is not made for.
 */

import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSpec } from "../../src/obuilder/index.js";
import { TextLog, Workshop } from "../support/builder.js";

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

it("builds again what stood on a layer that somebody has removed", async () => {
  const store = `overlayfs:${workshop.path("orphans")}`;
  const ops = ["a", "b", "c"].map((name) => `(run (shell "echo ${name} >> /all"))`);
  const builder = await workshop.open({ store });
  const lost = await workshop.build(builder, ops[0]!);
  await workshop.build(builder, ops.join(" "));
  await builder.close();
  rmSync(join(workshop.path("orphans"), "result", lost), { recursive: true });

  const again = await workshop.open({ store });
  const log = new TextLog();
  try {
    await workshop.build(again, `${ops.join(" ")} (run (shell "cat /all"))`, { log });
    // The base image is all that was left.
    expect(again.stats.hits).toBe(1);
  } finally {
    await again.close();
  }
  expect(log.text).toBe("a\nb\nc\n");
});
