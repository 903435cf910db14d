/**
 * A worker whose disk is full: it is out of service for as long as there is no room, whatever else
 * happens.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PoolAdmin } from "../../src/api/index.js";
import { deferred } from "../../src/async/index.js";
import { SpaceGate } from "../../src/worker/space-gate.js";
import { LogEntries } from "../support/log-entries.js";
import { outcome, puppets, SmallCluster } from "./small-cluster.js";

const never = new AbortController().signal;

/** A queue that writes down what is done to it. */
function queue(events: string[], name = "") {
  return {
    setActive: async (active: boolean) => void events.push(`${name}${active ? "on" : "off"}`),
  };
}

describe("the gate", () => {
  let stateDir: string;
  let full: string | undefined;
  let looks: number;
  const draining = new AbortController();

  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), "ocluster-space-"));
    full = "0 B of 60.0 MiB free";
    looks = 0;
  });

  afterEach(() => rmSync(stateDir, { recursive: true }));

  const gate = (onLook: () => void = () => {}) =>
    new SpaceGate({
      stateDir,
      specs: {
        makeRoom: async () => {
          looks++;
          onLook();
        },
        get fullDisk() {
          return full;
        },
      },
      draining: draining.signal,
      retryAfter: 1,
    });

  it("is open until a job had no space, and closed until there is some", async () => {
    using entries = new LogEntries();
    const seen = deferred();
    const space = gate(() => {
      if (looks === 3) {
        full = undefined;
        seen.resolve();
      }
    });
    const events: string[] = [];
    const here = queue(events);
    await space.pass(here, never);
    expect({ events, looks }).toEqual({ events: [], looks: 0 });
    space.jobHadNoSpace();
    space.jobHadNoSpace();
    // At once, as a request for a job may be waiting.
    expect(events).toEqual(["off"]);
    await space.pass(here, never);
    await seen.promise;
    expect({ events, looks }).toEqual({ events: ["off", "on"], looks: 3 });
    expect(entries.text).toContain("[WARNING] A job failed for want of disk space.");
    expect(entries.text).toContain(
      "The disk of --obuilder-store is full (0 B of 60.0 MiB free), and pruning does not help: no job is taken.",
    );
    await space.pass(here, never);
    expect(looks).toBe(3);
  });

  it("holds on the next connection, too", async () => {
    using _ = new LogEntries();
    const [lost, next] = [deferred(), deferred()];
    const space = gate(() => {
      if (looks === 1) lost.resolve();
      if (looks > 1 && events.includes("second: off")) {
        full = undefined;
        next.resolve();
      }
    });
    const events: string[] = [];
    await space.pass(queue(events, "first: "), never);
    space.jobHadNoSpace();
    await lost.promise;
    await space.pass(queue(events, "second: "), never);
    await next.promise;
    expect(events.filter((event) => event.startsWith("second"))).toEqual([
      "second: off",
      "second: on",
    ]);
  });
});

describe("a worker", () => {
  let cluster: SmallCluster;

  beforeEach(async () => {
    cluster = await SmallCluster.open();
  });

  afterEach(() => cluster.close());

  it("takes no job while it has no room, and the client is told as ever", async () => {
    using entries = new LogEntries();
    const { custom, end, started } = puppets();
    const noSpace = Object.assign(new Error("ENOSPC: no space left on device, write"), {
      ...{ code: "ENOSPC", syscall: "write" },
    });
    const test = custom.test;
    await cluster.startWorker({
      capacity: 2,
      custom: {
        test,
        full: async () => {
          throw noSpace;
        },
      },
    });
    const result = await outcome(cluster.submit({ kind: "full" }));
    expect(result.result).toBe("Failed: Internal error");
    await entries.first(/A job failed for want of disk space/);
    // The disk has room: it is back at once, and the request that was waiting is answered.
    const job = cluster.submit({ text: "next" });
    await started("next");
    const pool = await cluster.network.poolAdmin();
    expect(await PoolAdmin.workers(pool)).toMatchObject([{ name: "w1", active: true }]);
    end("next");
    expect((await outcome(job)).result).toBe("next is done");
  });
});
