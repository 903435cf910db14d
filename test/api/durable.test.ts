/** The interfaces of durable jobs, one end speaking to the other: what goes in comes out. */
import { describe, expect, it } from "vitest";
import {
  Admin,
  DurableJob,
  DurableQueue,
  DurableSubmission,
  Job,
  JobRecords,
  Queue,
  readJobDescr,
  Submission,
} from "../../src/api/index.js";
import { type DetachedPointer, RpcError } from "../../src/rpc/index.js";

const DESCR = {
  action: { kind: "obuilder", spec: "((from busybox))" },
  cacheHint: "h",
  secrets: [],
} as const;

const OPTIONS: DurableSubmission.DurableOptions = {
  name: "nightly",
  key: "2026-11-30",
  retries: 2,
  lostRetries: Number.POSITIVE_INFINITY,
  retryDelay: 1.5,
  timeout: 3600,
  after: [3, 2 ** 40],
  outputs: { paths: ["/out", "/src/*.log"], when: "always", optional: true },
};

const RECORD: JobRecords.JobRecord = {
  job: 2 ** 41,
  client: "alice",
  pool: "cpu",
  attached: false,
  hint: "h",
  batch: "",
  urgent: true,
  submitted: 1_764_490_000.25,
  started: 1_764_490_001,
  ended: null,
  state: "running",
  cause: null,
  reason: "",
  output: "",
  options: OPTIONS,
  attempts: [
    {
      attempt: 1,
      worker: "w1",
      offered: 1_764_490_000.5,
      started: 1_764_490_001,
      ended: 1_764_490_002,
      outcome: "no space",
      reason: "disk full",
      logSize: 2 ** 33,
      outOfTouch: false,
      outputSize: 4096,
    },
    {
      attempt: 2,
      worker: "w2",
      offered: 1_764_490_003,
      started: null,
      ended: null,
      outcome: null,
      reason: "",
      logSize: 0,
      outOfTouch: true,
      outputSize: 0,
    },
  ],
  retriable: true,
  revision: 7,
};

function records(overrides: Partial<JobRecords.JobRecordsService> = {}) {
  const service: JobRecords.JobRecordsService = {
    list: async () => ({ jobs: [], cursor: "" }),
    get: async () => RECORD,
    log: async () => ({ data: new Uint8Array(), next: 0, attempt: 1 }),
    cancelJob: async () => {},
    retry: async () => {},
    usage: async () => [],
    outputs: async () => ({ attempt: 1, size: 0 }),
    readOutputs: async () => new Uint8Array(),
    ...overrides,
  };
  const admin: Admin.AdminService = {
    pools: () => [],
    pool: () => {
      throw new Error("no pools");
    },
    addClient: () => {
      throw new Error("no clients");
    },
    removeClient: () => {},
    listClients: () => [],
  };
  return Admin.local(admin, JobRecords.jobRecordsMethods(service));
}

describe("a submission", () => {
  it("takes a durable job with its options", async () => {
    let seen: unknown;
    using submission = Submission.local(
      { submit: () => Promise.reject(new Error("attached")) as never, save: () => null as never },
      DurableSubmission.durableSubmissionMethods({
        submitDurable: async ({ descr, ...job }) => {
          seen = { ...job, action: readJobDescr(descr).action };
          descr.release();
          return { job: 17, known: true };
        },
      }),
    );
    const answer = await DurableSubmission.submit(submission, {
      pool: "cpu",
      descr: DESCR,
      urgent: true,
      options: OPTIONS,
    });
    expect(answer).toEqual({ job: 17, known: true });
    expect(seen).toEqual({ pool: "cpu", urgent: true, options: OPTIONS, action: DESCR.action });
  });

  it("that knows no durable jobs says so", async () => {
    using submission = Submission.local({ submit: () => null as never, save: () => null as never });
    const answer = DurableSubmission.submit(submission, {
      pool: "cpu",
      descr: DESCR,
      options: OPTIONS,
    });
    await expect(answer).rejects.toMatchObject({ kind: "unimplemented" });
  });
});

