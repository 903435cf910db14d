/**
 * Spec jobs in the worker: their log, and what is done for the store's health and room, with a real
 * store and sandbox.
 */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { configureLog } from "../../src/console/log.js";
import { readSpec } from "../../src/obuilder/index.js";
import { freePercent } from "../../src/obuilder/stores/files.js";
import { JobCancelled } from "../../src/worker/failure.js";
import { countedAs } from "../../src/worker/jobs/ending.js";
import { Job } from "../../src/worker/jobs/job.js";
import { WorkerMetrics } from "../../src/worker/metrics.js";
import { SpecBuilder, type SpecBuilderOptions } from "../../src/worker/spec-builder.js";
import { LogEntries } from "../support/log-entries.js";
import { LoopDisk } from "../support/loop-disk.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";

let dir: string;
let metrics: WorkerMetrics;
let builder: SpecBuilder | undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-specs-"));
  mkdirSync(join(dir, "images"));
  mkdirSync(join(dir, "src"));
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(join(dir, "images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
  );
  metrics = new WorkerMetrics();
});

afterEach(async () => {
  await builder?.close();
  builder = undefined;
  rmSync(dir, { recursive: true });
});

const never = new AbortController().signal;

async function open(options: Partial<SpecBuilderOptions> = {}): Promise<SpecBuilder> {
  builder = await SpecBuilder.open(
    {
      store: `overlayfs:${join(dir, "store")}`,
      imageDir: join(dir, "images"),
      fetch: ["local"],
      pruneThreshold: 0,
      ...options,
    },
    metrics,
    never,
  );
  return builder;
}

/** Builds a spec as a job; how it ended and what its log says. */
async function run(spec: string, job = Job.offered({ directory: dir })) {
  const ending = await job.run(() =>
    builder!.build(readSpec(spec), { secrets: [], src: join(dir, "src") }, job),
  );
  let log = "";
  for (let from = 0; ; ) {
    const { data, next } = await job.log.page(from);
    if (data.length === 0) break;
    log += Buffer.from(data).toString();
    from = next;
  }
  return { end: countedAs(ending), log };
}

const step = (command: string) => `((from busybox) (shell /bin/sh -c) (run (shell "${command}")))`;

const value = async (name: string) =>
  Number(
    new RegExp(`^ocluster_worker_${name} (.*)$`, "m").exec((await metrics.report()).data)?.[1],
  );

const layers = () => readdirSync(join(dir, "store/result")).length;

describe("a spec's log", () => {
  it("shows the steps in the known colours, and their output", async () => {
    await open();
    const { end, log } = await run(step("echo hello"));
    expect(end).toBe("ok");
    const time = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d\\.\\d\\d";
    const note = (text: string) => `\u001b\\[01;2m\u001b\\[01;35m${time} ---> ${text}\u001b\\[0m\n`;
    const heading = (text: string) => `\n\u001b\\[01;34m${text}\u001b\\[0m\n`;
    expect(log).toMatch(
      new RegExp(
        `^${heading("\\(from busybox\\)")}${note('using "[0-9a-f]{64}" from cache')}` +
          `${heading("/: \\(shell /bin/sh -c\\)")}${heading('/: \\(run \\(shell "echo hello"\\)\\)')}` +
          `hello\n${note('saved as "[0-9a-f]{64}"')}Job succeeded\n$`,
      ),
    );
  });

  it.each([
    ["hush", 'Failure("Invalid spec: hush")'],
    ["()", 'Failure("Invalid spec: missing (from)")'],
    ["((run (shell x)))", 'Failure("Invalid spec item: (run (shell x))")'],
    ["((from a) (copy (from (build b)) (src x) (dst y)))", 'Failure("Unknown build \\"b\\" in '],
    [
      "(",
      'Failure("Sexplib.Sexp.of_string: incomplete S-expression while in state Parsing_list: ("',
    ],
  ])("says what is wrong with the spec %j", async (spec, message) => {
    await open();
    const { end, log } = await run(spec);
    expect(end).toBe("error");
    expect(log).toContain(`Uncaught exception: ${message}`);
  });

  it("ends with the step that failed", async () => {
    await open();
    const { end, log } = await run(step("exit 3"));
    expect(end).toBe("fail");
    expect(log).toMatch(/\n"\/bin\/sh" "-c" "exit 3" failed with exit status 3\n$/);
  });

  it("ends with the cancellation", async () => {
    await open();
    const job = Job.offered({ directory: dir });
    const running = run(step("echo begun; exec sleep 1000000"), job);
    for (let from = 0, log = ""; !log.includes("begun\n"); ) {
      const { data, next } = await job.log.page(from);
      log += Buffer.from(data).toString();
      from = next;
    }
    job.stop(new JobCancelled());
    const { end, log } = await running;
    expect(end).toBe("cancelled");
    expect(log).toMatch(/begun\nJob cancelled\n$/);
  });
});

