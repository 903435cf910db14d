/**
 * Durable jobs while everything goes wrong: scheduler and workers are killed, told to end and
 * stopped at random moments, and the line between them is cut, stalls, and is half closed. Each job
 * tells a recorder outside of each of its runs.
 *
 * By default each kind of trouble happens once, with OCLUSTER_LONG=1 there is trouble for ten
 * minutes; OCLUSTER_SEED repeats a run as far as time allows.
 */
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { JobRecords } from "../../src/api/index.js";
import { AttemptJournal } from "../../src/worker/jobs/attempt-journal.js";
import { Random } from "../rpc/model/random.js";
import { bundled } from "../support/bundled.js";
import { Cluster } from "../support/cluster.js";
import { DurableClient, SteadyScheduler } from "../support/durable-clients.js";
import { complaintsAbout } from "../support/durable-verdict.js";
import { countLeaks } from "../support/leaks.js";
import { Program, run } from "../support/programs.js";
import { Recorder } from "../support/recorded-jobs.js";
import { SlowLine } from "../support/slow-line.js";
import { Troubles, WorkerPlace } from "../support/troubles.js";

const IS_LONG = process.env.OCLUSTER_LONG === "1";
const LONG_MS = 10 * 60_000;
const SEED = Number(process.env.OCLUSTER_SEED ?? Date.now() % 1_000_000);
const POOL = "linux-x86_64";

/** In s. Looks at the workers, and how long lost ones are waited for. */
const PROBE = 1;
const LEASE = 3;

let program: `/${string}`;
let cluster: Cluster;
let line: SlowLine;
let recorder: Recorder;

beforeAll(async () => {
  program = await bundled("test/integration/fixtures/recording-worker.ts");
  recorder = await Recorder.start();
  cluster = await Cluster.start([
    `--probe-interval=${PROBE}s`,
    `--probe-timeout=${PROBE}s`,
    `--reattach-timeout=${LEASE}s`,
    // No job is to blame for what is done to workers here.
    "--poison-after=1000000",
  ]);
  line = await SlowLine.to(cluster.port);
});

afterAll(async () => {
  line?.close();
  recorder?.stop();
  await cluster?.stop();
  if (program) rmSync(join(program, ".."), { recursive: true });
});

/** A capability file that leads over the line. */
function overLine(name: string): string {
  const path = cluster.path(`${name}-over-line.cap`);
  const ref = cluster.read(`capnp-secrets/${name}.cap`);
  writeFileSync(path, ref.replace(`:${cluster.port}/`, `:${line.port}/`), { mode: 0o600 });
  return path;
}

async function addClient(name: string): Promise<void> {
  const added = await run("ocluster-admin", ["-c", cluster.cap("admin"), "add-client", name]);
  writeFileSync(cluster.cap(name), added.stdout, { mode: 0o600 });
}

/** What is on record of all jobs. */
async function allRecords(scheduler: SteadyScheduler): Promise<Map<number, JobRecords.JobRecord>> {
  const records = new Map<number, JobRecords.JobRecord>();
  for (let cursor: string | null = ""; cursor !== null; ) {
    const from: string = cursor;
    const page = await scheduler.call((records) =>
      JobRecords.list(records, { filter: {}, cursor: from, limit: 200 }),
    );
    for (const job of page.jobs) records.set(job.job, job);
    cursor = page.cursor || null;
  }
  return records;
}

/** The program finds as many jobs of the client, and has none to wait for. */
async function expectListed(client: string, jobs: number): Promise<void> {
  const words = ["-q", "-c", cluster.cap(client)];
  const { stdout } = await run("ocluster-client", [...words, "jobs", "--json"]);
  const listed = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(listed.length).toBe(jobs);
  const succeeded = listed.filter(({ state }) => state === "succeeded").map(({ id }) => String(id));
  expect((await run("ocluster-client", [...words, "wait", ...succeeded])).code).toBe(0);
}

async function readLog(scheduler: SteadyScheduler, job: number, attempt: number): Promise<string> {
  let text = "";
  for (let start = 0; ; ) {
    const range = { job, attempt, start, follow: false };
    const { data, next } = await scheduler.call((records) => JobRecords.log(records, range));
    if (data.length === 0) return text;
    text += Buffer.from(data).toString("latin1");
    start = next;
  }
}

/** What a worker that has ended has left in its state directory. */
async function leftBy(stateDir: string): Promise<string[]> {
  const attempts = join(stateDir, "attempts");
  const { entries, journal } = await AttemptJournal.open(join(attempts, "journal"));
  await journal.close();
  return [
    ...entries.map((entry) => JSON.stringify(entry)),
    ...readdirSync(attempts).filter((name) => name !== "journal"),
    ...readdirSync(join(stateDir, "tmp")),
  ];
}

function countEach(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

it(
  `every job ends once, and runs no more often than is on record (seed ${SEED})`,
  async () => {
    const random = new Random(SEED);
    const names = ["alice", "bob", "carol"];
    for (const name of names) await addClient(name);
    const poolCap = overLine(`pool-${POOL}`);
    const workers = [1, 2, 3, 4].map((n) => {
      const [name, state] = [`w${n}`, cluster.path(`state-${n}`)];
      return new WorkerPlace(
        name,
        () => new Program(program, [poolCap, name, state, recorder.url]),
      );
    });
    const clients = names.map(
      (name, n) =>
        new DurableClient({
          ...{ name, pool: POOL, open: 12, capFile: overLine(name) },
          random: new Random(SEED + n + 1),
        }),
    );

    const [silentMs, lostMs] = [2 * PROBE * 1000, LEASE * 1000 + 1000];
    const troubles = new Troubles({ cluster, line, workers, random, silentMs, lostMs });
    let isOver = false;
    const trouble = (IS_LONG ? troubles.run(LONG_MS) : troubles.runEach()).finally(() => {
      isOver = true;
    });
    await Promise.all([trouble, ...clients.map((client) => client.run(() => isOver))]);

    const answered = clients.flatMap((client) => client.answered);
    const admin = new SteadyScheduler(cluster.cap("admin"));
    const records = await allRecords(admin);
    const log = (job: number, attempt: number) => readLog(admin, job, attempt);
    expect(await complaintsAbout({ answered, records, recorder, log })).toEqual([]);
    await admin.close();
    await expectListed("alice", clients[0]!.answered.length);

    // What workers leave when they end is what they would have kept.
    for (const worker of workers)
      expect([worker.name, await worker.stop("SIGTERM")]).toEqual([worker.name, 0]);
    for (const n of [1, 2, 3, 4]) expect(await leftBy(cluster.path(`state-${n}`))).toEqual([]);

    const attempts = [...records.values()].flatMap((record) => record.attempts);
    expect(attempts).not.toEqual([]);
    if (IS_LONG) {
      const outcomes = countEach(attempts.map(({ outcome }) => String(outcome)));
      const [jobs, runs] = [answered.length, recorder.runs.size];
      console.info({ jobs, attempts: attempts.length, runs, outcomes, troubles: troubles.counts });
      // Somebody was in trouble, and not only for a moment.
      const { crashed = 0, evicted = 0, lost = 0 } = outcomes;
      expect(crashed + evicted + lost).toBeGreaterThan(0);
    }
    expect(await countLeaks()).toBe(0);
  },
  // It waits for events: only one that hangs takes so long, on whatever machine.
  2 * LONG_MS,
);
