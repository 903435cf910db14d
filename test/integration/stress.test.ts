/**
 * `npm run stress`: simulated clients and workers on a real scheduler, who account for every job
 * and leave nothing behind.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { run } from "../support/programs.js";

const ROOT = join(import.meta.dirname, "../..");

let tmp: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  tmp = mkdtempSync(join(tmpdir(), "ocluster-test-"));
});

afterEach(() => {
  child?.kill("SIGTERM"); // if the test has failed while it runs
  rmSync(tmp, { recursive: true, force: true });
});

/** Runs it to its end; interrupts it once what is on standard output so far is `enough`. */
async function stress(args: readonly string[], enough: (output: string) => boolean = () => false) {
  const started = spawn(process.execPath, ["scripts/run-ts.mjs", "bench/stress.ts", ...args], {
    cwd: ROOT,
    env: { ...process.env, TMPDIR: tmp },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child = started;
  let stdout = "";
  let stderr = "";
  let interrupted = false;
  started.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    // Only once: a second interrupt means "at once".
    if (interrupted || !enough(stdout)) return;
    interrupted = true;
    started.kill("SIGINT");
  });
  started.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = await once(started, "close");
  return { code, stdout, stderr };
}

/** A client's row of the last table, by column. */
function figures(stdout: string, client: string): Record<string, number> {
  const lines = stdout.split("\n");
  const head = lines.findLast((line) => line.startsWith("after "))!;
  const row = lines.findLast((line) => line.startsWith(`${client} `))!;
  const names = head.slice(head.indexOf("submitted")).split(/\s{2,}/);
  const values = row
    .trim()
    .split(/\s{2,}/)
    .slice(1);
  return Object.fromEntries(names.map((name, index) => [name, Number.parseFloat(values[index]!)]));
}

it("knows its version", async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  expect(await stress(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

it("follows every job to its end, and bulk does not starve the others", async () => {
  const { code, stdout, stderr } = await stress(
    [
      "--report=200ms",
      "--workers=3",
      "--capacity=4",
      "--worker-life=2s",
      "--client=steady,batch=3,every=200ms,cold=200ms,warm=50ms,rate=4,urgent=50",
      "--client=bulk,batch=100,every=1h,cold=100ms,warm=20ms,hints=20,failing=20,cancelled=10",
    ],
    (output) => {
      const { running, submitted, waiting } = figures(output, "bulk");
      return submitted === 100 && waiting === 0 && running === 0;
    },
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const bulk = figures(stdout, "bulk");
  expect(bulk).toMatchObject({ submitted: 100, waiting: 0, running: 0, refused: 0 });
  expect(bulk.done! + bulk.failed! + bulk.cancelled! + bulk.lost!).toBe(100);
  expect(bulk.failed).toBeGreaterThan(0);
  expect(bulk.cancelled).toBeGreaterThan(0);
  const steady = figures(stdout, "steady");
  expect(steady["wait 50 %"]).toBeLessThan(bulk["wait 50 %"]!);
  expect(readdirSync(tmp)).toEqual([]);
}, 180_000);

it("ends by itself when the time is up", async () => {
  const { code, stdout } = await stress(["--time=500ms", "--workers=1", "--client=idle,every=1h"]);
  expect(code).toBe(0);
  // How far it came in that time is the machine's affair.
  expect(figures(stdout, "idle")).toMatchObject({ waiting: 0, running: 0 });
  expect(readdirSync(tmp)).toEqual([]);
});

it("ends in good order when it is interrupted while jobs run for hours", async () => {
  const { code, stdout, stderr } = await stress(
    ["--report=200ms", "--workers=1", "--capacity=2", "--client=slow,batch=5,every=1h,cold=1h"],
    (output) => figures(output, "slow").running === 2,
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(figures(stdout, "slow")).toMatchObject({ submitted: 5, cancelled: 5, running: 0 });
  expect(readdirSync(tmp)).toEqual([]);
});

it("uses a scheduler that is there already, and leaves it as it was", async () => {
  const cluster = await Cluster.start();
  try {
    const { code, stdout, stderr } = await stress(
      [
        "--report=200ms",
        `--secrets-dir=${cluster.path("capnp-secrets")}`,
        "--pool=linux-x86_64",
        "--workers=2",
        "--client=guest,batch=10,every=1h,cold=10ms,failing=0",
      ],
      (output) => figures(output, "guest").done === 10,
    );
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(figures(stdout, "guest")).toMatchObject({ submitted: 10, done: 10 });
    const clients = await run("ocluster-admin", ["-c", cluster.cap("admin"), "list-clients"]);
    expect(clients.stdout).toBe("test-user\n");
    expect(await cluster.show()).not.toMatch(/stress-1/);
  } finally {
    await cluster.stop();
  }
});

it("says what it does not understand about a client", async () => {
  const { code, stderr } = await stress(["--client=a,speed=5"]);
  expect(code).toBe(124);
  expect(stderr).toContain(
    "option '--client': 'speed=5' is not KEY=VALUE with a key of rate, batch,",
  );
});