describe("metrics", () => {
  it("count steps found and made, and tell of health and room", async () => {
    await open();
    expect(await value("unhealthy")).toBe(0);
    expect(await value("healthcheck_time_seconds")).toBeGreaterThan(0);
    const [hits, misses] = [await value("cache_hits"), await value("cache_misses")];
    await run(step("echo 1"));
    await run(step("echo 1"));
    // The base image twice and the step once were there; the health check has its own share.
    expect(await value("cache_hits")).toBeGreaterThan(hits);
    expect(await value("cache_misses")).toBeGreaterThan(misses);
    while ((await value("obuilder_space_free")) === 0) await nextTurn();
    expect(await value("obuilder_space_free")).toBeLessThanOrEqual(100);
  });
});

describe("health", () => {
  it("takes the queue out of service while it fails", async () => {
    // Always due.
    const { healthGate } = await open({ healthcheckInterval: 1e-9, unhealthyRetry: 5 });
    const switches: boolean[] = [];
    const setActive = async (active: boolean) => void switches.push(active);
    await healthGate.pass({ setActive }, never);
    expect(switches).toEqual([]);

    // Without its busybox the base image is good for nothing.
    const [base] = readdirSync(join(dir, "store/result"));
    const busybox = join(dir, "store/result", base!, "rootfs/bin/busybox");
    renameSync(busybox, `${busybox}.away`);
    const passing = healthGate.pass({ setActive }, never);
    while (switches.length === 0) await nextTurn();
    expect(await value("unhealthy")).toBe(1);
    renameSync(`${busybox}.away`, busybox);
    await passing;
    expect(switches).toEqual([false, true]);
    expect(await value("unhealthy")).toBe(0);
  });

  it("is not looked at again when nobody wants it", async () => {
    const { healthGate } = await open({ healthcheckInterval: 0 });
    const before = await value("healthcheck_time_seconds");
    await healthGate.pass({ setActive: async () => expect.unreachable() }, never);
    expect(await value("healthcheck_time_seconds")).toBe(before);
  });
});

describe("room", () => {
  it("is made by pruning when there are too many layers", async () => {
    await open({ pruneItemThreshold: 3, pruneLimit: 2, spaceCheckInterval: 50 });
    for (let n = 0; n < 6; n++) expect((await run(step(`echo ${n}`))).end).toBe("ok");
    while (layers() > 3) await nextTurn();
    expect((await run(step("echo more"))).end).toBe("ok");
  });

  it("is made layer by layer, the longest unused first, and no more of it than is needed", async () => {
    const disk = new LoopDisk("ext4", join(dir, "disk"), "100M");
    try {
      const store = `overlayfs:${disk.path}/store`;
      const large = (n: number) => step(`head -c 5000000 /dev/urandom > /large; echo ${n}`);
      await open({ store });
      // When a layer was used is on record in whole seconds, and that second's are not pruned.
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 60_000 });
      for (const n of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]) {
        vi.setSystemTime(Date.now() + 1000);
        expect((await run(large(n))).end).toBe("ok");
      }
      vi.useRealTimers();
      await builder!.close();
      const free = await freePercent(disk.path);
      using entries = new LogEntries();
      await configureLog({ verbosity: "info", format: "text", color: "never" });
      await open({ store, pruneThreshold: Math.ceil(free), pruneMargin: 12 });
      await configureLog({ verbosity: "warning", format: "text", color: "never" });
      const [, removed, before, after] =
        /Pruned (\d+) items: (\d+)% of the disk was in use, now (\d+)% is/
          .exec(entries.text)!
          .map(Number);
      expect(removed).toBeGreaterThanOrEqual(2);
      expect(removed).toBeLessThanOrEqual(4);
      expect(after).toBeLessThan(before! - 10);
      // The others are there, and so is the first, which was used last.
      for (const n of [0, 9, 8, 7]) expect((await run(large(n))).end).toBe("ok");
      // The self-test's step alone was made.
      expect(await value("cache_misses")).toBe(1);
    } finally {
      vi.useRealTimers();
      await builder?.close();
      builder = undefined;
      disk.remove();
    }
  });

  it("that pruning cannot make keeps nobody waiting", async () => {
    // There is always less than this.
    await open({ pruneThreshold: 100, spaceCheckInterval: 5 });
    expect((await run(step("echo built"))).end).toBe("ok");
  });
});
