/** Durations, moments and sizes: what people may write, and what they read. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  clockDuration,
  exactDuration,
  exactSize,
  isoMoment,
  readDuration,
  readMoment,
  readSize,
  roughAge,
  roughDuration,
  writeDuration,
  writeMoment,
  writeSize,
} from "../../src/text/index.js";

/** In local time, whatever that is here. */
const local = (...parts: [number, number, number, number?, number?, number?]): number =>
  new Date(parts[0], parts[1] - 1, parts[2], ...parts.slice(3)).getTime() / 1000;

const NOW = local(2026, 11, 30, 18, 30, 15);

describe("a moment", () => {
  it.each([
    ["now", NOW],
    ["2h", NOW - 7200],
    ["7d", NOW - 7 * 86_400],
    ["1h30m", NOW - 5400],
    ["today", local(2026, 11, 30)],
    ["yesterday", local(2026, 11, 29)],
    ["2026-11-01", local(2026, 11, 1)],
    ["2026-11-01T06:05", local(2026, 11, 1, 6, 5)],
    ["2026-11-01 06:05:07", local(2026, 11, 1, 6, 5, 7)],
    ["2026-11-01T06:05:07.5Z", Date.UTC(2026, 10, 1, 6, 5, 7, 500) / 1000],
    ["2026-11-01T06:05+02:00", Date.UTC(2026, 10, 1, 4, 5) / 1000],
    ["2028-02-29", local(2028, 2, 29)],
  ])("%s", (text, moment) => {
    expect(readMoment(text, NOW)).toBe(moment);
  });

  it.each(["", "5", "soon", "tomorrow", "2026-11", "2026-02-29", "2026-13-01", "2026-11-01T25:00"])(
    "is not %j",
    (text) => {
      expect(readMoment(text, NOW)).toBeNull();
    },
  );

  it("that is written for people or for programs can be read again", () => {
    const seconds = fc.integer({ min: 0, max: 4_000_000_000 });
    fc.assert(
      fc.property(seconds, (moment) => {
        expect(readMoment(isoMoment(moment), NOW)).toBe(moment);
      }),
    );
    expect(writeMoment(NOW)).toBe("2026-11-30 18:30:15");
    expect(readMoment(writeMoment(NOW), 0)).toBe(NOW);
  });
});

describe("a duration", () => {
  it.each([
    [0, "0.0s"],
    [-3, "0.0s"],
    [0.25, "0.3s"],
    [9.94, "9.9s"],
    [9.96, "10s"],
    [59.4, "59s"],
    [59.6, "1m00s"],
    [727, "12m07s"],
    [3599.6, "1h00m"],
    [11_100, "3h05m"],
    [172_799, "47h59m"],
    [172_800, "2d00h"],
    [353_000, "4d02h"],
  ])("of %d s is written %s", (seconds, text) => {
    expect(writeDuration(seconds)).toBe(text);
  });

  it("is read with and without units", () => {
    const texts = ["600", "0.5", "250ms", "1h30m", "7d", "-1", "1w", ""];
    expect(texts.map(readDuration)).toEqual([600, 0.5, 0.25, 5400, 604_800, null, null, null]);
  });
});

it.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1536, "1.5 KiB"],
  [1_048_575, "1.0 MiB"],
  [20 * 1024 ** 2, "20.0 MiB"],
  [2 ** 53, "8192.0 TiB"],
])("a size of %d is written %s", (bytes, text) => {
  expect(writeSize(bytes)).toBe(text);
});

it.each([
  [0, "0s", "0 s", "0 s"],
  [59.9, "60s", "59 s", "59 s"],
  [119, "119s", "1 min 59 s", "1 min"],
  [187, "3m", "3 min 07 s", "3 min"],
  [11_100, "3h05m", "3 h 05 min", "3 h"],
  [172_799, "47h59m", "47 h 59 min", "1 d"],
  [353_000, "4d02h", "98 h 03 min", "4 d"],
])("%d s are %s in a table, %s on a clock, and %s ago", (seconds, table, clock, ago) => {
  expect(roughDuration(seconds)).toBe(table);
  expect(clockDuration(seconds)).toBe(clock);
  expect(roughAge(seconds)).toBe(ago);
});

it("a default is written so that it is read as the same", () => {
  fc.assert(
    fc.property(fc.nat(), (value) => {
      expect(readSize(exactSize(value), 1)).toBe(value);
      expect(readDuration(exactDuration(value))).toBe(value);
    }),
  );
  expect([64 * 1024 ** 2, 1000, 1536].map(exactSize)).toEqual(["64M", "1000", "1536"]);
  expect([90, 600, 7200, 86_400].map(exactDuration)).toEqual(["90s", "10m", "2h", "24h"]);
});
