/**
 * What durable jobs cost, each with a scheduler of its own: submits that are answered when they are
 * on disk, jobs from submit to end, long queues, restarts, and records that people look at.
 */
import { JobRecords } from "../../src/api/index.js";
import { Vat } from "../../src/rpc/index.js";
import type { Figures } from "../report.js";
import { percentile } from "../statistics.js";
import { DurableClient, DurableWorker, type DurableWorkerOptions } from "./durable-load.js";
import { endedRecords, queuedRecords } from "./durable-records.js";
import { NullClient } from "./load.js";
import type { SchedulerProcess } from "./process.js";
import { blocks, pass, throughput, withScheduler } from "./scenarios.js";

const CLIENTS = 4;
const WORKERS = 10;
/** Jobs that each worker has when the scheduler is killed. */
const HELD = 100;

/** 4 clients with so many submits outstanding each, for whose answers they wait. */
export function durableSubmits(outstanding: number, seconds: number): Promise<Figures> {
  return withScheduler({ tls: true }, async (scheduler) => {
    const clients = await connectClients(scheduler);
    const times: number[] = [];
    const submit = async (client: DurableClient) => {
      const start = performance.now();
      await client.submit();
      times.push(performance.now() - start);
    };
    const load = new Load(clients, outstanding, submit);
    await pass(1);
    await scheduler.stats();
    times.length = 0;
    await pass(seconds);
    const measured = [...times];
    const after = await scheduler.stats();
    await load.stop();
    for (const client of clients) await client.close();
    return {
      "submits/s": measured.length / seconds,
      "p50 ms": percentile(measured, 0.5),
      "p99 ms": percentile(measured, 0.99),
      ...blocks("", after),
    };
  });
}

/**
 * Null jobs of 4 clients with 64 outstanding each on the same 10 workers, attached and durable in
 * turns.
 */
export function durableThroughput(seconds: number, requests: number | "bulk"): Promise<Figures> {
  return withScheduler({ tls: true }, async (scheduler) => {
    const workers = await connectWorkers(scheduler, requests === "bulk" ? {} : { requests });
    for (const worker of workers) {
      (requests === "bulk" ? worker.workInBulk() : worker.work()).catch(() => {});
    }
    const attachedClients = await Promise.all(
      Array.from({ length: CLIENTS }, () => NullClient.connect(scheduler.client)),
    );
    const durableClients = await connectClients(scheduler);
    const attached = new Rate();
    const durable = new Rate();
    const turn = async <C>(
      rate: Rate,
      clients: readonly C[],
      run: (client: C) => Promise<void>,
    ) => {
      const load = new Load(clients, 64, run);
      await pass(1);
      await rate.measure(scheduler, load, seconds / 2);
      await load.stop();
    };
    // Twice each, so that a machine that gets slower is not taken for one of them.
    for (let round = 0; round < 2; round++) {
      await turn(attached, attachedClients, async (client) => void (await client.run("")));
      await turn(durable, durableClients, (client) => client.run());
    }
    for (const peer of [...attachedClients, ...durableClients, ...workers]) await peer.close();
    return {
      "attached jobs/s": attached.perSecond,
      "durable jobs/s": durable.perSecond,
      "durable / attached": durable.perSecond / attached.perSecond,
      "attached, scheduler µs/job": attached.cost,
      "durable, scheduler µs/job": durable.cost,
      "longest block, durable, ms": durable.longestBlock,
      "longest work, durable, ms": durable.longestWork,
    };
  });
}

/**
 * As many jobs stay queued: for each that ends another one is submitted. Then a kill, with 1000
 * jobs running.
 */
export async function durableQueue(count: number, seconds: number): Promise<Figures> {
  const empty = await withScheduler({ tls: true }, (scheduler) =>
    scheduler.stats({ collectGarbage: true }),
  );
  const prepare = await queuedRecords(count);
  return withScheduler({ tls: true, prepare }, async (scheduler) => {
    const [client] = (await connectClients(scheduler, 1)) as [DurableClient];
    // Is answered when all that is on file is in the queue.
    await client.submit();
    const full = await scheduler.stats({ collectGarbage: true });
    const settled = { done: 0 };
    const onSettled = () => {
      settled.done++;
      client.submit().catch(() => {});
    };
    const workers = await connectWorkers(scheduler, { onSettled });
    for (const worker of workers) worker.work().catch(() => {});
    await pass(1);
    const rate = new Rate();
    await rate.measure(scheduler, settled, seconds);
    for (const worker of workers) await worker.close();
    // What these workers had is not to be had again for now.
    await Promise.all(Array.from({ length: WORKERS * HELD }, () => client.submit()));
    await client.close();
    return {
      "bytes/job": (full.rss - empty.rss) / count,
      "jobs/s": rate.perSecond,
      "scheduler µs/job": rate.cost,
      "longest block ms": rate.longestBlock,
      "longest work ms": rate.longestWork,
      ...(await killed(scheduler)),
    };
  });
}

