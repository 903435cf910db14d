/**
 * What newcomers see first: the help of every command fits a screen, and shows how the command is
 * used.
 */
import { describe, expect, it } from "vitest";
import { run } from "../support/programs.js";

const PROGRAMS = [
  "ocluster-scheduler",
  "ocluster-worker",
  "ocluster-client",
  "ocluster-admin",
  "ocluster-autoscaler",
  "ocluster-web",
  "obuilder",
] as const;

/** Of a terminal that is not large. */
const SCREEN = { lines: 40, columns: 80 };

describe.concurrent.each(PROGRAMS)("%s", (program) => {
  it("fits, with each of its commands", async () => {
    const { stdout } = await run(program, ["--help"]);
    expectToFit(stdout);
    for (const command of commandsIn(stdout)) {
      const { stdout: help } = await run(program, [command, "--help"]);
      expectToFit(help);
    }
  });
});

it("that of obuilder is on standard output, with all commands, and without what has no effect", async () => {
  const all = await run("obuilder", ["--help"]);
  expect(all).toMatchObject({ code: 0, stderr: "" });
  for (const name of [
    ...["build", "plan", "healthcheck", "delete", "clean", "prune", "du", "dockerfile"],
    "from-dockerfile",
  ]) {
    expect(all.stdout).toMatch(new RegExp(`^  ${name} `, "m"));
  }
  const one = await run("obuilder", ["build", "--help"]);
  expect(one.stdout).toMatch(/^Usage: obuilder build --store=STORE -f=FILE \[OPTION\]… DIR\n/);
  expect(one.stdout).not.toContain("--qemu");
});

function expectToFit(help: string): void {
  const lines = help.trimEnd().split("\n");
  expect(help).toMatch(/^Usage: .*\nExamples:\n {2}\S/s);
  expect(lines.length, help).toBeLessThanOrEqual(SCREEN.lines);
  expect(lines.filter((line) => line.length > SCREEN.columns)).toEqual([]);
}

function commandsIn(help: string): string[] {
  const [, list = ""] = /\nCommands:\n(.*?)\n\n/s.exec(help) ?? [];
  return [...list.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name!);
}
