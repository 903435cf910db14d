/**
 * The scheduler's limits, set by its options: each is met by a client or a worker of the process
 * that it was given to.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Job, Queue, Ticket } from "../../src/api/index.js";
import { deferred } from "../../src/async/index.js";
import { readCapFile, SturdyRef, Vat } from "../../src/rpc/index.js";
import { freePort, Program, stopAll } from "../support/programs.js";
import { SlowLine } from "../support/slow-line.js";
import { TestClient, TestWorker } from "./network.js";

let dir: string;
let vats: Vat[];
let line: SlowLine;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-options-"));
  mkdirSync(join(dir, "capnp-secrets"));
  vats = [];
});

afterEach(async () => {
  line.close();
  for (const vat of vats) await vat.close();
  await stopAll();
  rmSync(dir, { recursive: true, force: true });
});

async function start(...options: readonly string[]): Promise<Program> {
  const port = await freePort();
  line = await SlowLine.to(port);
  const scheduler = new Program(
    "ocluster-scheduler",
    [
      "--capnp-secret-key-file=",
      `--capnp-listen-address=tcp:127.0.0.1:${port}`,
      "--state-dir=state",
      "--pools=pool",
      "--default-clients=alice",
      ...options,
    ],
    { cwd: dir },
  );
  await scheduler.sees("stderr", /pool-pool\.cap/);
  return scheduler;
}

/** Connects, by way of `line` if wanted. */
async function dial(name: string, byLine: boolean) {
  const vat = new Vat();
  vats.push(vat);
  const ref = readCapFile(join(dir, "capnp-secrets", `${name}.cap`));
  const { fingerprint, id } = ref;
  const near = new SturdyRef({ kind: "tcp", host: "127.0.0.1", port: line.port }, fingerprint, id);
  return { vat, service: await vat.import(byLine ? near : ref) };
}

async function client({ byLine = false } = {}): Promise<TestClient> {
  const { vat, service } = await dial("submit-alice", byLine);
  return new TestClient(vat, service);
}

async function worker(name: string, { byLine = false } = {}): Promise<TestWorker> {
  const { vat, service } = await dial("pool-pool", byLine);
  const worker = new TestWorker(vat, name, service, {});
  await worker.queue.whenResolved();
  return worker;
}

it.each([
  ["--max-queued-jobs=1", 'Client "alice" has 1 jobs queued; the limit is 1.'],
  ["--max-queued-size=1K", "bytes; the limit is 1024. Submit more"],
  ["--max-job-size=100", "bytes; the limit is 100"],
  ["--max-tickets=1", "This connection holds 1 tickets; the limit is 1."],
])("%s is what a client's jobs may come to", async (option, complaint) => {
  await start(option);
  const alice = await client();
  const jobs = ["one", "two"].map((name) => alice.submit(name.padEnd(700)));
  await expect(jobs[1]!.result).rejects.toMatchObject({
    kind: "overloaded",
    message: expect.stringContaining(complaint),
  });
  for (const job of jobs) job.release();
});

it("--probe-interval and --probe-timeout say when a worker is given up", async () => {
  await start("--probe-interval=50ms", "--probe-timeout=300ms");
  const alice = await client();
  const submitted = alice.submit("one");
  await (await worker("w1", { byLine: true })).pop();
  await submitted.job.whenResolved();
  line.freeze();
  await expect(submitted.result).rejects.toThrow('Worker "w1" has not answered for 0.3 s');
  submitted.release();
});

it.each(["--max-relay-size=1M", "--max-relay-total=1M"])(
  "%s is what may wait for a client that does not read",
  async (option) => {
    await start(option);
    const alice = await client({ byLine: true });
    const submitted = alice.submit("chatty");
    const dropped = deferred<void>();
    const written = deferred<void>();
    const job = Job.local({
      log: async () => {
        await written.promise;
        return { data: Buffer.alloc(500_000), next: 500_000 };
      },
      result: () => new Promise(() => {}),
      cancel: () => {},
      release: () => dropped.resolve(),
    });
    (await Queue.pop((await worker("w1")).queue, job)).release();
    await submitted.job.whenResolved();
    // More than the kernel's buffers on the way take.
    for (let i = 0; i < 60; i++) Job.log(submitted.job, 0).catch(() => {});
    // Answered when the scheduler has passed on all those calls.
    await submitted.ticket.whenResolved();
    await Ticket.place(submitted.ticket);
    line.freeze();
    written.resolve();
    await dropped.promise;
  },
);

it("ends with a word to everybody", async () => {
  const scheduler = await start();
  const alice = await client();
  const submitted = alice.submit("one");
  await submitted.queued();
  const ended = expect(submitted.result).rejects.toMatchObject({
    kind: "disconnected",
    message: expect.stringContaining("The scheduler is shutting down"),
  });
  expect((await scheduler.stop("SIGTERM")).code).toBe(0);
  await ended;
  submitted.release();
});
