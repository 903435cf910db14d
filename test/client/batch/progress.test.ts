/** How a batch goes, as people see it on a terminal and in a pipe. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Batches } from "../../../src/api/index.js";
import type { EndedRow } from "../../../src/client/batch/batch-json.js";
import { BatchProgress, describeEnd } from "../../../src/client/batch/progress.js";
import { Terminal } from "../../../src/console/index.js";

let text: string;
let now: number;

beforeEach(() => {
  text = "";
  now = 1000;
});

function progress(isTTY: boolean, columns = 80): BatchProgress {
  const sink = { isTTY, columns, write: (more: string) => (text += more) };
  return new BatchProgress(new Terminal(sink, isTTY), () => now);
}

const BATCH: Batches.BatchRecord = {
  ...{
    batch: 17,
    client: "alice",
    name: "tiles",
    pool: "p",
    submitted: 900,
    ended: null,
    state: "running",
  },
  ...{ reason: "", rows: 100, closed: true, queued: 60, running: 10, succeeded: 28, failed: 2 },
  ...{ cancelled: 0, revision: 1, columns: [], last: 30 },
};

function row(key: string, state: "succeeded" | "failed", ended: number): EndedRow {
  const job = { job: 5, state, ended, reason: "no\u001b such tile", attempts: [{}] };
  return { row: 0, key, values: [], job: job as unknown as EndedRow["job"] };
}

/** What a terminal shows in the end: of each line what was written last. */
const shown = () =>
  text.split("\n").map((line) => line.split("\r\u001b[J").at(-1)?.replace(/\r$/, ""));

describe("on a terminal", () => {
  it("is one line that is redrawn, with the pace of the last ends", () => {
    const seen = progress(true);
    seen.state({ ...BATCH, queued: 90, succeeded: 0, failed: 0 });
    expect(shown()).toEqual(["Batch 17 (tiles): 0 of 100 done, 10 running, 90 queued"]);
    for (const at of [980, 990]) seen.ended(row("k", "succeeded", at));
    seen.state(BATCH);
    expect(shown()).toEqual([
      "Batch 17 (tiles): 30 of 100 done, 2 failed, 10 running, 60 queued; 0.10/s, 11 m",
    ]);
    expect(shown()[0]).toHaveLength(79);
    seen.close();
    expect(shown()).toEqual([""]);
  });

  it("is cut to the terminal, whose width may change", () => {
    const sink = { isTTY: true, columns: 40, write: (more: string) => (text += more) };
    const seen = new BatchProgress(new Terminal(sink, true), () => now);
    seen.state(BATCH);
    expect(shown()[0]!.length).toBeLessThan(40);
    sink.columns = 60;
    seen.state(BATCH);
    expect(shown()[0]!.length).toBeGreaterThan(40);
  });

  it("names those that fail, above that line, and does not go on for ever", () => {
    const seen = progress(true);
    seen.state(BATCH);
    for (let n = 0; n < 25; n++) seen.ended(row(`k${n}`, "failed", 990));
    const lines = shown();
    expect(lines[0]).toBe("Failed: k0 (job 5): no\\x1b such tile");
    expect(lines[20]).toBe("More have failed: see `ocluster-client batch show BATCH --failed`.");
    expect(lines).toHaveLength(22);
    expect(lines[21]).toMatch(/^Batch 17 \(tiles\): /);
  });
});

describe("in a pipe", () => {
  it("is a line every half a minute", () => {
    const seen = progress(false);
    for (const at of [1000, 1010, 1029, 1030, 1059, 1061]) {
      now = at;
      seen.state(BATCH);
    }
    const lines = text.trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[0]).toBe("Batch 17 (tiles): 30 of 100 done, 2 failed, 10 running, 60 queued");
    seen.close();
    expect(text).not.toContain("\r");
  });
});

it.each([
  [{ state: "succeeded" }, "Batch 17 (tiles) has succeeded: 100 rows."],
  [{ state: "failed" }, /^Batch 17 \(tiles\) has failed: 28 of 100 rows succeeded, 2 failed/],
  [{ state: "stopped", reason: "Too many." }, /was stopped: .* 0 cancelled\. Too many\.$/],
  [{ state: "cancelled" }, /was cancelled: /],
] as const)("says what became of it: %j", (change, expected) => {
  expect(describeEnd({ ...BATCH, ...change })).toEqual(
    typeof expected === "string" ? expected : expect.stringMatching(expected),
  );
});
