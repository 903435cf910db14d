/** A batch's run, against what it promises, whatever happens to its jobs. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BatchRun, type EndState, type LiveState } from "../../../src/scheduler/batches/index.js";

const INFINITE = Number.POSITIVE_INFINITY;
const NO_RULES = {
  ...{ canary: 0, maxRunning: INFINITE, maxFailures: INFINITE, maxFailuresPercent: INFINITE },
};

/** A job as its book has it. */
interface Job {
  readonly row: number;
  state: LiveState | EndState;
}

const event = fc.record({
  what: fc.constantFrom(
    "begin",
    "run",
    "end",
    "end",
    "fail",
    "cancel job",
    "add",
    "close",
    "again",
    "stop",
    "restart",
  ),
  which: fc.nat(1000),
});

describe("a run", () => {
  it("begins each row once, never more than it may, and counts right", () => {
    const rules = fc.record({
      canary: fc.nat(3),
      maxRunning: fc.oneof(fc.constant(INFINITE), fc.integer({ min: 1, max: 4 })),
      maxFailures: fc.oneof(fc.constant(INFINITE), fc.nat(3)),
      maxFailuresPercent: fc.oneof(fc.constant(INFINITE), fc.nat(60)),
    });
    fc.assert(
      fc.property(rules, fc.array(event, { maxLength: 120 }), (given, events) => {
        let run = new BatchRun(given);
        const jobs: Job[] = [];
        let [rows, closed] = [0, false];
        const live = () => jobs.filter(({ state }) => state === "queued" || state === "running");
        const set = (job: Job, state: Job["state"]) => {
          const before = job.state;
          job.state = state;
          run.jobChanged(jobs.indexOf(job), job.row, before, state);
        };
        for (const { what, which } of events) {
          const some = live()[which % Math.max(1, live().length)];
          if (what === "add" && !closed) {
            rows += which % 5;
            run.add(which % 5);
          } else if (what === "close" && !closed) {
            closed = true;
            run.close();
          } else if (what === "begin") {
            const halted = run.halt !== null;
            const step = run.next(6);
            if (step === null) continue;
            expect(halted).toBe(false);
            expect(live().length).toBeLessThan(Math.min(6, given.maxRunning));
            if (step.kind === "again") {
              const job = jobs[step.job]!;
              expect(["failed", "cancelled"]).toContain(job.state);
              set(job, "queued");
              run.triedAgain();
              continue;
            }
            expect(step.row).toBeLessThan(rows);
            expect(jobs.some(({ row }) => row === step.row)).toBe(false);
            if (step.row >= given.canary) {
              const well = jobs.filter(
                (job) => job.row < given.canary && job.state === "succeeded",
              );
              expect(well.length).toBeGreaterThanOrEqual(
                closed ? Math.min(given.canary, rows) : given.canary,
              );
            }
            jobs.push({ row: step.row, state: "queued" });
            run.jobChanged(jobs.length - 1, step.row, null, "queued");
          } else if (what === "again") {
            const due = jobs.flatMap(({ state }, id) =>
              state === "failed" || state === "cancelled" ? [id] : [],
            );
            run.goOn(due);
          } else if (what === "stop") {
            run.stopFor(which % 2 ? "stopped" : "cancelled", "because");
          } else if (what === "restart") {
            // What is on record is enough: rows, and what became of their jobs.
            const halt = run.halt;
            run = new BatchRun(given);
            run.add(rows);
            for (const [id, job] of jobs.entries()) {
              const isLive = job.state === "queued" || job.state === "running";
              run.restored(job.row, isLive ? null : (job.state as EndState), true);
              if (isLive) run.jobChanged(id, job.row, null, job.state);
            }
            if (halt) run.stopFor(halt.halt, halt.reason);
            if (closed) run.close();
            else run.judge();
          } else if (some) {
            if (what === "run") set(some, "running");
            else if (what === "end") set(some, "succeeded");
            else if (what === "fail") set(some, "failed");
            else if (what === "cancel job") set(some, "cancelled");
          }
          const count = (state: Job["state"]) => jobs.filter((job) => job.state === state).length;
          const { counts } = run;
          expect(counts.running).toBe(count("running"));
          expect(counts.succeeded).toBe(count("succeeded"));
          expect(counts.failed).toBe(count("failed"));
          const all = counts.queued + counts.running + counts.succeeded + counts.failed;
          expect(all + counts.cancelled).toBe(rows);
          expect(run.jobs.size).toBe(live().length);
          if (run.hasEnded) expect(live()).toEqual([]);
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each(["cancelled", "failed"] as const)(
    "stops when its first rows have %s and nothing can mend that, after a restart too",
    (end) => {
      const rules = { ...NO_RULES, canary: 2 };
      const run = new BatchRun(rules);
      run.add(5);
      run.close();
      for (const job of [0, 1]) {
        expect(run.next(9)).toEqual({ kind: "begin", row: job });
        run.jobChanged(job, job, null, "queued");
      }
      run.jobChanged(0, 0, "queued", "cancelled");
      expect(run.next(9)).toBeNull();
      expect(run.halt).toBeNull();
      run.jobChanged(1, 1, "queued", "succeeded");
      expect(run.next(9)).toBeNull();
      expect(run).toMatchObject({ state: "stopped", hasEnded: true });
      expect(run.halt!.reason).toBe("The first 2 rows (--canary) have not all succeeded.");
      // Nobody has said that it was halted.
      const restarted = new BatchRun(rules);
      restarted.add(5);
      restarted.restored(0, end, true);
      restarted.restored(1, null, false);
      restarted.close();
      restarted.jobChanged(1, 1, null, "running");
      expect(restarted.next(9)).toBeNull();
      expect(restarted.state).toBe("running");
      restarted.jobChanged(1, 1, "running", "succeeded");
      expect(restarted.next(9)).toBeNull();
      expect(restarted.state).toBe("stopped");
      // The other one is tried again, which helps nothing.
      restarted.goOn([]);
      restarted.hold();
      expect(restarted.next(9)).toBeNull();
      expect(restarted.state).toBe("running");
      restarted.triedAgain();
      expect(restarted.next(9)).toBeNull();
      expect(restarted.state).toBe("stopped");
      restarted.goOn([0]);
      expect(restarted.next(9)).toEqual({ kind: "again", job: 0 });
    },
  );

  it("waits for first rows that have not come yet", () => {
    const run = new BatchRun({ ...NO_RULES, canary: 2 });
    run.add(1);
    expect(run.next(9)).toEqual({ kind: "begin", row: 0 });
    run.jobChanged(0, 0, null, "queued");
    run.jobChanged(0, 0, "queued", "succeeded");
    expect(run.next(9)).toBeNull();
    expect(run.halt).toBeNull();
    run.add(5);
    expect(run.next(9)).toEqual({ kind: "begin", row: 1 });
  });

  it("has not ended while a row is about to begin, whatever halts it", () => {
    const run = new BatchRun(NO_RULES);
    run.add(3);
    run.close();
    expect(run.next(9)).toEqual({ kind: "begin", row: 0 });
    run.stopFor("stopped", "Enough.");
    expect(run.hasEnded).toBe(false);
    run.notBegun(0);
    expect(run.hasEnded).toBe(true);
    expect(run.counts).toMatchObject({ queued: 0, cancelled: 3 });
  });

  it("comes to its end if nothing keeps it", () => {
    const run = new BatchRun(NO_RULES);
    run.add(10);
    run.close();
    for (let job = 0; job < 10; job++) {
      expect(run.hasEnded).toBe(false);
      expect(run.next(1)).toEqual({ kind: "begin", row: job });
      run.jobChanged(job, job, null, "queued");
      run.jobChanged(job, job, "queued", "succeeded");
    }
    expect(run).toMatchObject({ hasEnded: true, state: "succeeded" });
  });
});
