/**
 * A backup is made while the scheduler works, and restored into a new directory.
 */
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backup } from "../../src/admin/index.js";
import { Backups as Api, BackupList, JobRecords } from "../../src/api/index.js";
import { type Capability, Identity, serve } from "../../src/rpc/index.js";
import { checkRestored, restoreBackup } from "../../src/scheduler/restore.js";
import { Backups, type BackupsOptions } from "../../src/scheduler/services/backups.js";
import { BackupCopy, removeLeftBackup } from "../../src/scheduler/state/backup-copy.js";
import { Store } from "../../src/scheduler/state/store.js";
import { SQLite } from "../../src/system/sqlite.js";
import { Network, type NetworkOptions, silentLog, untilRecord } from "./network.js";

/** Only what hangs takes so long. */
const PATIENCE = { timeout: 50_000 };

let directory: string;
let stateDir: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-backup-"));
  stateDir = join(directory, "state");
  mkdirSync(stateDir);
});

afterEach(() => rmSync(directory, { recursive: true }));

const identity = Identity.ephemeral();

function start(options: NetworkOptions & { readonly in: string }): Promise<Network> {
  const store = Store.open(join(options.in, "scheduler.db"));
  return Network.start({ durable: options.in, store, identity, ...options });
}

const CONTENT = { logs: true, outputs: true };

function sourcesOf({ durable: { outputs, records, spool } }: Network) {
  const cap = join(directory, "admin.cap");
  writeFileSync(cap, "a capability\n");
  const caps = [
    { name: "admin", path: cap },
    { name: "pool-gone", path: `${cap}.gone` },
  ];
  return { stateDir, key: identity.keyPem, caps, records, spool, outputs };
}

function backupsOf(network: Network, options: Partial<BackupsOptions> = {}): Backups {
  const make: BackupsOptions["make"] = (...args) => BackupCopy.make(sourcesOf(network), ...args);
  return new Backups({ make, log: silentLog(), ...options });
}

/** An administrator's capability for backups. */
function adminOf(backups: Backups): Capability {
  const beginBackup: Api.BackupsService["beginBackup"] = (content, signal) =>
    backups.begin(content, "a test", signal);
  return serve("Admin", Api.backupsMethods({ beginBackup }));
}

async function makeBackup(network: Network, to: string): Promise<void> {
  using admin = adminOf(backupsOf(network));
  await backup(admin, to, { ...CONTENT, json: true }, new AbortController().signal);
}

/** Restores to `restored` in the test's directory. */
async function restore(from: string) {
  const to = join(directory, "restored");
  const secretsDir = join(directory, "secrets");
  mkdirSync(secretsDir, { recursive: true });
  const secretKeyFile = join(secretsDir, "key.pem");
  const config = { from, stateDir: to, secretsDir, secretKeyFile, outputs: undefined };
  return restoreBackup(config, (warning) => expect.unreachable(warning));
}

/** What copies leave where they are made. */
function leftOvers(): string[] {
  const all = readdirSync(stateDir, { recursive: true, encoding: "utf8" });
  return all.filter((name) => name.includes("backup.new"));
}

it("has clients, jobs, logs, files and the queue of the moment when it was made", async () => {
  const before = await start({ in: stateDir });
  const alice = await before.client("alice");
  const worker = await before.worker("w1");
  const ended = await alice.submitDurable("ends");
  const first = await worker.popDurable();
  first.print("built with care\n");
  first.end("succeeded", { output: "the-layer" });
  await alice.ended(ended);
  const content = Buffer.alloc(3_000_000, "files\n");
  await before.durable.outputs.take({
    ...{ job: ended, attempt: 1, size: content.length, worker: "w1" },
    sha256: createHash("sha256").update(content).digest(),
    read: async (start, limit) => content.subarray(start, start + limit),
    put: async () => expect.unreachable(),
    isWanted: () => true,
    persist: (write) => write(),
  });
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
  const made = join(directory, "backup");
  await makeBackup(before, made);
  isOver = true;
  await inBetween;
  const late = await alice.submitDurable("after it");
  await expect.poll(leftOvers, PATIENCE).toEqual([]);
  expect(statSync(made).mode & 0o777).toBe(0o700);
  const { secrets } = before;
  await before.stop();

  await restore(made);
  const restored = join(directory, "restored");
  const key = join(directory, "secrets/key.pem");
  expect(readFileSync(key, "latin1")).toBe(identity.keyPem);
  expect(statSync(key).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(directory, "secrets/admin.cap"), "utf8")).toBe("a capability\n");
  checkRestored(restored);
  const network = await start({ in: restored });
  try {
    for (const [id, secret] of secrets) network.secrets.set(id, secret);
    const again = await network.known("alice");
    expect(await again.record(ended)).toMatchObject({ state: "succeeded", output: "the-layer" });
    expect(await again.durableLog(ended)).toBe("built with care\n");
    const { outputs } = network.durable;
    expect(outputs.size(ended, 1)).toBe(content.length);
    expect(await outputs.read(ended, 1, content.length - 6, 100)).toEqual(Buffer.from("files\n"));
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
    expect(jobs.map((each) => each.job)).not.toContain(late);
  } finally {
    await network.stop();
  }
});

