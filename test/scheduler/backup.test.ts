/**
 * A backup is made while the scheduler works, and restored into a new directory, by the commands of
 * docs/cluster.md.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import { JobRecords } from "../../src/api/index.js";
import { Identity } from "../../src/rpc/index.js";
import { Store } from "../../src/scheduler/state/store.js";
import { Network, type NetworkOptions, untilRecord } from "./network.js";

const PAGE = readFileSync("docs/cluster.md", "utf8").split("## Backup and restore")[1]!;
const [BACKUP = "", RESTORE = ""] = Array.from(
  PAGE.matchAll(/```sh\n(.*?)```/gs),
  ([, text]) => text,
);

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-backup-"));
});

afterEach(() => rmSync(directory, { recursive: true }));

async function follow(commands: string, stateDir: string): Promise<void> {
  const script = commands.replaceAll("/var/lib/ocluster-scheduler", stateDir);
  await promisify(execFile)("sh", ["-eu", "-c", script], { cwd: directory });
}

function start(stateDir: string, options: NetworkOptions): Promise<Network> {
  const store = Store.open(join(stateDir, "scheduler.db"));
  return Network.start({ durable: stateDir, store, ...options });
}

it("has clients, jobs, logs and the queue of the moment when it was made", async () => {
  const stateDir = join(directory, "state");
  const identity = Identity.ephemeral();
  mkdirSync(join(stateDir, "capnp-secrets"), { recursive: true });
  writeFileSync(join(stateDir, "capnp-secrets/key.pem"), identity.keyPem);
  const before = await start(stateDir, { identity });
  const alice = await before.client("alice");
  const worker = await before.worker("w1");
  const ended = await alice.submitDurable("ends");
  const first = await worker.popDurable();
  first.print("built with care\n");
  first.end("succeeded", { output: "the-layer" });
  await alice.ended(ended);
  const running = await alice.submitDurable("runs");
  const job = await worker.popDurable();
  job.begun.resolve();
  job.print("half");
  await untilRecord(alice.submission, running, ({ started }) => started !== null);
  const queued = await alice.submitDurable("waits for its turn");
  // It is in use, and goes on.
  let isOver = false;
  const submitAll = async () => {
    while (!isOver) await alice.submitDurable("in between");
  };
  const inBetween = submitAll();
  await follow(BACKUP, stateDir);
  isOver = true;
  await inBetween;
  const late = await alice.submitDurable("after it");
  const { secrets } = before;
  await before.stop();

  await follow(RESTORE, stateDir);
  const restored = join(directory, "restored");
  const network = await start(restored, { identity: Identity.load(join(restored, "key.pem")) });
  try {
    for (const [id, secret] of secrets) network.secrets.set(id, secret);
    const again = await network.known("alice");
    expect(await again.record(ended)).toMatchObject({ state: "succeeded", output: "the-layer" });
    expect(await again.durableLog(ended)).toBe("built with care\n");
    expect(await again.record(queued)).toMatchObject({ state: "queued" });
    await expect(again.record(late)).rejects.toThrow(`You have no job ${late}`);
    const back = await network.worker("w1");
    expect(await back.resume(job)).toBe("goOn");
    job.print(" and half");
    job.end("succeeded");
    await again.ended(running);
    expect(await again.durableLog(running)).toBe("half and half");
    const next = await back.popDurable();
    expect(next.descr).toMatchObject({ action: { spec: "waits for its turn" } });
    next.end("succeeded");
    await again.ended(queued);
    // No number that was given out meanwhile means another job now.
    expect(await again.submitDurable("new")).toBeGreaterThan(1_000_000);
    const { jobs } = await JobRecords.list(await network.admin(), { filter: {}, limit: 500 });
    expect(jobs.map(({ job }) => job)).not.toContain(late);
  } finally {
    await network.stop();
  }
});
