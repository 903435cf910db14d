/**
 * What is measured, each with a scheduler of its own. Figures are per second, µs, ms, bytes or MB
 * as their names say.
 */
import { Admin, PoolAdmin, Ticket } from "../../src/api/index.js";
import { type Capability, Vat } from "../../src/rpc/index.js";
import type { Figures } from "../report.js";
import { percentile } from "../statistics.js";
import { NullClient, type NullLog, NullWorker } from "./load.js";
import { POOL, type SchedulerOptions, SchedulerProcess, type Stats } from "./process.js";

export async function withScheduler<T>(
  options: SchedulerOptions,
  use: (scheduler: SchedulerProcess) => Promise<T>,
): Promise<T> {
  const scheduler = await SchedulerProcess.start(options);
  try {
    return await use(scheduler);
  } finally {
    await scheduler.stop();
  }
}

/** Null jobs of 4 clients with 64 outstanding each, on 10 workers of capacity 1. */
export function throughput(tls: boolean, seconds: number, history = true): Promise<Figures> {
  return withScheduler({ tls, history }, async (scheduler) => {
    const workers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => NullWorker.connect(scheduler.pool, `w${i}`)),
    );
    for (const worker of workers) worker.work().catch(() => {});
    const clients = await Promise.all(
      Array.from({ length: 4 }, () => NullClient.connect(scheduler.client)),
    );
    let done = 0;
    let stopped = false;
    const lane = async (client: NullClient) => {
      for (; !stopped; done++) await client.run("");
    };
    const lanes = clients.flatMap((client) => Array.from({ length: 64 }, () => lane(client)));
    await pass(2);
    const [before, doneBefore, start] = [await scheduler.stats(), done, performance.now()];
    await pass(seconds);
    const [after, doneAfter, end] = [await scheduler.stats(), done, performance.now()];
    stopped = true;
    await Promise.all(lanes);
    for (const peer of [...clients, ...workers]) await peer.close();
    const jobs = doneAfter - doneBefore;
    return {
      "jobs/s": (jobs / (end - start)) * 1000,
      "scheduler µs/job": (after.cpu - before.cpu) / jobs,
      ...blocks("", after),
    };
  });
}

/** One job at a time, for a worker that waits for it. */
export function latency(jobs: number): Promise<Figures> {
  return withScheduler({ tls: true }, async (scheduler) => {
    let popped = 0;
    const onJob = () => {
      popped = performance.now();
    };
    const worker = await NullWorker.connect(scheduler.pool, "w", { onJob });
    worker.work().catch(() => {});
    const client = await NullClient.connect(scheduler.client);
    const toWorker: number[] = [];
    const toResult: number[] = [];
    for (let i = 0; i < jobs; i++) {
      const start = performance.now();
      await client.run("");
      toResult.push(performance.now() - start);
      toWorker.push(popped - start);
    }
    await client.close();
    await worker.close();
    return {
      "submit → worker p50 ms": percentile(toWorker, 0.5),
      "submit → worker p99 ms": percentile(toWorker, 0.99),
      "submit → result p50 ms": percentile(toResult, 0.5),
    };
  });
}

/** A job's log through the scheduler. */
export function logRelay(log: NullLog): Promise<Figures> {
  return withScheduler({ tls: true }, async (scheduler) => {
    const worker = await NullWorker.connect(scheduler.pool, "w", { log });
    worker.work().catch(() => {});
    const client = await NullClient.connect(scheduler.client);
    await client.run("");
    const start = performance.now();
    const bytes = await client.run("");
    const seconds = (performance.now() - start) / 1000;
    await client.close();
    await worker.close();
    return { "MB/s": bytes / 1e6 / seconds };
  });
}