describe("a copy", () => {
  let network: Network;

  beforeEach(async () => {
    network = await start({ in: stateDir });
  });

  afterEach(() => network.stop());

  it("keeps what goes meanwhile", async () => {
    const alice = await network.client("alice");
    const worker = await network.worker("w1");
    const id = await alice.submitDurable("ends");
    const job = await worker.popDurable();
    job.print("a log\n");
    job.end("succeeded");
    await alice.ended(id);
    using admin = adminOf(backupsOf(network));
    using copy = await Api.begin(admin, CONTENT);
    const files = await Api.files(copy, 0, 100);
    const number = files.findIndex(({ name }) => name === "job-logs/000001");
    expect(files[number]).toMatchObject({ size: 6 });
    rmSync(join(stateDir, "job-logs/000001"));
    expect(Buffer.from(await Api.read(copy, number, 2, 100)).toString()).toBe("log\n");
    expect(await Api.read(copy, number, 6, 100)).toHaveLength(0);
    expect(await Api.read(copy, 999, 0, 100)).toHaveLength(0);
  });

  it("is one at a time, and nothing is left of it", async () => {
    const backups = backupsOf(network);
    using admin = adminOf(backups);
    const copy = await Api.begin(admin, CONTENT);
    await expect(Api.begin(admin, CONTENT)).rejects.toThrow(/Another backup is being made since/);
    expect(leftOvers()).not.toEqual([]);
    copy.release();
    await expect.poll(leftOvers, PATIENCE).toEqual([]);
    using _another = await Api.begin(admin, { logs: false, outputs: false });
    await backups.stop();
    expect(leftOvers()).toEqual([]);
    await expect(Api.begin(admin, CONTENT)).rejects.toThrow("The scheduler is shutting down");
  });

  it("goes when nobody reads it", async () => {
    using admin = adminOf(backupsOf(network, { unreadFor: 1 }));
    using copy = await Api.begin(admin, CONTENT);
    await expect.poll(leftOvers, PATIENCE).toEqual([]);
    await expect(Api.files(copy, 0, 100)).rejects.toThrow("was not read for minutes");
  });

  it("of a scheduler that was killed is cleared away", async () => {
    await BackupCopy.make(sourcesOf(network), CONTENT, new AbortController().signal);
    await removeLeftBackup(sourcesOf(network));
    expect(leftOvers()).toEqual([]);
  });

  it("that somebody gives up while it is made leaves nothing", async () => {
    const given = AbortSignal.abort(new Error("given up"));
    const made = BackupCopy.make(sourcesOf(network), CONTENT, given);
    await expect(made).rejects.toThrow("given up");
    expect(leftOvers()).toEqual([]);
  });
});

describe("an administrator", () => {
  it("writes nothing where the names of a false scheduler lead", async () => {
    for (const name of ["../evil", "a/../../evil", "/evil", "a//b", "", BackupList.BACKUP_LIST]) {
      const service: Api.BackupService = {
        files: (first) => (first === 0 ? [{ name, size: 1, modified: 0 }] : []),
        read: async () => Buffer.from("x"),
        release: () => {},
      };
      using admin = serve("Admin", Api.backupsMethods({ beginBackup: async () => service }));
      const made = backup(
        admin,
        join(directory, "made"),
        { ...CONTENT, json: true },
        new AbortController().signal,
      );
      await expect(made).rejects.toThrow(/is no name of a file of a backup/);
      expect(readdirSync(directory)).toEqual(["state"]);
    }
  });

  it("does not overwrite anything", async () => {
    using admin = serve("Admin", []);
    const made = backup(admin, stateDir, { ...CONTENT, json: true }, new AbortController().signal);
    await expect(made).rejects.toThrow(/exists already/);
  });
});

