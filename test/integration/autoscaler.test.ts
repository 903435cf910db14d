/**
 * `ocluster-autoscaler` as a whole: a real scheduler, a queue that grows and is worked off, and
 * workers that are started by commands, run jobs, and end themselves.
 */
import { rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ElasticCluster, Fleet } from "../support/elastic.js";
import { run, stopAll } from "../support/programs.js";

let elastic: ElasticCluster;
let fleet: Fleet;

beforeEach(async () => {
  elastic = await ElasticCluster.start();
  fleet = new Fleet(elastic);
});

afterEach(async () => {
  await stopAll();
  fleet.kill();
  await expect.poll(() => fleet.pids().size).toBe(0);
  await elastic.stop();
});

const group = (command: object, more: object = {}) => ({
  ...{ name: "fleet", max: 2, "start-timeout": "1h", "cool-down": "1h" },
  ...{ command, ...more },
});

describe("a queue", () => {
  it("that grows has workers started, which run its jobs, end themselves, and are forgotten", async () => {
    const scaler = elastic.autoscaler([group(fleet.section(["--idle-timeout=2s"]))]);
    await scaler.sees("stderr", /want 0: 0 queued jobs, 0 running, target wait 1s; have 0/);
    const jobs = await elastic.submit([1, 1, 1, 1]);
    await scaler.sees("stderr", /want \d+: \d+ queued jobs? of ~600 s.*; start 2; no more: max 2/);
    const records = await elastic.ended(jobs);
    expect(records.map(({ state }) => state)).toEqual(jobs.map(() => "succeeded"));
    const workers = new Set(
      records.flatMap(({ attempts }) => attempts.map(({ worker }) => worker)),
    );
    expect(workers.size).toBe(2);
    for (const worker of workers) expect(worker).toMatch(/^w-[0-9a-f]{8}$/);
    // Nobody has told them to.
    await expect.poll(() => fleet.pids().size, { timeout: 30_000 }).toBe(0);
    expect(scaler.stderr).not.toMatch(/told to end|is stopped/);
    await expect.poll(() => elastic.workers(), { timeout: 30_000 }).toEqual([]);
  });

  it("that shrinks has workers told to end, which finish their jobs", async () => {
    const section = fleet.section();
    const scaler = elastic.autoscaler([group(section, { min: 1, "cool-down": "2s" })]);
    const jobs = await elastic.submit([0.1, 6]);
    const records = await elastic.ended(jobs);
    expect(records.every(({ attempts }) => attempts.length === 1)).toBe(true);
    await scaler.sees("stderr", /have 1 end/);
    await expect.poll(() => fleet.pids().size, { timeout: 30_000 }).toBe(1);
    const told = [...elastic.workerLogs().values()].filter((log) => log.includes("Told to end:"));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('Told to end: not wanted any more (scaler "it")');
    expect(await elastic.workers()).toHaveLength(1);
  });

  it("is left alone by a dry run, which says what it would do", async () => {
    await elastic.submit([1]);
    const { code, stderr } = await elastic.autoscaler(
      [group(fleet.section())],
      ["--dry-run", "--once"],
    ).ended;
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /autoscaler {2}linux-x86_64\/fleet: want 1: .*; have 0; start 1 \(dry run: nothing is done\)/,
    );
    expect(fleet.pids().size).toBe(0);
  });
});

describe("without", () => {
  it("a scheduler, it waits for one, and goes on", async () => {
    const scaler = elastic.autoscaler([group(fleet.section(["--idle-timeout=2s"]))]);
    await scaler.sees("stderr", /have 0/);
    await elastic.cluster.scheduler.stop("SIGKILL");
    await scaler.sees("stderr", /No way to the scheduler|does not say what is wanted/);
    await elastic.cluster.restartScheduler();
    const jobs = await elastic.submit([0.1]);
    expect((await elastic.ended(jobs))[0]!.state).toBe("succeeded");
  });

  it("an engine that lists its instances, nothing is done", async () => {
    const broken = elastic.cluster.write("broken", "");
    const section = fleet.section() as { readonly list: string };
    const list = `test ! -e ${broken} || { echo no controller >&2; exit 1; }; ${section.list}`;
    const scaler = elastic.autoscaler([group({ ...section, list }, { min: 1 })]);
    await scaler.sees(
      "stderr",
      /cannot be listed, so nothing is done: sh failed with exit status 1: no controller/,
    );
    rmSync(broken);
    await scaler.sees("stderr", /can be listed again/);
    await scaler.sees("stderr", /start 1/);
    writeFileSync(broken, "");
  });

  it("an engine that lists its instances, looking once fails", async () => {
    const section = { ...fleet.section(), list: "echo no controller >&2; exit 1" };
    const { code, stderr } = await elastic.autoscaler([group(section)], ["--once"]).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /cannot be listed.*no controller\nlinux-x86_64: nothing was done for fleet; see above\n$/,
    );
  });

  it("a right to it, it says so and ends", async () => {
    const { cluster } = elastic;
    const args = [
      `--config=${cluster.write("pools.yml", '{"pools":{"nope":[{"name":"a","max":1,"command":{"launch":"a","list":"b"}}]}}')}`,
    ];
    const start = (cap: string) =>
      run("ocluster-autoscaler", ["--connect", cluster.cap(cap), ...args]);
    expect(await start("admin")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        "admin.cap\" is for something else; use a scaler's: ocluster-admin add-scaler NAME prints one.",
      ),
    });
    expect(await start("scaler")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        'pools: the scheduler has no pool "nope"; there is linux-x86_64',
      ),
    });
    await run("ocluster-admin", ["-q", "-c", cluster.cap("admin"), "remove-scaler", "it"]);
    expect(await start("scaler")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("Unknown persistent service ID"),
    });
  });
});
