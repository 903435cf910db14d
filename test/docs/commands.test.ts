/**
 * Every command in the documentation works as it is written, in the order in which a reader comes across it.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ProgramName, run } from "../support/programs.js";
import { commandsIn, programsIn } from "./blocks.js";
import { Machine } from "./machine.js";

const ROOT = join(import.meta.dirname, "../..");

const documents = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard", "README.md", "docs/*.md"],
  {
    cwd: ROOT,
    encoding: "utf8",
  },
)
  .trim()
  .split("\n")
  .map((path) => ({ path, blocks: commandsIn(readFileSync(join(ROOT, path), "utf8")) }))
  .filter(({ blocks }) => blocks.length > 0);

describe.each(documents)("$path", ({ blocks }) => {
  let machine: Machine;

  beforeAll(async () => {
    if (blocks.some(({ mode }) => mode !== "not run")) machine = await Machine.start();
  });

  afterAll(() => machine?.stop());

  it.each(blocks)("line $line: $commands", async ({ commands, mode, prints }) => {
    switch (mode) {
      case "runs on":
        return machine.start(commands, prints!);
      case "not run":
        for (const [name, ...args] of programsIn(commands)) {
          // With --help, options are looked at, and nothing is done.
          expect(await run(name as ProgramName, [...args, "--help"])).toMatchObject({ code: 0 });
        }
        return;
      default: {
        const { status, output } = await machine.run(commands);
        expect({ succeeds: status === 0, output }).toMatchObject({ succeeds: mode === "succeeds" });
        if (prints) expect(output).toMatch(prints);
      }
    }
  });
});
