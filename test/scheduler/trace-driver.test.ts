/** The driver of pool traces: what it says of traces that fail or make no sense. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { run } from "../conformance/pool.js";
import { runPoolTrace } from "../conformance/pool-trace.js";

afterEach(() => vi.restoreAllMocks());

const trace = (...lines: string[]) => runPoolTrace(["pool p", ...lines].join("\n"));

test("a difference is shown where it is, and the trace goes on", () => {
  const report = trace(
    "register w 2",
    "known-workers",
    "> w connected=true active=true",
    "show",
    "> capacity: 2",
    "> queue: (ready) []",
    "> registered:",
    ">   w (0): (inactive: worker pause) (0 running)   ",
    "> disconnected:",
    "> clients:",
    "forget x",
  );
  expect(report).toEqual([
    "line 3: known-workers",
    "  - w connected=true active=true",
    "  + w connected=true active=false",
    "line 5: show",
    "    capacity: 2",
    "  - queue: (ready) []",
    "  + queue: (backlog) []",
    "    registered:",
    "      w (0): (inactive: worker pause) (0 running)",
    "    disconnected:",
    "    clients:",
    "line 12: forget x",
    "  + unknown worker",
  ]);
});

test.each([
  [["frobnicate"], /line 2: frobnicate\n {2}! no such operation: frobnicate/],
  [["constructor"], /no such operation/],
  [["register w"], /CAPACITY is missing/],
  [["register w many"], /CAPACITY must be a number, not many/],
  [["release w"], /unknown worker: w/],
  [["register w 1", "set-active w maybe worker"], /BOOL must be one of true, false, not maybe/],
  [
    ["register w 1", "set-active w true sleepy"],
    /REASON must be one of worker, admin-pause, shutdown/,
  ],
  [["submit ann j"], /unknown client: ann/],
  [["client ann", "set-rate ann 0"], /must be a finite number above 0/],
  [["client ann", "cancel ann t"], /unknown ticket: t/],
  [["state v"], /unknown pop: v/],
  [["settle now"], /not understood: now/],
  [["client  ann"], /line 2: words must be separated by single spaces: client {2}ann/],
  [["settle", ">x"], /line 3: no space after the >: >x/],
])("%j cannot be carried out", (lines, complaint) => {
  expect(trace(...lines).join("\n")).toMatch(complaint);
});

test("output without an operation, and operations without a pool", () => {
  expect(runPoolTrace("> x\npool p")).toEqual([
    "line 1: there is no operation that could print this: > x",
  ]);
  expect(runPoolTrace("show")).toEqual([
    "line 1: show",
    "  ! the first operation must be: pool NAME",
  ]);
});

test("a line for each file, and exit status 1 if one fails", async () => {
  const dir = mkdtempSync(join(tmpdir(), "ocluster-trace-"));
  try {
    const [good, bad] = [join(dir, "good.trace"), join(dir, "bad.trace")];
    writeFileSync(good, "# a comment\r\npool p\r\nforget w\r\n> unknown worker\r\n");
    writeFileSync(bad, "pool p\nforget w\n> ok\n");
    const printed: unknown[] = [];
    vi.spyOn(console, "log").mockImplementation((line) => printed.push(line));
    expect(await run([good])).toBe(0);
    expect(await run([bad, join(dir, "missing"), good])).toBe(1);
    expect(printed).toEqual([
      `PASS ${good}`,
      `FAIL ${bad}`,
      "  line 2: forget w",
      "    - ok",
      "    + unknown worker",
      `FAIL ${join(dir, "missing")}`,
      expect.stringContaining("ENOENT"),
      `PASS ${good}`,
    ]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("no files", async () => {
  const complain = vi.spyOn(console, "error").mockImplementation(() => {});
  expect(await run([])).toBe(2);
  expect(complain).toHaveBeenCalledOnce();
});
