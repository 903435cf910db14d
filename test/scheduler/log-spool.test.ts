/**
 * The spool of logs: what was written is read again, from any offset, by whom ever, whatever is
 * packed or moved meanwhile.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AttemptLog } from "../../src/scheduler/state/attempt-log.js";
import { JobRecords } from "../../src/scheduler/state/job-records.js";
import { LogSpool } from "../../src/scheduler/state/log-spool.js";

let directory: string;
let records: JobRecords;
let spool: LogSpool;
let warnings: string[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-spool-"));
  warnings = [];
  records = await JobRecords.open({
    directory,
    key: new Uint8Array(32),
    onWarning: (warning) => warnings.push(warning.message),
  });
  spool = await open();
});

afterEach(async () => {
  await spool.close();
  await records.close();
  rmSync(directory, { recursive: true });
  expect(warnings).toEqual([]);
});

function open(options: { segmentSize?: number; maxSize?: number } = {}): Promise<LogSpool> {
  return LogSpool.open({
    directory: join(directory, "logs"),
    records,
    maxSize: Number.POSITIVE_INFINITY,
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
}

async function reopen(options: { segmentSize?: number; maxSize?: number } = {}): Promise<void> {
  await spool.close();
  spool = await open(options);
}

/** All of a log that is whole. */
async function readAll(job: number, attempt = 1): Promise<string> {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const part = await spool.read(job, attempt, at);
    if (part.length === 0) return Buffer.concat(parts).toString("latin1");
    parts.push(part);
    at += part.length;
  }
}

/** All of a log, as who follows it sees it. */
async function follow(log: AttemptLog): Promise<string> {
  const parts: Uint8Array[] = [];
  for (let at = 0; ; ) {
    const { data, next } = await log.page(at, true);
    if (data.length === 0) return Buffer.concat(parts).toString("latin1");
    parts.push(data);
    at = next;
  }
}

/** Numbered lines, so that anything out of place shows. */
function lines(from: number, count: number): string {
  return Array.from({ length: count }, (_, index) => `line ${from + index}\n`).join("");
}

async function whole(job: number, text: string): Promise<void> {
  const log = await spool.grow(job, 1);
  log.append(Buffer.from(text));
  await log.close();
}

describe("a log", () => {
  it("is followed while it grows, by who comes early and who comes late", async () => {
    const log = await spool.grow(1, 1);
    const early = follow(log);
    log.append(Buffer.from("one\n"));
    await spool.write();
    log.append(Buffer.from("two\n"));
    const late = follow(log);
    log.append(Buffer.from("three\n"));
    await log.close();
    expect(await Promise.all([early, late])).toEqual(["one\ntwo\nthree\n", "one\ntwo\nthree\n"]);
    expect(await readAll(1)).toBe("one\ntwo\nthree\n");
  });

  it("is read without waiting where nobody follows", async () => {
    const log = await spool.grow(1, 1);
    log.append(Buffer.from("one\n"));
    expect((await log.page(4, false)).data).toHaveLength(0);
    expect(Buffer.from((await log.page(-3, false)).data).toString()).toBe("ne\n");
    await expect(log.page(5, false)).rejects.toThrow(RangeError);
    const stop = new AbortController();
    const waiting = log.page(4, true, stop.signal);
    stop.abort(new Error("not interested"));
    await expect(waiting).rejects.toThrow("not interested");
    await log.close();
  });

  it("goes on where its pieces end after a restart, and what was only in memory is had again", async () => {
    const log = await spool.grow(1, 1);
    log.append(Buffer.from("kept\n"));
    await spool.write();
    await records.synced();
    log.append(Buffer.from("lost\n"));
    // As if it had been killed: the tail is not written.
    const later = await open();
    const again = await later.grow(1, 1);
    expect(again.length).toBe(5);
    again.append(Buffer.from("again\n"));
    expect(await Promise.all([follow(again), again.close()])).toEqual(["kept\nagain\n", undefined]);
    await later.close();
    log.abandon();
  });

  it("is what was appended, however it was cut and written", async () => {
    let job = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.string({ unit: "binary" }), fc.boolean()), { maxLength: 20 }),
        async (steps) => {
          const log = await spool.grow(++job, 1);
          const seen = follow(log);
          for (const [text, write] of steps) {
            log.append(Buffer.from(text, "latin1"));
            if (write) await spool.write();
          }
          await log.close();
          const expected = Buffer.from(steps.map(([text]) => text).join(""), "latin1");
          await records.synced();
          expect([await seen, await readAll(job)]).toEqual(
            Array(2).fill(expected.toString("latin1")),
          );
        },
      ),
      { numRuns: 15 },
    );
  });
});

describe("segments", () => {
  it("are few, whatever the number of logs, and packed when they are full", async () => {
    await reopen({ segmentSize: 20_000 });
    const jobs = Array.from({ length: 1000 }, (_, index) => index + 1);
    await Promise.all(jobs.map((job) => whole(job, lines(job * 10, 10))));
    await whole(5000, lines(0, 3000));
    await records.synced();
    const files = () => readdirSync(join(directory, "logs"));
    await expect.poll(() => files().filter(isPacked).length).toBeGreaterThan(0);
    await expect.poll(() => files().filter((name) => !isPacked(name)).length).toBeLessThan(2);
    expect(files().length).toBeLessThan(10);
    for (const job of [1, 500, 1000]) expect(await readAll(job)).toBe(lines(job * 10, 10));
    expect(await readAll(5000)).toBe(lines(0, 3000));
    expect(spool.size).toBeLessThan(60_000);
    await reopen();
    expect(await readAll(500)).toBe(lines(5000, 10));
    expect(Buffer.from(await spool.read(5000, 1, 12)).toString()).toMatch(/^\d?\nline 2/);
  });

  it("of the oldest go when there is too much, but no log that grows", async () => {
    await reopen({ segmentSize: 10_000, maxSize: 1500 });
    const log = await spool.grow(1, 1);
    log.append(Buffer.from("the first words\n"));
    await whole(2, lines(0, 2000));
    await whole(3, lines(0, 2000));
    await whole(4, lines(0, 20));
    await records.synced();
    await expect.poll(() => spool.size).toBeLessThan(1500);
    expect(await readAll(2)).toBe("");
    expect(await readAll(4)).toBe(lines(0, 20));
    log.append(Buffer.from("the last words\n"));
    await log.close();
    await records.synced();
    expect(await readAll(1)).toBe("the first words\nthe last words\n");
  });

  it("that nothing refers to are removed at the next start", async () => {
    await whole(1, "of a job whose commit never came\n");
    await records.synced();
    await records.segments.dropLogs([[1, 1]]);
    await reopen();
    await expect.poll(() => readdirSync(join(directory, "logs"))).toEqual([]);
  });
});

function isPacked(name: string): boolean {
  return name.endsWith(".z");
}
