/** Completion scripts, asked by the shells themselves. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { command, program } from "../../src/cli/command.js";
import { connectOption, option } from "../../src/cli/option.js";
import { run } from "../../src/cli/run.js";
import { nonEmpty, oneOf } from "../../src/cli/values.js";

const example = ["farm --help"];

function farm() {
  const show = command("show", "Show 'a pool': its state.", example)
    .addOption(connectOption("admin.cap"))
    .option("--terse", "Only names.")
    .argument("[POOL]", "Pool.")
    .action(() => {});
  const build = command("build", "Build [a spec].", example)
    .addOption(option("-f <SPEC>", "The spec.", nonEmpty))
    .addOption(option("--rsync-mode <MODE>", "How to copy", oneOf(["copy", "hardlink"])))
    .argument("<DIR>", "The source.")
    .action(() => {});
  return program("farm", "Runs a farm.", [show, build], example);
}

/** A program that is its own command, like a worker. */
function tractor() {
  return command("tractor", "Works.", example)
    .addOption(connectOption("pool.cap"))
    .addOption(option("--rsync-mode <MODE>", "How to copy", oneOf(["copy", "hardlink"])))
    .action(() => {});
}

let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-completion-"));
  writeFileSync(join(dir, "admin.cap"), "");
  mkdirSync(join(dir, "src"));
  for (const shell of ["bash", "zsh", "fish"]) {
    for (const [name, program] of [["farm", farm()] as const, ["tractor", tractor()] as const]) {
      const script = await completion(program, shell);
      writeFileSync(join(dir, `${name}.${shell}`), script);
    }
  }
});

afterAll(() => rmSync(dir, { recursive: true }));

async function completion(program: ReturnType<typeof farm | typeof tractor>, shell: string) {
  const stdout = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    expect(await run(program, ["completion", shell])).toBe(0);
    return stdout.mock.calls.map(([text]) => text).join("");
  } finally {
    stdout.mockRestore();
  }
}

function ask(shell: string, args: string[], script: string): string[] {
  const { stdout, stderr, status } = spawnSync(shell, [...args, script], {
    cwd: dir,
    encoding: "utf8",
    env: { PATH: process.env.PATH, HOME: dir, TERM: "dumb" },
    timeout: 30_000,
  });
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  return stdout.split(/\r?\n/).filter((line) => line !== "");
}

/** Splits at `=` like readline does, and calls what `complete -F` has registered. */
function askBash(line: string): string[] {
  const words = line.split(" ").flatMap((word) => word.split(/(?<==)|(?==)/));
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const name = words[0];
  return ask(
    "bash",
    ["-c"],
    `compopt() { :; }
     source ./${name}.bash
     COMP_WORDS=(${quoted}) COMP_CWORD=${words.length - 1}
     $(complete -p ${name} | sed 's/.*-F \\([^ ]*\\).*/\\1/')
     [ "\${#COMPREPLY[@]}" = 0 ] || printf '%s\\n' "\${COMPREPLY[@]}"`,
  ).sort();
}

/** Newer fish also offers what only resembles the word; that is left out here. */
function askFish(line: string): string[] {
  const script = `source ./${line.split(" ")[0]}.fish; complete -C '${line}'`;
  return ask("fish", ["--no-config", "-c"], script)
    .map((candidate) => candidate.split("\t")[0]!)
    .filter((candidate) => candidate.startsWith(line.split(" ").at(-1)!))
    .sort();
}

function askZsh(line: string): string[] {
  const fixture = join(import.meta.dirname, "fixtures/ask-zsh.zsh");
  const output = ask("zsh", ["-f", fixture, `./${line.split(" ")[0]}.zsh`], line);
  const hits = output.flatMap((text) => /^HIT (.*)$/.exec(text)?.[1] ?? []);
  return [...new Set(hits)].sort();
}

describe("bash", () => {
  test.each([
    ["farm ", ["build", "completion", "show"]],
    ["farm sh", ["show"]],
    ["farm -c admin.cap sh", ["show"]],
    ["farm show --t", ["--terse"]],
    ["farm show --c", ["--color=", "--connect="]],
    ["farm --connect=ad", ["admin.cap"]],
    ["farm show -c ad", ["admin.cap"]],
    ["farm show --color=a", ["always", "auto"]],
    ["farm build --rsync-mode ", ["copy", "hardlink"]],
    ["farm build ", ["src"]],
    ["farm build -f ad", ["admin.cap"]],
    ["farm show x", []],
    ["farm completion ", ["bash", "fish", "zsh"]],
    ["tractor --rs", ["--rsync-mode="]],
    ["tractor --rsync-mode=h", ["hardlink"]],
    ["tractor x", []],
  ])("'%s' → %j", (line, expected) => {
    expect(askBash(line)).toEqual(expected);
  });
});

describe("fish", () => {
  test.each([
    ["farm ", ["build", "completion", "show"]],
    ["farm -c admin.cap ", ["build", "completion", "show"]],
    ["farm --connect admin.cap sh", ["show"]],
    ["farm -c admin.cap show --t", ["--terse"]],
    ["farm show --t", ["--terse"]],
    ["farm show --c", ["--color", "--connect"]],
    ["farm show -c ad", ["admin.cap"]],
    ["farm build --rsync-mode ", ["copy", "hardlink"]],
    ["farm build --rsync-mode=h", ["--rsync-mode=hardlink"]],
    ["farm completion ", ["bash", "fish", "zsh"]],
    ["tractor --rsync-mode h", ["hardlink"]],
  ])("'%s' → %j", (line, expected) => {
    expect(askFish(line)).toEqual(expected);
  });
});

describe("zsh", () => {
  test.each([
    ["farm ", ["build", "completion", "show"]],
    ["farm -c admin.cap sh", ["show"]],
    ["farm show --t", ["--terse"]],
    ["farm -c ad", ["admin.cap"]],
    ["farm show -c ad", ["admin.cap"]],
    ["farm build --rsync-mode=", ["copy", "hardlink"]],
    ["farm build --rsync-mode h", ["hardlink"]],
    ["farm build ", ["src"]],
    ["farm completion ", ["bash", "fish", "zsh"]],
    ["tractor --rsync-mode=h", ["hardlink"]],
  ])("'%s' → %j", (line, expected) => {
    expect(askZsh(line)).toEqual(expected);
  });
});