describe("job records", () => {
  it("come as they are on file", async () => {
    using admin = records();
    expect(await JobRecords.get(admin, RECORD.job)).toEqual(RECORD);
  });

  it("are listed by filter, page by page", async () => {
    const asked: unknown[] = [];
    using admin = records({
      list: async (...args) => {
        asked.push(args);
        return { jobs: [RECORD], cursor: "next" };
      },
    });
    const filter: JobRecords.JobFilter = { states: ["queued", "failed"], pool: "cpu", since: 5.5 };
    const page = await JobRecords.list(admin, { filter, limit: 50 });
    expect(page).toEqual({ jobs: [RECORD], cursor: "next" });
    expect(asked).toEqual([[filter, "", 50]]);
  });

  it("are followed, and let go of", async () => {
    const waits: AbortSignal[] = [];
    using admin = records({
      get: (_job, revision, signal) => {
        if (revision !== 7) return Promise.resolve(RECORD);
        waits.push(signal);
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(new RpcError("failed", "gone")));
        });
      },
    });
    const stop = new AbortController();
    const next = JobRecords.get(admin, RECORD.job, 7, { signal: stop.signal });
    next.catch(() => {});
    await expect.poll(() => waits.length).toBe(1);
    stop.abort();
    await expect(next).rejects.toMatchObject({ kind: "failed" });
    await expect.poll(() => waits[0]!.aborted).toBe(true);
  });

  it("have logs, ends and sums", async () => {
    const asked: unknown[] = [];
    const usage: JobRecords.ClientUsage = {
      client: "bob",
      jobs: 3,
      succeeded: 1,
      failed: 1,
      cancelled: 1,
      seconds: 12.5,
      lostSeconds: 2,
    };
    using admin = records({
      log: async (range) => {
        asked.push(range);
        return { data: Buffer.from("line\n"), next: 2 ** 35 + 5, attempt: 2 };
      },
      cancelJob: async (...args) => void asked.push(args),
      retry: async (...args) => void asked.push(args),
      usage: async (...args) => {
        asked.push(args);
        return [usage];
      },
      outputs: async (...args) => {
        asked.push(args);
        return { attempt: 3, size: 2 ** 36 };
      },
      readOutputs: async (part) => {
        asked.push(part);
        return new Uint8Array([1, 2]);
      },
    });
    const range = { job: 9, attempt: 0, start: 2 ** 35, follow: true };
    const chunk = await JobRecords.log(admin, range);
    expect(Buffer.from(chunk.data).toString()).toBe("line\n");
    expect(chunk).toMatchObject({ next: 2 ** 35 + 5, attempt: 2 });
    await JobRecords.cancel(admin, 9, "no longer needed");
    await JobRecords.retry(admin, 9);
    expect(await JobRecords.usage(admin, 1, 2)).toEqual([usage]);
    expect(await JobRecords.outputs(admin, 9)).toEqual({ attempt: 3, size: 2 ** 36 });
    const part = { job: 9, attempt: 3, start: 2 ** 35, limit: 2 };
    expect([...(await JobRecords.readOutputs(admin, part))]).toEqual([1, 2]);
    expect(asked).toEqual([range, [9, "no longer needed"], [9], [1, 2], [9, 0], part]);
  });
});

describe("a worker's queue", () => {
  const book = new Uint8Array(16).fill(5);

  function queue(service: DurableQueue.DurableQueueService) {
    return Queue.local(
      { pop: () => Promise.reject(new Error("old")), setActive: () => {}, release: () => {} },
      DurableQueue.durableQueueMethods(service),
    );
  }

  it("takes back what the worker still has", async () => {
    const outputs = { size: 2 ** 33, sha256: new Uint8Array(32).fill(9) };
    const held: unknown[] = [];
    using durable = queue({
      resume: async ({ run, ...rest }) => {
        const outcome = run && (await DurableJob.outcome(run));
        held.push({ ...rest, output: outcome?.output ?? null });
        if (run) {
          expect(outcome!.outputs).toEqual(outputs);
          expect([...(await DurableJob.readOutputs(run, 2 ** 40 + 7, 9))]).toEqual([7, 9]);
        }
        run?.release();
        return run ? "goOn" : "stop";
      },
      popDurable: () => Promise.reject(new Error("no jobs")),
    });
    const run = Job.local(
      {
        log: () => ({ data: new Uint8Array(), next: 0 }),
        result: async () => "out",
        cancel: () => {},
      },
      DurableJob.durableJobMethods({
        begun: async () => {},
        outcome: async () => ({
          cause: "succeeded",
          output: "out",
          reason: "",
          logSize: 4,
          outputs,
        }),
        settled: () => {},
        readOutputs: async (start, limit) => new Uint8Array([start % 256, limit]),
      }),
    );
    const one = { book, job: 4, attempt: 2 };
    expect(await DurableQueue.resume(durable, { ...one, state: "ended", run })).toBe("goOn");
    expect(await DurableQueue.resume(durable, { ...one, state: "crashed", run: null })).toBe(
      "stop",
    );
    expect(held).toEqual([
      { ...one, state: "ended", output: "out" },
      { ...one, state: "crashed", output: null },
    ]);
  });

  it("gives out durable and attached jobs", async () => {
    const assignment = {
      ...{ job: 4, attempt: 2, timeout: 0.5, reattach: 600, book },
      ...{ outputs: OPTIONS.outputs, outputLimit: 2 ** 34 },
    };
    const given: (DurableQueue.DurableAssignment | null)[] = [assignment, null];
    using durable = queue({
      resume: async () => "stop",
      popDurable: async (job) => {
        job.release();
        return {
          descr: await submitted(),
          owner: { client: "alice", number: 4 },
          assignment: given.shift()!,
        };
      },
    });
    for (const expected of [assignment, null]) {
      const job = Job.local({
        log: () => ({ data: new Uint8Array(), next: 0 }),
        result: async () => "",
        cancel: () => {},
      });
      const popped = await DurableQueue.pop(durable, job);
      expect(popped.assignment).toEqual(expected);
      expect(readJobDescr(popped.descr).action).toEqual(DESCR.action);
      popped.descr.release();
    }
  });
});

/** A description as a scheduler has it. */
async function submitted(): Promise<DetachedPointer> {
  return new Promise((resolve) => {
    using submission = Submission.local({
      submit: ({ descr }) => {
        resolve(descr);
        throw new RpcError("failed", "Kept");
      },
      save: () => null as never,
    });
    Submission.submit(submission, { pool: "cpu", descr: DESCR }).release();
  });
}
