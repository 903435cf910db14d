/** A worker's leases: what it begins, tells, gives back and asks for. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Batches, BulkQueue, DurableSubmission, Job, Queue } from "../../src/api/index.js";
import { type Deferred, deferred } from "../../src/async/index.js";
import { type Capability, RpcError } from "../../src/rpc/index.js";
import { Appetite } from "../../src/worker/appetite.js";
import { Capacity } from "../../src/worker/capacity.js";
import { LeaseHolder, type LeaseResult } from "../../src/worker/leases.js";
import { countLeaks } from "../support/leaks.js";

const LONG_MS = 1_000_000;

/** A job that runs, as the test has it. */
class Run {
  readonly result: Deferred<LeaseResult> = deferred();
  fate = "runs";
  readonly settling = deferred();

  constructor(
    readonly job: number,
    private readonly onEnd: () => void,
  ) {}

  end(how: Partial<LeaseResult> = {}): void {
    this.onEnd();
    const log = Buffer.from(`log of ${this.job}`);
    const usual = { cause: "succeeded", output: "", reason: "", seconds: 0.001, log } as const;
    this.result.resolve({ ...usual, ...how });
  }
}

/** The scheduler's side of the queue. */
class Scheduler {
  readonly ends: BulkQueue.LeaseEnd[] = [];
  readonly begun: number[] = [];
  readonly kept: number[][] = [];
  unwanted: number[] = [];
  verdict: "goOn" | "stop" = "goOn";
  /** Answers wait for it. */
  gate: Promise<void> = Promise.resolve();
  refusal: RpcError | undefined;
  refused = 0;
  private happened = deferred();
  readonly queue: Capability;

  constructor() {
    this.queue = Queue.local(
      { pop: () => Promise.reject(new Error("not asked")), setActive: () => {}, release: () => {} },
      BulkQueue.bulkQueueMethods({
        take: () => Promise.reject(new Error("not asked")),
        leaseBegun: ({ job }, run) => {
          this.begun.push(job);
          run.release();
          this.changed();
          return this.verdict;
        },
        leasesEnded: async (ends) => {
          if (this.refusal) {
            this.refused++;
            this.changed();
            throw this.refusal;
          }
          this.ends.push(...ends);
          this.changed();
          await this.gate;
          return this.unwanted.splice(0);
        },
        keepLeases: async (jobs) => {
          this.kept.push([...jobs]);
        },
      }),
    );
  }

  private changed(): void {
    this.happened.resolve();
    this.happened = deferred();
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await this.happened.promise;
  }

  /** Jobs that were told of as ended so. */
  told(cause: BulkQueue.LeaseEnd["cause"]): number[] {
    return this.ends.filter((end) => end.cause === cause).map(({ job }) => job);
  }
}

let scheduler: Scheduler;
let runs: Run[];
let leaks: number;
let holder: LeaseHolder;

beforeEach(async () => {
  leaks = await countLeaks();
  scheduler = new Scheduler();
  runs = [];
});

afterEach(async () => {
  holder.close();
  scheduler.queue.release();
  expect((await countLeaks()) - leaks).toBe(0);
});

function hold(
  capacity: Capacity,
  times: { holdMs?: number; shortMs?: number; retryMs?: number } = {},
): LeaseHolder {
  holder = new LeaseHolder({
    queue: scheduler.queue,
    capacity,
    run: ({ job }, _, descr) => {
      descr.release();
      capacity.take(1);
      const run = new Run(job, () => capacity.giveBack(1));
      runs.push(run);
      return {
        ended: run.result.promise,
        capability: () =>
          Job.local({
            log: () => ({ data: new Uint8Array(), next: 0 }),
            result: async () => "",
            cancel: () => {},
          }),
        settled: () => {
          run.fate = "settled";
          run.settling.resolve();
        },
        giveUp: () => {
          run.fate = "given up";
          run.settling.resolve();
        },
      };
    },
    holdMs: LONG_MS,
    shortMs: LONG_MS,
    ...times,
  });
  return holder;
}

/** Gives these jobs to the worker. */
function give(...jobs: readonly number[]): void {
  holder.accept({
    kind: "leases",
    leases: jobs.map((job) => ({
      ...{ job, attempt: 1, client: "alice", timeout: 0 },
      content: { descr: new Uint8Array(0) },
    })),
    templates: [],
    book: new Uint8Array(16),
    reattach: 600,
  });
}

