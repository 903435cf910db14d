/**
 * Power cuts while durable jobs are submitted: what has been sent to the scheduler's disk by some
 * moment is all that is left of it. Each job that was answered for by then is there.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { DurableSubmission, JobRecords } from "../../src/api/index.js";
import { type Capability, readCapFile, Vat } from "../../src/rpc/index.js";
import { Cluster } from "../support/cluster.js";
import { type DiskKind, LoopDisk } from "../support/loop-disk.js";
import { run } from "../support/programs.js";

/** Clients that submit one job after the other. */
const LANES = 20;

/** How many jobs are answered for before the power is cut. */
const JOBS = 500;

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-power-"));
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

/**
 * Submits jobs until the connection ends; `answered` has the numbers of those that were answered
 * for.
 */
async function submitAll(submission: Capability, answered: number[]): Promise<void> {
  const spec = "((from busybox) (run (shell true)))";
  const descr = { action: { kind: "obuilder", spec }, cacheHint: "", secrets: [] } as const;
  const options = DurableSubmission.DEFAULT_DURABLE_OPTIONS;
  const lane = async (): Promise<never> => {
    for (;;) {
      const job = { pool: "linux-x86_64", descr, options };
      answered.push((await DurableSubmission.submit(submission, job)).job);
    }
  };
  await expect(Promise.race(Array.from({ length: LANES }, lane))).rejects.toMatchObject({
    kind: "disconnected",
  });
}

/** All threads of a process that is told to stop have done so. */
function hasStopped(pid: number): boolean {
  return / T /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

it.each(["ext4", "xfs", "btrfs"] satisfies DiskKind[])(
  "all jobs that were answered for are there after a power cut on %s",
  async (kind) => {
    const disk = new LoopDisk(kind, join(dir, kind), "512M");
    let cluster: Cluster | undefined;
    try {
      cluster = await Cluster.start([`--state-dir=${disk.path}`]);
      // The file system is left to itself, as far as it lets itself: what it writes counts only if
      // it was asked to.
      if (kind !== "xfs") execFileSync("mount", ["-o", "remount,commit=300", disk.path]);
      await using vat = new Vat();
      const submission = await vat.import(readCapFile(cluster.cap("submission")));
      const answered: number[] = [];
      const all = submitAll(submission, answered);
      await expect.poll(() => answered.length, { timeout: 30_000 }).toBeGreaterThan(JOBS);
      const admin = (...words: string[]) =>
        run("ocluster-admin", ["-c", cluster!.cap("admin"), ...words]);
      const paused = ["linux-x86_64", "absent", "--auto-create"];
      expect(await admin("pause", ...paused)).toMatchObject({ code: 0 });

      cluster.scheduler.signal("SIGSTOP");
      const { pid } = cluster.scheduler;
      await expect.poll(() => hasStopped(pid)).toBe(true);
      disk.freeze();
      await cluster.scheduler.stop("SIGKILL");
      await all;
      submission.release();
      disk.cutPower();

      await cluster.restartScheduler();
      const again = await vat.import(readCapFile(cluster.cap("submission")));
      const found = new Set<number>();
      for (let cursor: string | null = ""; cursor !== null; ) {
        const page: JobRecords.JobPage = await JobRecords.list(again, {
          filter: { states: ["queued"] },
          cursor,
          limit: 500,
        });
        for (const { job } of page.jobs) found.add(job);
        cursor = page.cursor || null;
      }
      again.release();
      expect(answered.filter((job) => !found.has(job))).toEqual([]);
      expect(answered.length).toBeGreaterThan(JOBS);
      expect((await admin("show", "linux-x86_64")).stdout).toContain("absent (paused)");
    } finally {
      await cluster?.stop();
      disk.remove();
    }
  },
);
