import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Job } from "../../src/api/index.js";
import { JobLog, LogRangeError } from "../../src/worker/log/job-log.js";
import { openNameless } from "../../src/worker/log/log-file.js";

let directory: string;
const openFile = () => openNameless(directory);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "ocluster-log-"));
});

afterEach(() => rm(directory, { recursive: true }));

/** Reads a log the way that clients do: from `start`, page by page, until an empty one. */
async function readAll(log: JobLog, start = 0): Promise<Buffer> {
  const pages: Uint8Array[] = [];
  for (let from = start; ; ) {
    const { data, next } = await log.page(from);
    if (data.length === 0) return Buffer.concat(pages);
    expect(data.length).toBeLessThanOrEqual(Job.LOG_PAGE);
    pages.push(data);
    from = next;
  }
}

describe("a job's log", () => {
  it("is read in pages while it grows", async () => {
    const log = new JobLog({ openFile });
    log.append("Building on w");
    expect(await log.page(0)).toEqual({ data: Buffer.from("Building on w\n"), next: 14 });
    const waiting = log.page(14);
    log.write("more");
    expect((await waiting).data.toString()).toBe("more");
    const atTheEnd = log.page(18);
    log.close();
    expect(await atTheEnd).toEqual({ data: Buffer.alloc(0), next: 18 });
  });

  it("counts a negative start from the end, and not beyond the beginning", async () => {
    const log = new JobLog({ openFile });
    log.write("0123456789");
    expect(await log.page(-3)).toEqual({ data: Buffer.from("789"), next: 10 });
    expect(await log.page(-1000)).toEqual({ data: Buffer.from("0123456789"), next: 10 });
  });

  it("refuses a start beyond the end", async () => {
    const log = new JobLog({ openFile });
    log.write("abc");
    await expect(log.page(4)).rejects.toThrow(new LogRangeError().message);
    expect(new LogRangeError().message).toBe("Start value out of range!");
  });

  it("lets a reader that waits give up", async () => {
    const log = new JobLog({ openFile });
    const gone = new AbortController();
    const waiting = log.page(0, gone.signal);
    gone.abort(new Error("the client left"));
    await expect(waiting).rejects.toThrow("the client left");
  });

  it("moves to a nameless file when it grows, and reads the same", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 90_000 }), { maxLength: 12 }),
        fc.nat(),
        async (writes, startSeed) => {
          const log = new JobLog({ openFile, memoryLimit: 64 * 1024 });
          for (const bytes of writes) {
            await log.write(bytes);
          }
          const all = Buffer.concat(writes);
          log.close();
          const start = startSeed % (all.length + 1);
          expect((await readAll(log, start)).equals(all.subarray(start))).toBe(true);
          expect(await readdir(directory)).toEqual([]);
          await log.dispose();
        },
      ),
      { numRuns: 30 },
    );
  });

  it("keeps little of a flood in memory when its source waits", async () => {
    const log = new JobLog({ openFile, memoryLimit: 256 * 1024 });
    const block = Buffer.alloc(100_000, "x");
    let most = 0;
    for (let i = 0; i < 200; i++) {
      const behind = log.write(block);
      most = Math.max(most, log.inMemory);
      await behind;
    }
    expect(log.length).toBe(20_000_000);
    expect(most).toBeLessThan(1024 * 1024);
    log.close();
    await log.dispose();
  });

  it("cuts what is too long, with a note, and lets the worker have the last word", async () => {
    const log = new JobLog({ openFile, maxSize: 1000 });
    log.write("a".repeat(900));
    log.write("b".repeat(900));
    log.write("c");
    log.append("Job succeeded");
    log.close();
    expect((await readAll(log)).toString()).toBe(
      `${"a".repeat(900)}${"b".repeat(100)}\n` +
        "[ the rest of the output is dropped: the log is longer than 1000 bytes ]\nJob succeeded\n",
    );
  });

  it("goes on without the output when the disk fails", async () => {
    const log = new JobLog({
      openFile: () => openNameless(join(directory, "not-there")),
      memoryLimit: 64 * 1024,
    });
    log.write(Buffer.alloc(100_000, "x"));
    while (log.length === 100_000) await log.page(log.length);
    log.append("Job failed");
    log.close();
    const text = (await readAll(log)).toString();
    expect(text).toMatch(
      /^x{100000}\n\[ the rest of the output is dropped: it cannot be stored: ENOENT/,
    );
    expect(text).toMatch(/Job failed\n$/);
  });
});