describe("a restore", () => {
  let made: string;
  const restored = () => join(directory, "restored");

  beforeEach(async () => {
    const network = await start({ in: stateDir });
    made = join(directory, "backup");
    await makeBackup(network, made);
    await network.stop();
  });

  /** Restores what `change` has made of the backup, which is refused. Nothing is left. */
  async function refuses(change: () => void, complaint: RegExp): Promise<void> {
    change();
    await expect(restore(made)).rejects.toThrow(complaint);
    const left = existsSync(restored()) ? readdirSync(restored()) : [];
    expect(left.filter((name) => !/^(scheduler\.lock|outputs$)/.test(name))).toEqual([]);
  }

  const edit = (change: (lines: string[]) => string[]) => () => {
    const path = join(made, BackupList.BACKUP_LIST);
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    writeFileSync(path, `${change(lines).join("\n")}\n`);
  };

  it("refuses what is no whole backup", async () => {
    const cases: [() => void, RegExp][] = [
      [edit((lines) => lines.slice(0, -1)), /backup.jsonl is not whole/],
      [edit(([head, ...files]) => [head!, ...files, files[0]!]), /is not whole/],
      [edit(([, ...files]) => ['{"backup":"x"}', ...files]), /is not that of a backup/],
      [
        edit(([head, ...files]) => [head!.replace('"version":1', '"version":2'), ...files]),
        /of version 2, which a later release/,
      ],
      [
        edit((lines) => lines.map((line) => line.replace("jobs.db", "../jobs.db"))),
        /no name of a file/,
      ],
      [
        edit((lines) => lines.map((line) => line.replace("admin.cap", "x/admin.cap"))),
        /does not know what ".*" in it is/,
      ],
      [edit(() => ["nonsense"]), /makes no sense/],
      [() => writeFileSync(join(made, "jobs.db"), "short"), /jobs.db in it is not what was copied/],
      [() => rmSync(join(made, "scheduler.db")), /scheduler.db is missing/],
      [() => rmSync(join(made, BackupList.BACKUP_LIST)), /there is no backup.jsonl in it/],
    ];
    const whole = join(directory, "whole");
    cpSync(made, whole, { recursive: true });
    for (const [change, complaint] of cases) {
      await refuses(change, complaint);
      rmSync(made, { recursive: true });
      cpSync(whole, made, { recursive: true });
    }
    await restore(made);
  });

  it("refuses a file of the right size that was changed", async () => {
    const path = join(made, "key.pem");
    const text = readFileSync(path, "latin1");
    await refuses(() => writeFileSync(path, text.replace(/\w/, "x")), /key.pem in it is not what/);
  });

  it("refuses records of a later release", async () => {
    const path = join(made, "jobs.db");
    const db = new SQLite(path);
    db.pragma("user_version = 99");
    db.pragma("journal_mode = DELETE");
    db.close();
    const sha256 = createHash("sha256").update(readFileSync(path)).digest("hex");
    const { size } = statSync(path);
    const change = (line: string): string =>
      line.includes('"jobs.db"') ? JSON.stringify({ ...JSON.parse(line), sha256, size }) : line;
    await refuses(
      edit((lines) => lines.map(change)),
      /of version 99, which a later release/,
    );
  });

  it("refuses a directory with a state, another key and another client's file", async () => {
    await restore(made);
    await expect(restore(made)).rejects.toThrow(/There is a scheduler's state in .* already/);
    rmSync(restored(), { recursive: true });
    await restore(made);
    rmSync(restored(), { recursive: true });
    writeFileSync(join(directory, "secrets/key.pem"), Identity.ephemeral().keyPem);
    await refuses(() => {}, /key.pem" is another one than the backup's: move it away/);
  });

  it("that was killed is known, and begins anew", async () => {
    await restore(made);
    // As when it is killed between two renames.
    mkdirSync(join(restored(), "restoring"));
    rmSync(join(restored(), "jobs.db"));
    expect(() => checkRestored(restored())).toThrow(/was not finished: run it again/);
    await restore(made);
    checkRestored(restored());
    expect(existsSync(join(restored(), "jobs.db"))).toBe(true);
  });
});
