/**
 * Durable jobs of a worker that is a process of its own: killed in the middle, and told to end by a
 * time.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { DurableJob, Job } from "../../src/api/index.js";
import type { Capability } from "../../src/rpc/index.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";
import { Program, stopAll } from "../support/programs.js";
import { DurableScheduler, logOf, settle } from "../worker/durable-scheduler.js";

let directory: string;
let scheduler: DurableScheduler;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-durable-"));
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(join(directory, "images/busybox"), {
      rootfs,
      env: ["PATH=/bin"],
      tag: "latest",
    }),
  );
});

beforeEach(async () => {
  scheduler = await DurableScheduler.start();
  scheduler.writeCap(join(directory, "pool.cap"));
});

afterEach(async () => {
  await stopAll();
  await scheduler.stop();
  rmSync(join(directory, "state"), { recursive: true });
});

afterAll(() => rmSync(directory, { recursive: true }));

function startWorker(...args: string[]): Program {
  return new Program("ocluster-worker", [
    `--connect=${join(directory, "pool.cap")}`,
    "--name=w1",
    `--state-dir=${join(directory, "state")}`,
    `--obuilder-store=overlayfs:${join(directory, "store")}`,
    `--obuilder-image-dir=${join(directory, "images")}`,
    "--obuilder-fetch=local",
    "--obuilder-prune-threshold=0",
    "--verbose",
    ...args,
  ]);
}

/** A job whose one step runs this. */
function give(job: number, command: string): Promise<Capability> {
  const spec = `((from busybox) (shell /bin/sh -c) (run (shell "${command}")))`;
  return scheduler.give({ text: "", job, action: { kind: "obuilder", spec } });
}

/** Waits until the step has printed that it has begun. */
async function begun(run: Capability): Promise<void> {
  let log = "";
  for (let from = 0; !/^begun$/m.test(log); ) {
    const { data, next } = await Job.log(run, from);
    log += Buffer.from(data).toString();
    from = next;
  }
}

const ENDLESS = "echo begun; exec sleep 1000000";

it("a worker that was killed says what it had, and still has what had ended", async () => {
  const worker = startWorker();
  const done = await give(6, "seq 5000");
  const outcome = await DurableJob.outcome(done);
  expect(outcome.cause).toBe("succeeded");
  const log = await logOf(done);
  await begun(await give(7, ENDLESS));
  await worker.stop("SIGKILL");

  const next = startWorker();
  await scheduler.asked();
  expect(scheduler.told[1]).toEqual([
    { job: 6, attempt: 1, state: "ended" },
    { job: 7, attempt: 1, state: "crashed" },
  ]);
  const back = await scheduler.back("6-1");
  expect(await logOf(back, 10_000)).toBe(log.slice(10_000));
  expect(await settle(back)).toEqual(outcome);
  await next.stop("SIGKILL");

  startWorker();
  while (scheduler.told.length < 3) await scheduler.event();
  await scheduler.asked();
  expect(scheduler.told[2]).toEqual([]);
});

it("a worker with a time to end gives back what is not done by then", async () => {
  const worker = startWorker("--drain-on-sigterm=500ms");
  const run = await give(8, ENDLESS);
  await begun(run);
  worker.signal("SIGTERM");
  await worker.sees("stderr", /will finish the running jobs for at most 0\.5 s/);
  expect(await logOf(run)).toMatch(/begun\nJob given back\n$/);
  expect(await settle(run)).toMatchObject({ cause: "evicted" });
  expect((await worker.ended).code).toBe(0);
});
