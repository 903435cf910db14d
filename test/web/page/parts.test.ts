/** What the page computes before it shows something. */
import { describe, expect, test } from "vitest";
import { showLine } from "../../../src/web/log/index.js";
import type { LogStep, Pool } from "../../../src/web/page/api/types.js";
import { ago, count, exactMoment, hours, percent, rough } from "../../../src/web/page/format.js";
import { cellAt, countsOf, shapeOf, tellCell } from "../../../src/web/page/grid/cells.js";
import { ageOf, extended, hourOf } from "../../../src/web/page/history.js";
import { marked } from "../../../src/web/page/log/marks.js";
import {
  contentHeight,
  isScaled,
  lastTop,
  MAX_HEIGHT,
  ROW,
  rowsAt,
  scrollOf,
  topOf,
  topToShow,
} from "../../../src/web/page/log/window.js";
import { problemsOf } from "../../../src/web/page/problems.js";
import { barPath, grouped, linePath } from "../../../src/web/page/ui/chart-path.js";
import { timeline } from "../../../src/web/page/views/timeline.js";

describe("numbers", () => {
  test("counts have thousands", () => {
    expect([0, 999, 1000, 1234567].map(count)).toEqual(["0", "999", "1,000", "1,234,567"]);
  });

  test("per cents never claim too much", () => {
    expect([percent(0, 10), percent(1, 100_000), percent(99_999, 100_000)]).toEqual([
      "0%",
      "1%",
      "99%",
    ]);
    expect([percent(10, 10), percent(0, 0), percent(1, 3)]).toEqual(["100%", "0%", "33%"]);
  });

  test("times", () => {
    expect(ago(1000, 1001)).toBe("just now");
    expect(ago(1000, 1000 + 3600)).toBe("1 h ago");
    expect(ago(1000 + 600, 1000)).toBe("in 10 min");
    expect([59.4, 60, 3569, 3600 * 47, 86_400 * 3].map(rough)).toEqual([
      "59 s",
      "1 min",
      "59 min",
      "2 d",
      "3 d",
    ]);
    expect(exactMoment(1_796_000_000)).toMatch(/\(UTC[+-]\d\d:\d\d\); 2026-11-30T\d\d:\d\d:20Z$/);
    expect([hours(0), hours(1800), hours(3600 * 1234)]).toEqual(["0 h", "0.5 h", "1,234 h"]);
  });
});

describe("the steps of a build as a timeline", () => {
  const step = (part: Partial<LogStep>): LogStep => ({
    line: 0,
    title: "(run …)",
    cached: false,
    seconds: null,
    id: null,
    started: null,
    ended: true,
    failed: false,
    ...part,
  });
  const time = { started: 1000, ended: 1060, now: 0, failed: false };

  test("one after the other, each as long as it took", () => {
    const { cached, span, steps } = timeline(
      [
        step({ seconds: 0, cached: true, id: "a" }),
        step({ seconds: 10, id: "b" }),
        step({ seconds: 30, id: "c" }),
      ],
      time,
    );
    expect(span).toBe(40);
    expect(cached).toBe(1);
    expect(steps.map(({ bar, state }) => [bar?.from, bar?.size, state])).toEqual([
      [0, 0, "cached"],
      [0, 0.25, "succeeded"],
      [0.25, 0.75, "succeeded"],
    ]);
  });

  test("one that says when it began stands there, whatever was before", () => {
    const { span, steps } = timeline(
      [step({ seconds: 10 }), step({ started: "1970-01-01T00:17:10Z", seconds: 10 })],
      time,
    );
    expect(span).toBe(40);
    expect(steps[1]!.bar).toEqual({ from: 0.75, size: 0.25 });
  });

  test("the one that goes on takes the time since", () => {
    const { steps } = timeline([step({ seconds: 10, id: "a" }), step({ ended: false })], {
      ...time,
      ended: null,
      now: 1050,
    });
    expect(steps[1]).toMatchObject({ took: 40, state: "running" });
  });

  test("the one in which a build failed says so, or is the last that has not ended", () => {
    const failed = { ...time, failed: true };
    const open = timeline([step({ seconds: 10, id: "a" }), step({ ended: false })], failed);
    expect(open.steps.map(({ state }) => state)).toEqual(["succeeded", "failed"]);
    const told = timeline([step({ failed: true }), step({ ended: false }), step({})], failed);
    expect(told.steps.map(({ state }) => state)).toEqual(["failed", "setting", "succeeded"]);
  });

  test("nothing is claimed of times that nobody told", () => {
    const { steps } = timeline([step({}), step({})], { ...time, started: null });
    expect(steps.map(({ bar, took }) => [bar, took])).toEqual([
      [null, null],
      [null, null],
    ]);
  });
});

