/** How programs end, as their parent process sees it. */
import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, describe, expect, test } from "vitest";

const RUN_TS = ["scripts/run-ts.mjs", "test/cli/fixtures/program.ts"];

let children: ChildProcessByStdio<null, Readable, Readable>[] = [];

afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children = [];
});

function start(...args: string[]) {
  const child = spawn(process.execPath, [...RUN_TS, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  return child;
}

async function end(child: ReturnType<typeof start>) {
  const [[code, signal], stderr] = await Promise.all([once(child, "exit"), text(child.stderr)]);
  return { code, signal, stderr };
}

test("an unhandled rejection is a bug: status 125 and the stack", async () => {
  const { code, stderr } = await end(start("reject"));
  expect(code).toBe(125);
  expect(stderr).toMatch(
    /^program: internal error, uncaught exception:\nError: nobody cared\n +at .*program\.ts/,
  );
});

test("when the reader of the output goes away, the program ends without a word", async () => {
  const child = start("flood");
  await once(child.stdout, "data");
  child.stdout.destroy();
  expect(await end(child)).toEqual({ code: 141, signal: null, stderr: "" });
});

describe("on a full disk", () => {
  const full = openSync("/dev/full", "w");
  afterAll(() => closeSync(full));

  test("a program whose output is lost says so", () => {
    const { status, stderr } = spawnSync(process.execPath, [...RUN_TS, "flood"], {
      stdio: ["ignore", full, "pipe"],
      encoding: "utf8",
    });
    expect(status).toBe(123);
    expect(stderr).toBe(
      "Standard output cannot be written: ENOSPC: no space left on device, write\n",
    );
  });

  test.each(["text", "json"])("one whose log is lost goes on (%s)", (format) => {
    const args = [...RUN_TS, "log", "--verbose", `--log-format=${format}`];
    const { status, stdout } = spawnSync(process.execPath, args, {
      stdio: ["ignore", "pipe", full],
      encoding: "utf8",
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "logged\n" });
  });
});

describe("asked to end", () => {
  async function interrupted(name: string, ...signals: NodeJS.Signals[]) {
    const child = start(name);
    child.stdout.setEncoding("utf8");
    let stdout = "";
    for await (const data of child.stdout) {
      stdout += data;
      // One signal for each line: "ready", then "cleaning up".
      const next = stdout.endsWith("\n") && signals[stdout.split("\n").length - 2];
      if (next) child.kill(next);
    }
    return { ...(await end(child)), stdout };
  }

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "by %s, a client cleans up and dies of it",
    async (name) => {
      expect(await interrupted("client", name)).toEqual({
        code: null,
        signal: name,
        stdout: "ready\ncleaning up\n",
        stderr: "",
      });
    },
  );

  test("a service cleans up and ends with status 0", async () => {
    expect(await interrupted("service", "SIGTERM")).toMatchObject({ code: 0, signal: null });
  });

  test("twice, a program does not finish cleaning up", async () => {
    expect(await interrupted("stuck", "SIGINT", "SIGTERM")).toMatchObject({
      code: null,
      signal: "SIGTERM",
    });
  });
});

describe("the log on standard error", () => {
  test("is text by default", async () => {
    const { code, stderr } = await end(start("log"));
    expect(code).toBe(0);
    expect(stderr.replaceAll(/\d/g, "9").split("\n")).toEqual([
      "9999-99-99 99:99.99    application  started",
      "9999-99-99 99:99.99         worker [WARNING] two",
      `${" ".repeat(35)}lines`,
      "",
    ]);
  });

  test("is coloured on demand", async () => {
    const { stderr } = await end(start("log", "--color=always"));
    expect(stderr).toContain("\u001b[33m[WARNING]\u001b[0m two\n");
  });

  test("is one JSON object per line with --log-format=json, with facts for machines", async () => {
    const { stderr } = await end(start("log", "--log-format=json", "-v"));
    const entries = stderr
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(entries).toEqual([
      { level: "info", time, source: "application", msg: "started" },
      { level: "warning", time, source: "worker", worker: "w1", msg: "two\nlines" },
    ]);
  });
});