describe("leases that a worker has", () => {
  it("begin as there is room, and are told of when they are over", async () => {
    hold(new Capacity(2));
    give(1, 2, 3);
    expect(runs.map(({ job }) => job)).toEqual([1, 2]);
    runs[0]!.end({ output: "image", seconds: 0.5 });
    await scheduler.until(() => scheduler.ends.length === 1);
    expect(scheduler.ends[0]).toMatchObject({
      ...{ job: 1, attempt: 1, cause: "succeeded", begun: true, seconds: 0.5, output: "image" },
    });
    expect(Buffer.from(scheduler.ends[0]!.log).toString()).toBe("log of 1");
    await runs[0]!.settling.promise;
    expect(runs.map(({ fate, job }) => [job, fate])).toEqual([
      [1, "settled"],
      [2, "runs"],
      [3, "runs"],
    ]);
  });

  it("are told of together while the scheduler is busy with others", async () => {
    hold(new Capacity(100));
    give(...Array.from({ length: 50 }, (_, index) => index + 1));
    const busy = deferred();
    scheduler.gate = busy.promise;
    for (const run of runs.slice(0, 2)) {
      run.end();
      await scheduler.until(() => scheduler.ends.length === run.job);
    }
    for (const run of runs.slice(2)) run.end();
    busy.resolve();
    await Promise.all(runs.map(({ settling }) => settling.promise));
    expect(scheduler.told("succeeded")).toHaveLength(50);
    expect(runs.every(({ fate }) => fate === "settled")).toBe(true);
  });

  it("are followed if they take longer, or have more to tell", async () => {
    hold(new Capacity(2), { shortMs: 1 });
    give(1);
    await scheduler.until(() => scheduler.begun.length === 1);
    runs[0]!.end();
    holder.close();
    hold(new Capacity(2));
    give(2);
    runs[1]!.end({ log: null });
    await scheduler.until(() => scheduler.begun.length === 2);
    expect(scheduler.begun).toEqual([1, 2]);
    expect(scheduler.ends).toEqual([]);
  });

  it("are given up if the scheduler does not want them any more", async () => {
    scheduler.verdict = "stop";
    hold(new Capacity(1), { shortMs: 1 });
    give(1);
    await runs[0]!.settling.promise;
    expect(runs[0]!.fate).toBe("given up");
  });

  it("are given back when they wait for too long, and none are asked for ahead", async () => {
    hold(new Capacity(1), { holdMs: 1 });
    give(1, 2, 3);
    await scheduler.until(() => scheduler.ends.length === 2);
    expect(scheduler.told("evicted")).toEqual([2, 3]);
    expect(scheduler.ends.map(({ begun }) => begun)).toEqual([false, false]);
    expect(holder.wish).toMatchObject({ room: 0, ahead: 0 });
    expect(holder.isHungry).toBe(false);
    expect(runs).toHaveLength(1);
  });

  it("are given back when they are not wanted, unless they have begun", async () => {
    hold(new Capacity(1));
    give(1, 2, 3, 4);
    scheduler.unwanted = [2, 4];
    runs[0]!.end();
    // There was room for the second by then.
    await scheduler.until(() => scheduler.told("evicted").length === 1);
    expect(scheduler.told("evicted")).toEqual([4]);
    runs[1]!.end({ cause: "failed" });
    await scheduler.until(() => scheduler.told("failed").length === 1);
    expect(runs.map(({ job }) => job)).toEqual([1, 2, 3]);
  });

  it("are given back when the worker has no room for their kind", async () => {
    hold(new Capacity(1));
    give(1, 2, 3);
    runs[0]!.end({ cause: "no space", reason: "the disk is full" });
    await scheduler.until(() => scheduler.ends.length === 3);
    expect(scheduler.told("no space")).toEqual([1]);
    expect(scheduler.told("evicted")).toEqual([2, 3]);
    expect(runs).toHaveLength(1);
  });

  it("are dropped when the worker takes no more, but for those that have begun", async () => {
    hold(new Capacity(1));
    give(1, 2, 3);
    await holder.drain();
    expect(scheduler.kept).toEqual([[1]]);
    runs[0]!.end();
    await runs[0]!.settling.promise;
    expect(runs).toHaveLength(1);
    expect(scheduler.ends).toHaveLength(1);
  });

  it("are followed one by one when their ends cannot be told together", async () => {
    scheduler.refusal = new RpcError("overloaded", "too much at a time");
    hold(new Capacity(2));
    give(1, 2);
    for (const run of runs) run.end();
    await scheduler.until(() => scheduler.begun.length === 2);
    expect(runs.map(({ fate }) => fate)).toEqual(["runs", "runs"]);
  });

  const rowOf = (batch: number, job: number): BulkQueue.Lease => {
    // A key of one byte, and no values.
    const content = { batch, row: Uint8Array.of(1, "k".charCodeAt(0)) };
    return { job, attempt: 1, client: "alice", timeout: 0, content };
  };
  const of = { kind: "leases", book: new Uint8Array(16), reattach: 600 } as const;
  const templateOf = (batch: number): BulkQueue.LeaseTemplate => {
    const { DEFAULT_DURABLE_OPTIONS: options } = DurableSubmission;
    const descr = { action: { kind: "obuilder", spec: "" }, cacheHint: "", secrets: [] } as const;
    const template = { columns: [], spec: [], buildArgs: [], hint: [], descr };
    const content = BulkQueue.packTemplate({
      ...{ name: "b", fresh: false, pool: "p", urgent: false, digest: Buffer.alloc(32) },
      ...{ options, rules: Batches.NO_RULES, template },
    });
    return { batch, content };
  };

  it("of more batches than are remembered all have their template", () => {
    hold(new Capacity(40));
    const many = Array.from({ length: BulkQueue.MOST_TEMPLATES + 4 }, (_, batch) => batch);
    const leases = many.map((batch) => rowOf(batch, batch + 1));
    holder.accept({ ...of, leases, templates: many.map(templateOf) });
    expect(runs).toHaveLength(many.length);
    expect(holder.wish.templates).toEqual(many.slice(4));
  });

  it("whose template was forgotten meanwhile are given back, and it is asked for", async () => {
    hold(new Capacity(2));
    holder.accept({ ...of, leases: [rowOf(7, 1)], templates: [] });
    await scheduler.until(() => scheduler.ends.length === 1);
    expect(scheduler.told("evicted")).toEqual([1]);
    expect(holder.wish.templates).toEqual([]);
  });

  it("whose template cannot be read end in words", async () => {
    hold(new Capacity(2));
    const templates = [{ batch: 7, content: new Uint8Array(3) }];
    holder.accept({ ...of, leases: [rowOf(7, 1)], templates });
    await scheduler.until(() => scheduler.ends.length === 1);
    const reason = "Its description cannot be made: the template of its batch cannot be read";
    expect(scheduler.ends[0]).toMatchObject({ cause: "failed", reason });
  });

  it("that have not begun are told of again when their ends were refused", async () => {
    scheduler.refusal = new RpcError("overloaded", "too much at a time");
    hold(new Capacity(2), { retryMs: 1 });
    holder.accept({ ...of, leases: [rowOf(7, 1)], templates: [] });
    await scheduler.until(() => scheduler.refused > 1);
    scheduler.refusal = undefined;
    await scheduler.until(() => scheduler.ends.length === 1);
    expect(scheduler.told("evicted")).toEqual([1]);
  });
});

describe("how many jobs are asked for ahead", () => {
  it("none at first, and more with each short one", () => {
    const appetite = new Appetite(256);
    expect(appetite.ahead(10)).toBe(0);
    for (let count = 0; count < 4; count++) appetite.ended(1);
    expect(appetite.ahead(10)).toBe(8);
    for (let count = 0; count < 100; count++) appetite.ended(1);
    expect(appetite.ahead(1)).toBeGreaterThan(90);
    expect(appetite.ahead(1)).toBeLessThanOrEqual(100);
    expect(appetite.ahead(10)).toBe(208);
    for (let count = 0; count < 100; count++) appetite.ended(0);
    expect(appetite.ahead(10)).toBe(256);
  });

  it("none after a long one", () => {
    const appetite = new Appetite(256);
    for (let count = 0; count < 100; count++) appetite.ended(1);
    appetite.ended(26);
    expect(appetite.ahead(10)).toBe(0);
  });

  it("as many as are over within moments, if they are not that short", () => {
    const appetite = new Appetite(256);
    for (let count = 0; count < 100; count++) appetite.ended(24);
    expect(appetite.ahead(2)).toBe(8);
  });
});