/** A scheduler is killed, and started again, while 10 workers have 100 jobs each. */
async function killed(scheduler: SchedulerProcess): Promise<Figures> {
  const workers = await connectWorkers(scheduler, {});
  await Promise.all(workers.map((worker) => worker.hold(HELD)));
  const start = performance.now();
  await scheduler.restart();
  const vat = new Vat();
  using admin = await vat.import(scheduler.admin);
  await JobRecords.list(admin, { filter: {}, limit: 1 });
  const answered = performance.now();
  await Promise.all(workers.map((worker) => worker.comeBack(scheduler.pool)));
  const back = performance.now();
  const client = await DurableClient.connect(scheduler.client);
  await client.submit();
  const whole = performance.now();
  await client.close();
  const { longestBlock, longestWork } = await scheduler.stats();
  for (const worker of workers) await worker.close();
  await vat.close();
  return {
    "killed → answers ms": answered - start,
    "killed → 1000 running are back ms": back - start,
    "killed → all are queued ms": whole - start,
    "longest block at the start ms": longestBlock,
    "longest work at the start ms": longestWork,
  };
}

/** Pages and sums of many records. */
export function durableRecords(count: number): Promise<Figures> {
  return withScheduler({ tls: true, prepare: endedRecords(count) }, async (scheduler) => {
    const vat = new Vat();
    using admin = await vat.import(scheduler.admin);
    const now = Date.now() / 1000;
    const filters: Record<string, JobRecords.JobFilter> = {
      all: {},
      failed: { states: ["failed"] },
      "of a client": { client: "client-7" },
      "failed of a client": { client: "client-7", states: ["failed"] },
      "of a worker": { worker: "w7" },
      "with a hint": { hint: "hint-7" },
      "of a day last week": { since: now - 8 * 86_400, until: now - 7 * 86_400 },
      "queued (none)": { states: ["queued"] },
    };
    const figures: Record<string, number> = {};
    await scheduler.stats();
    for (const [name, filter] of Object.entries(filters)) {
      const list = () => JobRecords.list(admin, { filter, limit: 50 });
      figures[`page of 50, ${name}, ms`] = await slowest(5, list);
    }
    figures["usage of a month ms"] = await slowest(5, () =>
      JobRecords.usage(admin, now - 30 * 86_400, now),
    );
    Object.assign(figures, blocks("", await scheduler.stats()));
    await vat.close();
    return figures;
  });
}

/** Attached null jobs with and without records of them. */
export async function history(seconds: number): Promise<Figures> {
  const on = await throughput(true, seconds, true);
  const off = await throughput(true, seconds, false);
  return {
    "on, jobs/s": on["jobs/s"]!,
    "off, jobs/s": off["jobs/s"]!,
    "on / off": on["jobs/s"]! / off["jobs/s"]!,
    "on, scheduler µs/job": on["scheduler µs/job"]!,
    "off, scheduler µs/job": off["scheduler µs/job"]!,
  };
}

/** Clients that each have as many things going on as they may. */
class Load<C> {
  done = 0;
  private stopped = false;
  private readonly lanes: Promise<unknown>;

  constructor(clients: readonly C[], outstanding: number, run: (client: C) => Promise<unknown>) {
    const lane = async (client: C) => {
      for (; !this.stopped; this.done++) await run(client);
    };
    this.lanes = Promise.all(
      clients.flatMap((client) => Array.from({ length: outstanding }, () => lane(client))),
    );
  }

  /** Resolves when what went on has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.lanes;
  }
}

/** Jobs by time, and what each cost the scheduler, of any number of measurements. */
class Rate {
  longestBlock = 0;
  longestWork = 0;
  private jobs = 0;
  private ms = 0;
  private cpu = 0;

  get perSecond(): number {
    return (this.jobs / this.ms) * 1000;
  }

  /** In µs of processor time. */
  get cost(): number {
    return this.cpu / this.jobs;
  }

  async measure(
    scheduler: SchedulerProcess,
    counter: { readonly done: number },
    seconds: number,
  ): Promise<void> {
    const [before, first, start] = [await scheduler.stats(), counter.done, performance.now()];
    await pass(seconds);
    const [after, last, end] = [await scheduler.stats(), counter.done, performance.now()];
    this.jobs += last - first;
    this.ms += end - start;
    this.cpu += after.cpu - before.cpu;
    this.longestBlock = Math.max(this.longestBlock, after.longestBlock);
    this.longestWork = Math.max(this.longestWork, after.longestWork);
  }
}

function connectClients(scheduler: SchedulerProcess, count = CLIENTS): Promise<DurableClient[]> {
  return Promise.all(Array.from({ length: count }, () => DurableClient.connect(scheduler.client)));
}

function connectWorkers(
  scheduler: SchedulerProcess,
  options: DurableWorkerOptions,
): Promise<DurableWorker[]> {
  return Promise.all(
    Array.from({ length: WORKERS }, (_, index) =>
      DurableWorker.connect(scheduler.pool, `w${index}`, options),
    ),
  );
}

/** The longest of some goes, in ms. */
async function slowest(times: number, run: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  for (let time = 0; time < times; time++) {
    const start = performance.now();
    await run();
    longest = Math.max(longest, performance.now() - start);
  }
  return longest;
}
