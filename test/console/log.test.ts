/** Log lines: the text format to the character, and who sees which. */

import { Registry } from "prom-client";
import { afterEach, describe, expect, test, vi } from "vitest";
import { configureLog, formatEntry, logger } from "../../src/console/log.js";
import { logMetrics } from "../../src/console/metrics.js";

const time = new Date(2020, 10, 5, 16, 28, 30);

describe("a log line", () => {
  test("has the time, the source right-aligned in 14 columns, the level and the message", () => {
    expect(formatEntry(time, "info", "capnp-rpc", "Generating new private key…")).toBe(
      "2020-11-05 16:28.30      capnp-rpc [INFO] Generating new private key…",
    );
    expect(formatEntry(time, "warning", "worker", "x")).toBe(
      "2020-11-05 16:28.30         worker [WARNING] x",
    );
  });

  test("of the application itself has no level", () => {
    expect(
      formatEntry(time, "app", "application", 'Wrote capability reference to "./admin.cap"'),
    ).toBe('2020-11-05 16:28.30    application  Wrote capability reference to "./admin.cap"');
  });

  test("cannot be forged by what it quotes", () => {
    const hostile = "job \u001b[2J\r\u009b1A\n2020-11-05 16:28.30         worker [ERROR] gotcha";
    expect(formatEntry(time, "error", "worker", hostile)).toBe(
      "2020-11-05 16:28.30         worker [ERROR] job \\x1b[2J\\x0d\\x9b1A\n" +
        `${" ".repeat(35)}2020-11-05 16:28.30         worker [ERROR] gotcha`,
    );
  });
});

describe("the verbosity", () => {
  const written: string[] = [];

  afterEach(async () => {
    vi.restoreAllMocks();
    written.length = 0;
    await configureLog({ verbosity: "warning", format: "text", color: "auto" });
  });

  test.each([
    ["quiet", []],
    ["error", ["app", "error"]],
    ["warning", ["app", "error", "warn"]],
    ["info", ["app", "error", "warn", "info"]],
    ["debug", ["app", "error", "warn", "info", "debug"]],
  ] as const)("%s shows %j", async (verbosity, shown) => {
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
    await configureLog({ verbosity, format: "text", color: "never" });
    const log = logger("worker");
    logger("application").info("app");
    log.error("error");
    log.warn("warn");
    log.info("info");
    log.debug("debug");
    expect(log.debugging).toBe(verbosity === "debug");
    expect(written.map((line) => /(\w+)\n$/.exec(line)?.[1])).toEqual(shown);
  });

  test("decides what is counted for Prometheus, too", async () => {
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const registry = new Registry();
    logMetrics(registry);
    await configureLog({ verbosity: "warning", format: "text", color: "never" });
    const log = logger("counted");
    log.error("one");
    logger("counted").error("two");
    log.warn("three");
    log.info("not shown");
    const lines = (await registry.metrics())
      .split("\n")
      .filter((line) => /src="counted"/.test(line));
    expect(lines).toEqual([
      'prometheus_logs_messages_total{level="error",src="counted"} 2',
      'prometheus_logs_messages_total{level="warning",src="counted"} 1',
    ]);
  });
});
