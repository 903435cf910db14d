/**
 * The autoscaler with a real Slurm: two nodes of two CPUs on this machine.
 *
 * It takes minutes, as Slurm's time limits are minutes, so that it runs with OCLUSTER_LONG=1; and
 * Debian's slurm-wlm and munge, without which that run fails.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ElasticCluster } from "../support/elastic.js";
import { type Program, stopAll } from "../support/programs.js";
import { hasSlurm, Slurm } from "../support/slurm.js";

const IS_LONG = process.env.OCLUSTER_LONG === "1";

/** For what takes as long as a time limit of Slurm's, in ms. */
const LIMIT = 420_000;
const SOON = { timeout: 120_000 };

describe.runIf(IS_LONG)("an autoscaler with Slurm", () => {
  let slurm: Slurm;
  let elastic: ElasticCluster;

  beforeAll(async () => {
    if (!hasSlurm()) throw new Error("Needed: apt-get install slurm-wlm munge");
    slurm = await Slurm.start();
    Object.assign(process.env, slurm.env);
  }, LIMIT);

  afterAll(async () => {
    delete process.env.SLURM_CONF;
    await slurm?.stop();
  }, LIMIT);

  beforeEach(async () => {
    elastic = await ElasticCluster.start(["--reattach-timeout=20s", "--probe-timeout=5s"]);
  });

  afterEach(async () => {
    await stopAll();
    slurm.run("scancel", ["--user=0"]);
    await expect.poll(() => slurm.jobs().size, SOON).toBe(0);
    await elastic.stop();
  }, LIMIT);

  function start(worker: readonly string[], more: object = {}, limit = "1h"): Program {
    const script = elastic.workerShell(worker);
    const settings = { script, "time-limit": limit, cpus: 1, memory: "100M", grace: "20s" };
    const group = { name: "nodes", max: 3, backlog: 2, "cool-down": "1h", slurm: settings };
    return elastic.autoscaler([{ ...group, ...more }]);
  }

  /** Each of these jobs has succeeded, and was finished once. */
  async function allDone(jobs: readonly number[]) {
    const records = await elastic.ended(jobs);
    expect(records.map(({ state }) => state)).toEqual(jobs.map(() => "succeeded"));
    for (const { attempts } of records) {
      expect(attempts.filter(({ outcome }) => outcome === "succeeded")).toHaveLength(1);
    }
    return records;
  }

  it(
    "has allocations for a queue, whose workers run its jobs, and are gone when it is empty",
    async () => {
      const scaler = start(["--idle-timeout=3s"]);
      const jobs = await elastic.submit([1, 1, 1, 1, 1, 1]);
      await scaler.sees("stderr", /start 2; no more: backlog 2/);
      const records = await allDone(jobs);
      for (const { attempts } of records) expect(attempts[0]!.worker).toMatch(/^w-\d+$/);
      await expect.poll(() => slurm.jobs().size, SOON).toBe(0);
      expect(scaler.stderr).not.toMatch(/is stopped|told to end/);
      await expect.poll(() => elastic.workers(), SOON).toEqual([]);
    },
    LIMIT,
  );

  it(
    "loses no job to scancel, nor has it done twice",
    async () => {
      start(["--idle-timeout=3s"]);
      const jobs = await elastic.submit([8, 8, 8]);
      await expect.poll(async () => (await elastic.record(jobs[0]!)).state, SOON).toBe("running");
      const [first] = [...slurm.jobs()].filter(([, state]) => state === "RUNNING");
      slurm.run("scancel", [first![0]]);
      const records = await allDone(jobs);
      const outcomes = records.flatMap(({ attempts }) => attempts.map(({ outcome }) => outcome));
      expect(outcomes).toContain("evicted");
      await expect.poll(() => slurm.jobs().size, SOON).toBe(0);
    },
    LIMIT,
  );

  it(
    "goes on when the controller was away for a while",
    async () => {
      const scaler = start(["--idle-timeout=3s"]);
      const before = await elastic.submit([3, 3, 3]);
      await expect.poll(async () => (await elastic.record(before[0]!)).state, SOON).toBe("running");
      await slurm.stopController();
      await scaler.sees(
        "stderr",
        /cannot be listed, so nothing is done: squeue failed|has not ended within/,
      );
      const meanwhile = await elastic.submit([1, 1]);
      slurm.startController();
      await scaler.sees("stderr", /can be listed again/);
      await allDone([...before, ...meanwhile]);
      await expect.poll(() => slurm.jobs().size, SOON).toBe(0);
    },
    LIMIT,
  );

  it(
    "gives back in time what an allocation is too short for",
    async () => {
      // Slurm's shortest limit is a minute, less the grace; the first worker has it, and its job
      // does not end in it.
      const scaler = start(["--drain-on-sigterm=1s"], { max: 1 }, "1m");
      const [long] = await elastic.submit([75]);
      await expect.poll(async () => (await elastic.record(long!)).state, SOON).toBe("running");
      await expect
        .poll(async () => (await elastic.record(long!)).attempts[0]?.outcome, { timeout: 180_000 })
        .toBe("evicted");
      // Nothing is held against it: it is tried again by whoever comes next, for longer.
      await scaler.stop();
      start(["--idle-timeout=3s"], { max: 1 }, "1h");
      const [record] = await allDone([long!]);
      expect(record!.attempts.at(-1)!.worker).not.toBe(record!.attempts[0]!.worker);
      await expect.poll(() => slurm.jobs().size, SOON).toBe(0);
    },
    LIMIT,
  );

  it(
    "backs off from what Slurm refuses, and calls off what is not wanted",
    async () => {
      const script = elastic.workerShell();
      const group = { name: "nodes", max: 3, "cool-down": "2s" };
      const refused = elastic.autoscaler([
        { ...group, min: 1, slurm: { script, partition: "none" } },
      ]);
      await refused.sees(
        "stderr",
        /cannot start any in Slurm jobs "ocluster-linux-x86_64.nodes": sbatch failed with exit status 1: .*partition/,
      );
      await refused.sees("stderr", /start none for 1\ds: sbatch failed/);
      await refused.stop();
      // What cannot begin waits in Slurm's queue until nobody wants it.
      const settings = { script, arguments: ["--begin=now+1hour"] };
      const waiting = elastic.autoscaler([{ ...group, slurm: settings }]);
      const jobs = await elastic.submit([1]);
      await expect.poll(() => [...slurm.jobs().values()], SOON).toEqual(["PENDING"]);
      await elastic.cancel(jobs);
      await waiting.sees("stderr", /call off 1/);
      await expect.poll(() => slurm.jobs().size, SOON).toBe(0);
    },
    LIMIT,
  );
});
