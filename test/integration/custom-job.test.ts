/**
 * The example of a custom job, run as its users would: against the package's own entry points.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";

const ROOT = join(import.meta.dirname, "../..");

let cluster: Cluster;
let worker: ChildProcess;

function example(...args: string[]): ChildProcess {
  return spawn(process.execPath, ["scripts/run-ts.mjs", "examples/custom-job.ts", ...args], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

beforeAll(async () => {
  cluster = await Cluster.start();
  worker = example("worker", cluster.cap("pool-linux-x86_64"));
  let said = "";
  worker.stderr!.on("data", (data) => {
    said += data;
  });
  await new Promise<void>((resolve, reject) => {
    worker.stdout!.on("data", (data) => /Ready for jobs/.test(String(data)) && resolve());
    worker.once("exit", () => reject(new Error(`The worker ended:\n${said}`)));
  });
});

afterAll(async () => {
  if (worker?.exitCode === null) {
    worker.kill("SIGTERM");
    expect(await once(worker, "exit")).toEqual([0, null]);
  }
  await cluster?.stop();
});

async function submit(line: string): Promise<{ code: number; output: string; errors: string }> {
  const client = example("submit", cluster.cap("submission"), "linux-x86_64", line);
  const texts = ["", ""];
  client.stdout!.on("data", (data) => {
    texts[0] += data;
  });
  client.stderr!.on("data", (data) => {
    texts[1] += data;
  });
  const [code] = await once(client, "close");
  return { code, output: texts[0]!, errors: texts[1]! };
}

it("runs a command and shows its output", async () => {
  const { code, output } = await submit("echo one; echo two >&2; pwd");
  expect(code).toBe(0);
  expect(output).toMatch(/^Building on shell-/);
  expect(output).toMatch(/^one$/m);
  expect(output).toMatch(/^two$/m);
  expect(output).toMatch(/build-context-\d+-/);
  expect(output).toMatch(/Job succeeded\n$/);
});

it("tells the status of a command that fails", async () => {
  const { code, output, errors } = await submit("exit 7");
  expect(output).toMatch(/The command failed with status 7\n$/);
  expect(errors).toContain("Build failed");
  expect(code).not.toBe(0);
});