describe("a window of many rows", () => {
  const small = { total: 1000, height: 400 };
  const large = { total: 10_000_000, height: 400 };

  test("up to some hundred thousand, a row is a row", () => {
    expect(isScaled(small)).toBe(false);
    expect(contentHeight(small)).toBe(1000 * ROW);
    expect(topOf(200, small)).toBe(10);
    expect(scrollOf(10, small)).toBe(200);
    expect(rowsAt(10.5, small)).toEqual({ first: 10, last: 30 });
  });

  test("beyond that, the scroll bar is scaled, and reaches both ends", () => {
    expect(isScaled(large)).toBe(true);
    expect(contentHeight(large)).toBe(MAX_HEIGHT);
    expect(topOf(0, large)).toBe(0);
    expect(topOf(MAX_HEIGHT - 400, large)).toBe(lastTop(large));
    for (const row of [0, 1, 123_456, 9_999_980]) {
      expect(topOf(scrollOf(row, large), large)).toBeCloseTo(row, 3);
    }
    expect(rowsAt(lastTop(large), large).last).toBe(9_999_999);
  });

  test("a row that is shown is shown with some before it; one in view stays where it is", () => {
    expect(topToShow(500, 0, small)).toBe(494);
    expect(topToShow(15, 10, small)).toBe(10);
    expect(topToShow(999, 0, small)).toBe(lastTop(small));
    expect(topToShow(2, 500, small)).toBe(0);
  });
});

describe("what is searched for is marked", () => {
  test("over the borders of colours, and whatever its case", () => {
    const { runs } = showLine("\x1b[31mFat\x1b[0mal: no fatal flaw");
    expect(marked(runs, "fatal").map(({ text, marked }) => [text, marked])).toEqual([
      ["Fat", true],
      ["al", true],
      [": no ", false],
      ["fatal", true],
      [" flaw", false],
    ]);
  });

  test("nothing is, where there is nothing", () => {
    const { runs } = showLine("plain");
    expect(marked(runs, "")).toEqual([{ ...runs[0], marked: false }]);
    expect(marked(runs, "x").every(({ marked }) => !marked)).toBe(true);
  });
});

describe("a batch as a grid", () => {
  test("small ones have a cell for each row; large ones share, by round numbers", () => {
    expect(shapeOf(500, 80, 36)).toMatchObject({ rowsPerCell: 1, lines: 7 });
    expect(shapeOf(100_000, 80, 36)).toMatchObject({ rowsPerCell: 50, cells: 2000, lines: 25 });
    expect(shapeOf(1_000_000, 30, 36).lines).toBeLessThanOrEqual(36);
    expect(shapeOf(0, 80, 36)).toMatchObject({ cells: 0, lines: 0 });
  });

  test("one failure among many is seen", () => {
    const states = `${"s".repeat(49)}f${"s".repeat(50)}`;
    const shape = shapeOf(100, 1, 2);
    expect(shape.rowsPerCell).toBe(50);
    expect(cellAt(states, 100, 0, shape)).toEqual({ state: "failed", share: 0.02 });
    expect(cellAt(states, 100, 1, shape)).toEqual({ state: "succeeded", share: 1 });
    expect(tellCell(states, 100, 0, shape)).toBe("rows 1 to 50: 1 failed, 49 succeeded");
  });

  test("rows without a letter have not begun", () => {
    expect(countsOf("s", 0, 3)).toMatchObject({ succeeded: 1, open: 2 });
    expect(tellCell("r", 1, 0, shapeOf(1, 10, 10))).toBe("row 1: running");
  });
});

describe("charts", () => {
  const size = { width: 100, height: 20, top: 10 };

  test("a time that nobody watched is a gap", () => {
    expect(linePath([0, 10, null, 5, 5], size, false).match(/M/g)).toHaveLength(2);
    expect(linePath([null, null], size, true)).toBe("");
  });

  test("nothing has no bar, and little has a small one", () => {
    expect(barPath([0, null, 0.001], size).match(/M/g)).toHaveLength(1);
    expect(grouped([1, 2, null, null, 5], 3)).toEqual([3, null, 5]);
  });

  test("the hour goes on with each sample, and the oldest goes", () => {
    const points = Array.from({ length: 360 }, (_, i) => [4, i % 4, 0, 1, 1] as const);
    const history = { from: "2026-11-30T18:00:00.000Z", step: 10, points };
    const next = extended(history, [4, 4, 9, 0, 0]);
    expect(next.points).toHaveLength(360);
    expect(next.from).toBe("2026-11-30T18:00:10.000Z");
    expect(hourOf(next).queued.at(-1)).toBe(9);
    expect(ageOf(10, 360, 359)).toBe(0);
    expect(ageOf(10, 360, 0, 12)).toBe(3300);
  });
});

test("what stops a pool comes before what is worth knowing", () => {
  const pool = (name: string, ...kinds: string[]) =>
    ({
      name,
      problems: kinds.map((kind) => ({ kind, worker: null, text: kind })),
    }) as unknown as Pool;
  const found = problemsOf([pool("a", "paused", "other"), pool("b", "noWorkers", "stuck")]);
  expect(found.map(({ kind, pool, tone }) => [kind, pool, tone])).toEqual([
    ["noWorkers", "b", "bad"],
    ["stuck", "b", "bad"],
    ["paused", "a", "warn"],
    ["other", "a", "warn"],
  ]);
});
