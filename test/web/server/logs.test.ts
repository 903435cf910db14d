/**
 * Lines of logs, found by an index: the same as by splitting the whole text, whatever is in it and
 * wherever the blocks end.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LogBlocks, LogName } from "../../../src/web/server/log-blocks.js";
import { LogIndex } from "../../../src/web/server/log-index.js";
import { findInLog, type LogQuestion } from "../../../src/web/server/log-search.js";
import { asOnTerminal, logLines } from "../../../src/web/server/log-window.js";
import { Sgr } from "../../../src/web/server/sgr.js";

const NAME: LogName = { job: 1, attempt: 1 };

/** A log in memory, in blocks of any size; counts what is read of it. */
class PaperLog {
  bytesRead = 0;

  constructor(
    private content: Buffer,
    private readonly block: number,
  ) {}

  get blocks(): LogBlocks {
    return this as unknown as LogBlocks;
  }

  async read(_: LogName, start: number, size: number): Promise<Uint8Array> {
    const end = Math.min(size, (Math.floor(start / this.block) + 1) * this.block);
    const part = this.content.subarray(start, end);
    this.bytesRead += part.length;
    return part;
  }

  async index(): Promise<LogIndex> {
    const index = new LogIndex(NAME, this.blocks);
    index.update(this.content.length, true);
    await index.advance();
    return index;
  }
}

function paperLog(text: string | Buffer, block = 128 * 1024): PaperLog {
  return new PaperLog(Buffer.from(text as string), block);
}