/** Many queued jobs: in, shown, away; and in again and out to workers. */
export function queued(count: number): Promise<Figures> {
  return withScheduler({ tls: true }, async (scheduler) => {
    const client = await NullClient.connect(scheduler.client);
    const vat = new Vat();
    using admin = await vat.import(scheduler.admin);
    using pool = Admin.pool(admin, POOL);
    const empty = await scheduler.stats({ collectGarbage: true });

    const submitting = performance.now();
    const tickets = await submitAll(client, count);
    const submitted = performance.now() - submitting;
    const afterSubmit = await scheduler.stats();
    const full = await scheduler.stats({ collectGarbage: true });

    const showing = performance.now();
    const text = await PoolAdmin.show(pool);
    const shown = performance.now() - showing;
    const afterShow = await scheduler.stats();

    for (const ticket of tickets) ticket.release();
    await empties(pool);
    const afterRelease = await scheduler.stats();
    const released = await scheduler.stats({ collectGarbage: true });

    const again = await submitAll(client, count);
    const worker = await NullWorker.connect(scheduler.pool, "w", { requests: 16, capacity: 16 });
    await scheduler.stats();
    const draining = performance.now();
    await worker.work(count);
    const drained = performance.now() - draining;
    const afterDrain = await scheduler.stats();

    // Not before: tickets that nobody holds are released when they are garbage.
    for (const ticket of again) ticket.release();
    await client.close();
    await scheduler.stats();
    const lost = await NullClient.connect(scheduler.client);
    const held = await submitAll(lost, count);
    await scheduler.stats();
    await lost.close();
    for (const ticket of held) ticket.release();
    await empties(pool);
    const afterLoss = await scheduler.stats();
    await worker.close();
    pool.release();
    await vat.close();
    return {
      "submits/s": (count / submitted) * 1000,
      "bytes/job": (full.rss - empty.rss) / count,
      ...blocks(" while submitting", afterSubmit),
      "show ms": shown,
      "show MB": text.length / 1e6,
      ...blocks(" in show", afterShow),
      ...blocks(" in release", afterRelease),
      "RSS MB after release": released.rss / 1e6,
      "drained jobs/s": (count / drained) * 1000,
      ...blocks(" while draining", afterDrain),
      ...blocks(" when the client is lost", afterLoss),
    };
  });
}

/** Workers that wait for jobs that do not come. */
export function idleWorkers(count: number, seconds: number): Promise<Figures> {
  return withScheduler({ tls: true }, async (scheduler) => {
    const empty = await scheduler.stats({ collectGarbage: true });
    const start = performance.now();
    const workers: NullWorker[] = [];
    let next = 0;
    const connectSome = async () => {
      while (next < count) {
        const worker = await NullWorker.connect(scheduler.pool, `w${next++}`);
        worker.work(1).catch(() => {});
        workers.push(worker);
      }
    };
    // Some hundreds are in their handshake at a time: this process has to do its half of all of
    // them.
    await Promise.all(Array.from({ length: 256 }, connectSome));
    const connected = performance.now() - start;
    await pass(1);
    const full = await scheduler.stats({ collectGarbage: true });
    await pass(seconds);
    const later = await scheduler.stats();
    await Promise.all(workers.map((worker) => worker.close()));
    return {
      "connect all s": connected / 1000,
      "KB/worker": (full.rss - empty.rss) / 1000 / count,
      "idle CPU %": ((later.cpu - full.cpu) / 1e6 / seconds) * 100,
    };
  });
}

/** For how long others had to wait, and how much of that at most was the scheduler's own doing. */
export function blocks(when: string, { longestBlock, longestWork }: Stats): Figures {
  return {
    [`longest block${when} ms`]: longestBlock,
    [`longest work${when} ms`]: longestWork,
  };
}

/** Submits jobs, some thousand at a time, and waits until all are queued. */
async function submitAll(client: NullClient, count: number): Promise<Capability[]> {
  const tickets: Capability[] = [];
  for (let done = 0; done < count; ) {
    const batch = Array.from({ length: Math.min(2000, count - done) }, (_, i) =>
      client.submit("((from busybox) (run (shell true)))", `hint-${(done + i) % 1000}`),
    );
    await Promise.all(batch.map((ticket) => ticket.whenResolved()));
    done += batch.length;
    // As a client does that waits for the job.
    for (const ticket of batch) Ticket.job(ticket).release();
    tickets.push(...batch);
  }
  return tickets;
}

/** Waits until nothing is queued. */
async function empties(pool: Capability): Promise<void> {
  while (!(await PoolAdmin.show(pool)).includes("queue: (backlog) []")) await pass(1);
}

export function pass(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
