import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildCases, golden, goldenDir, goldenJson } from "../support/golden.js";
import type { BuildCase, DockerfileCase, ErrorCase } from "../support/obuilder-cases.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "conformance-"));
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** Runs the driver as its users do. */
async function conformance(...args: string[]): Promise<{ status: number; lines: string[] }> {
  const command = ["run", "-s", "conformance", "--", ...args];
  const child = spawn("npm", command, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const [output, [status]] = await Promise.all([text(child.stdout), once(child, "close")]);
  return { status, lines: output.trimEnd().split("\n") };
}

describe("the golden data passes, a line for each case", () => {
  test("builds", async () => {
    const { status, lines } = await conformance("obuilder", golden("obuilder/cases"));
    expect(lines).toEqual(buildCases().map(({ name }) => `PASS ${name}`));
    expect(status).toBe(0);
  });

  test("Dockerfiles", async () => {
    const { status, lines } = await conformance("dockerfile", golden("obuilder/dockerfile"));
    expect(lines).toHaveLength(goldenDir("obuilder/dockerfile").length);
    expect(lines.every((line) => line.startsWith("PASS "))).toBe(true);
    expect(status).toBe(0);
  });

  test("errors", async () => {
    const { status, lines } = await conformance("errors", golden("obuilder/errors.json"));
    const cases = goldenJson<ErrorCase[]>("obuilder/errors.json");
    expect(lines).toEqual(cases.map(({ name }) => `PASS ${name}`));
    expect(status).toBe(0);
  });
});

describe("what differs fails, and is told", () => {
  test("builds: any part of what is expected", async () => {
    const original = buildCases().find(({ name }) => name === "13-copy-files")!;
    const changes: Record<string, (data: BuildCase) => unknown> = {
      canonical: ({ expected }) => Object.assign(expected, { canonical: "(x)" }),
      result: ({ expected }) => Object.assign(expected, { result: "0" }),
      log: ({ expected }) => (expected.log as unknown[]).pop(),
      hashed: ({ expected }) => Object.assign(expected.steps[1]!, { hashed: "x" }),
      cached: ({ expected }) => Object.assign(expected.steps[1]!, { cached: true }),
      tar: ({ expected }) => Object.assign(expected.steps[1]!.tar![0]!, { mode: "600" }),
      sandbox: ({ expected }) => Object.assign(expected.steps[1]!.sandbox!, { cwd: "/x" }),
      source: ({ source }) => Object.assign(source!["README.md"]!, { content: "other" }),
    };
    for (const [name, change] of Object.entries(changes)) {
      const data = { ...structuredClone(original), name };
      change(data);
      writeFileSync(join(dir, `${name}.json`), JSON.stringify(data));
    }
    writeFileSync(join(dir, "unchanged.json"), JSON.stringify(original));
    const { status, lines } = await conformance("obuilder", dir);
    expect(status).toBe(1);
    const verdicts = lines.filter((line) => !line.startsWith("  "));
    const failed = Object.keys(changes)
      .sort()
      .map((name) => `FAIL ${name}`);
    expect(verdicts).toEqual([...failed, "PASS 13-copy-files"]);
    expect(lines).toContain('  steps[1].sandbox.cwd: expected "/x", got "/"');
  });

  test("Dockerfiles and errors", async () => {
    const [dockerfile] = goldenDir<DockerfileCase & { name: string }>("obuilder/dockerfile");
    writeFileSync(join(dir, "d.json"), JSON.stringify({ ...dockerfile, output: "FROM x\n" }));
    const made = await conformance("dockerfile", dir);
    expect(made.status).toBe(1);
    expect(made.lines[0]).toBe(`FAIL ${dockerfile!.name}`);

    const errors = goldenJson<ErrorCase[]>("obuilder/errors.json")
      .filter(({ stage }, i, all) => all.findIndex((other) => other.stage === stage) === i)
      .map((error) => ({ ...error, message: "all is well" }));
    writeFileSync(join(dir, "errors.json"), JSON.stringify(errors));
    const told = await conformance("errors", join(dir, "errors.json"));
    expect(told.status).toBe(1);
    expect(told.lines.filter((line) => line.startsWith("FAIL "))).toHaveLength(3);
  });

  test("nothing to do is no success", async () => {
    expect((await conformance("obuilder", dir)).status).toBe(1);
    expect((await conformance("obuilder")).status).toBe(2);
    expect((await conformance("astrology", dir)).status).toBe(2);
    expect((await conformance("errors", join(dir, "nowhere.json"))).status).toBe(2);
  });
});