/** All lines; the last one only if there is something in it. */
function linesOf(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

async function window(log: PaperLog, from: number, count: number) {
  return logLines(log.blocks, await log.index(), from, count);
}

async function find(log: PaperLog, question: Partial<LogQuestion>) {
  const usual = { find: "x", matchCase: false, backwards: false, from: 0, limit: 100 };
  return findInLog(log.blocks, await log.index(), { ...usual, ...question });
}

describe("a window of lines", () => {
  it("is what splitting the text gives, wherever blocks end", async () => {
    const piece = fc.oneof(
      fc.constantFrom("\n", "\n\n", "\u001b[1;31m", "\u001b[0m", "\u001b[", "é", "日本", "\t"),
      fc.string({ maxLength: 30 }).map((text) => text.replaceAll("\r", "")),
      fc.nat(3000).map((length) => "z".repeat(length)),
    );
    const property = fc.asyncProperty(
      fc.array(piece, { maxLength: 60 }),
      fc.integer({ min: 1, max: 5000 }),
      fc.nat(80),
      fc.integer({ min: 1, max: 40 }),
      async (pieces, block, from, count) => {
        const text = pieces.join("");
        const lines = linesOf(Buffer.from(text).toString());
        const index = await paperLog(text, block).index();
        expect(index.lines).toBe(lines.length);
        const first = Math.min(from, lines.length);
        const shown = await logLines(paperLog(text, block).blocks, index, first, count);
        expect(shown.lines).toEqual(lines.slice(first, first + count));
        const isLast = first + count >= lines.length && first < lines.length;
        expect(shown.open).toBe(isLast && !text.endsWith("\n"));
        const sgr = new Sgr();
        for (const line of lines.slice(0, first)) {
          for (const [, codes] of line.matchAll(/\u001b\[([0-9;:]{0,62})m/g)) sgr.apply(codes!);
        }
        if (first < lines.length) expect(shown.sgr).toBe(sgr.toString());
      },
    );
    await fc.assert(property, { seed: 17, numRuns: 150 });
  });

  it("is found in a long log by reading little of it", async () => {
    const text = Array.from({ length: 200_000 }, (_, n) => `line ${n} of a log\n`).join("");
    const log = paperLog(`\u001b[32m${text}`);
    const index = await log.index();
    for (const from of [0, 99_999, 199_990]) {
      log.bytesRead = 0;
      const shown = await logLines(log.blocks, index, from, 10);
      expect(shown.lines.at(-1)).toBe(`line ${from + 9} of a log`);
      expect(shown.sgr).toBe(from === 0 ? "" : "\u001b[32m");
      expect(log.bytesRead).toBeLessThan(300_000);
    }
  });

  it("shows a part of a line that nobody could read, and what is behind it", async () => {
    const long = "x".repeat(10_000_000);
    const log = paperLog(`one\n${long}\ntwo\n${long}`);
    const index = await log.index();
    log.bytesRead = 0;
    const shown = await logLines(log.blocks, index, 0, 100);
    expect(shown.lines.map(({ length }) => length)).toEqual([3, 16_384, 3, 16_384]);
    expect(shown).toMatchObject({ cut: [1, 3], open: true });
    expect(log.bytesRead).toBeLessThan(2_000_000);
    expect((await window(log, 2, 1)).lines).toEqual(["two"]);
  });

  it("shows a progress bar of ten megabytes as it ended", async () => {
    const bar = Array.from({ length: 200_000 }, (_, n) => `\u001b[33m${n} of 200000 done`).join(
      "\r",
    );
    const log = paperLog(`begin\n${bar}\nend\n`);
    const shown = await window(log, 0, 10);
    expect(shown.lines.map((line) => line.replace(/\u001b\[\d*m/g, ""))).toEqual([
      ...["begin", "199999 of 200000 done", "end"],
    ]);
  });

  it("ends early where lines are large, and goes on from there", async () => {
    const text = Array.from({ length: 2000 }, (_, n) => `${n}:${"y".repeat(8000)}\n`).join("");
    const log = paperLog(text);
    const numbers: number[] = [];
    while (numbers.length < 2000) {
      const shown = await window(log, numbers.length, 2000);
      expect(shown.lines.length).toBeGreaterThan(0);
      for (const line of shown.lines) numbers.push(Number.parseInt(line, 10));
    }
    expect(numbers).toEqual(Array.from({ length: 2000 }, (_, n) => n));
  });

  it("goes on as the log grows", async () => {
    const content = Buffer.from("one\ntwo\nthr\u001b[1mee\nfour\n");
    const log = new PaperLog(content, 1000);
    const index = new LogIndex(NAME, log.blocks);
    for (let size = 1; size <= content.length; size++) {
      index.update(size, false);
      await index.advance();
      const shown = await logLines(log.blocks, index, 0, 10);
      expect(shown.lines.join("\n")).toBe(content.toString("utf8", 0, size).replace(/\n$/, ""));
      expect(index.lines).toBe(shown.lines.length);
    }
  });
});

it.each([
  ["plain", "plain"],
  ["windows\r", "windows"],
  ["10%\r50%\r100%", "100%"],
  ["10%\r50%\r", "50%"],
  ["\u001b[31m10%\r50%", "\u001b[31m50%"],
  ["\u001b[31m10%\u001b[0m\r50%", "50%"],
  ["\r\r", ""],
])("what was overwritten is gone: %j", (line, shown) => {
  expect(asOnTerminal(line)).toBe(shown);
});

describe("a search", () => {
  const text = `${Array.from({ length: 30_000 }, (_, n) => (n % 1000 === 7 ? `An \u001b[1mEr\u001b[0mror ${n}` : `fine ${n}`)).join("\n")}\n`;

  it("finds lines whatever their colours, and goes on where it was", async () => {
    const log = paperLog(text);
    const all = Array.from({ length: 30 }, (_, n) => n * 1000 + 7);
    expect(await find(log, { find: "error" })).toEqual({ matches: all, next: null });
    expect(await find(log, { find: "error", matchCase: true })).toEqual({
      matches: [],
      next: null,
    });
    expect((await find(log, { find: "Error", matchCase: true })).matches).toEqual(all);
    expect(await find(log, { find: "error", limit: 2 })).toEqual({
      matches: [7, 1007],
      next: 1008,
    });
    expect((await find(log, { find: "error", from: 1008, limit: 1 })).matches).toEqual([2007]);
    const back = { find: "error", backwards: true, from: 29_999 };
    expect((await find(log, back)).matches).toEqual(all.toReversed());
    expect(await find(log, { ...back, limit: 1 })).toEqual({ matches: [29_007], next: 29_006 });
    expect(await find(log, { ...back, from: 1007 })).toEqual({ matches: [1007, 7], next: null });
  });

  it("reads a bounded part of the log, and says where to go on", async () => {
    const line = `${"-".repeat(99)}\n`;
    const log = paperLog(Buffer.concat([Buffer.alloc(40_000_000, line), Buffer.from("needle\n")]));
    const matches: number[] = [];
    let searches = 0;
    for (let from: number | null = 0; from !== null; searches++) {
      const index = await log.index();
      log.bytesRead = 0;
      const question = { find: "needle", matchCase: false, backwards: false, from, limit: 10 };
      const found = await findInLog(log.blocks, index, question);
      expect(log.bytesRead).toBeLessThan(18 * 1024 * 1024);
      matches.push(...found.matches);
      from = found.next;
    }
    expect(matches).toEqual([400_000]);
    expect(searches).toBe(3);
  });

  it("knows what looks like an error, and what does not", async () => {
    const lines = [
      "make: *** [all] Error 2",
      "0 errors, 0 warnings",
      "fatal: not a git repository",
      "cc -Werror -c x.c",
      "sh: 1: foo: not found",
      "tests finished without failures",
    ];
    const { matches } = await find(paperLog(lines.join("\n")), { find: undefined });
    expect(matches).toEqual([0, 2, 4]);
  });
});

it("steps of specs and of Dockerfiles are told from their lines", async () => {
  const note = (time: string, text: string) =>
    `\u001b[01;2m\u001b[01;35m2026-11-30 20:${time} ---> ${text}\u001b[0m`;
  const spec = [
    "\n\u001b[01;34m(from busybox)\u001b[0m",
    note("00.10", 'saved as "aaaa"'),
    '\n\u001b[01;34m/: (run (shell "make"))\u001b[0m',
    "making #1 [1/2] it",
    note("01.10", 'saved as "bbbb"'),
    "\n\u001b[01;34m/: (copy (src a)",
    "         (dst b))\u001b[0m",
    note("01.10", 'using "cccc" from cache'),
    "\n\u001b[01;34m/: (run (shell false))\u001b[0m",
  ];
  const index = await paperLog(`${spec.join("\n")}\n`, 50).index();
  expect(index.steps.steps).toMatchObject([
    { title: "(from busybox)", line: 1, cached: false, seconds: null, id: "aaaa", ended: true },
    {
      title: '/: (run (shell "make"))',
      seconds: 60,
      id: "bbbb",
      started: "2026-11-30T20:00:10.000Z",
    },
    { title: "/: (copy (src a) (dst b))", cached: true, seconds: 0, ended: true },
    { title: "/: (run (shell false))", ended: false },
  ]);
  const docker = [
    "#1 [1/2] FROM busybox",
    "#1 CACHED",
    "#2 [2/2] RUN make",
    "#2 0.3 making",
    "#2 DONE 1.5s",
    "#3 [3/3] RUN false",
    "#3 ERROR: exit code: 1",
  ];
  const ofDocker = await paperLog(`${docker.join("\n")}\n`).index();
  expect(ofDocker.steps.steps).toMatchObject([
    { title: "[1/2] FROM busybox", line: 0, cached: true, ended: true },
    { title: "[2/2] RUN make", line: 2, cached: false, seconds: 1.5 },
    { title: "[3/3] RUN false", line: 5, ended: true, failed: true },
  ]);
});

it("colours are those that are on", () => {
  const sgr = new Sgr();
  for (const codes of ["1;31", "48;5;200", "38;2;1;2;3", "4", "22"]) sgr.apply(codes);
  expect(String(sgr)).toBe("\u001b[4;38;2;1;2;3;48;5;200m");
  expect(String(Sgr.of(String(sgr)))).toBe(String(sgr));
  sgr.apply("");
  expect(String(sgr)).toBe("");
});
