/*
 * Tags of base images that move.
 */

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { BuilderOptions } from "../../src/obuilder/index.js";
import { TextLog, Workshop } from "../support/builder.js";
import { busyboxRoot } from "../support/oci-layout.js";

let workshop: Workshop;

beforeEach(() => {
  workshop = new Workshop();
  publish("first");
});

afterEach(() => workshop.remove());

/** Moves the tag to an image that says that. */
function publish(text: string): void {
  rmSync(join(workshop.path("images"), "busybox"), { recursive: true });
  const fill = (rootfs: string) => {
    busyboxRoot(rootfs);
    writeFileSync(join(rootfs, "version"), text);
  };
  workshop.image("busybox", "latest", fill, ["PATH=/bin"]);
}

/** What a build sees, by a builder opened for it alone. */
async function see(options: Partial<BuilderOptions>): Promise<TextLog> {
  const builder = await workshop.open(options);
  const log = new TextLog();
  try {
    await workshop.build(builder, '(run (shell "cat /version"))', { log });
  } finally {
    await builder.close();
  }
  return log;
}

const fromCache = (log: TextLog) => log.lines.filter((line) => line.endsWith("from cache")).length;
const HOUR = 3_600_000;

describe("a tag that has moved", () => {
  it("stays what it was by default", async () => {
    await see({});
    publish("second");
    const log = await see({});
    expect([log.text, fromCache(log)]).toEqual(["first", 2]);
  });

  it("is imported anew when it is looked up again, and the old layers stay", async () => {
    await see({});
    publish("second");
    const log = await see({ baseRefresh: 0 });
    expect([log.text, fromCache(log)]).toEqual(["second", 0]);
    expect(log.lines).toContainEqual(expect.stringMatching(/^Image busybox is now sha256:/));
    expect((await see({ baseRefresh: 0 })).text).toBe("second");
    expect((await see({})).text).toBe("first");
  });

  it("is not looked up before its time", async () => {
    await see({});
    publish("second");
    expect((await see({ baseRefresh: HOUR })).text).toBe("first");
  });
});

describe("a tag that has not moved", () => {
  it("costs nothing to be built again", async () => {
    await see({});
    expect(fromCache(await see({ baseRefresh: 0 }))).toBe(2);
  });

  it("that cannot be looked up serves as it is, and the log says so", async () => {
    await see({});
    rmSync(join(workshop.path("images"), "busybox"), { recursive: true });
    // Of several fetchers, the first that has the image is asked; here none has it.
    const log = await see({ baseRefresh: 0, fetch: ["local", "local"] });
    expect([log.text, fromCache(log)]).toEqual(["first", 2]);
    expect(log.lines).toContainEqual(expect.stringMatching(/^Cannot look up image busybox/));
  });
});
