/** The example of docs/rpc.md, run as its readers would: against the package's own entry point. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

test("rpc-hello.ts says what it should", async () => {
  const args = ["scripts/run-ts.mjs", "examples/rpc-hello.ts"];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  expect(stdout).toBe("heard: World is here\nHello, World!\nWorld has left\n");
});

test("it is short enough to be read", () => {
  const lines = readFileSync(join(ROOT, "examples/rpc-hello.ts"), "utf8").split("\n");
  expect(lines.length).toBeLessThanOrEqual(50);
});
