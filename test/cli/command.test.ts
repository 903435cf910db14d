/**
 * The grammar, the help and the exit statuses that all command lines share, shown on a small
 * program.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { rpcFailure } from "../../src/bin/rpc-failure.js";
import { command, program } from "../../src/cli/command.js";
import { connectOption, option, repeatedOption } from "../../src/cli/option.js";
import { run } from "../../src/cli/run.js";
import {
  decimal,
  described,
  duration,
  existingFile,
  integer,
  list,
  nonEmpty,
  oneOf,
  size,
} from "../../src/cli/values.js";
import { CommandFailed, UsageError } from "../../src/console/errors.js";
import { RpcError } from "../../src/rpc/errors.js";

class SpecError extends Error {}

let dir: string;
let cap: string;
let calls: unknown[];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-cli-"));
  cap = join(dir, "admin.cap");
  writeFileSync(cap, "capnp://insecure@127.0.0.1:1/x\n");
});

afterAll(() => rmSync(dir, { recursive: true }));

beforeEach(() => {
  calls = [];
});

/**
 * A program with the shapes that the real ones have: flags, lists, repeated options, aliases, and
 * actions that fail.
 */
function farm() {
  const show = command("show", "Show the state of a pool.", ["farm -c admin.cap show POOL"])
    .addOption(connectOption("admin.cap"))
    .option("--terse", "Only names.")
    .argument("[POOL]", "Pool to show.")
    .argument("[WORKER]", "Worker to show.")
    .action((pool, worker, options) => {
      calls.push({ show: { pool, worker, connect: options.connect, terse: options.terse } });
    });
  const submit = command("submit", "Submit a job.", ["farm submit --pool=p HASH"])
    .addOption(option("--pool <ID>", "Pool to use.", nonEmpty).makeOptionMandatory())
    .addOption(option("--rate <N>", "Rate.", decimal({ min: 0 })).default(1))
    .addOption(option("--capacity <N>", "Capacity.", integer({ min: 1 })).default(10))
    .addOption(option("--allow-push <REPO,…>", "Repositories.", list(nonEmpty)).default([]))
    .addOption(repeatedOption("--build-arg <ARG>", "Build argument.", nonEmpty))
    .addOption(option("-f <SPEC>", "The spec.", existingFile))
    .argument("[URL]", "Repository.")
    .argument("[HASH...]", "Commits.")
    .action((url, hashes, options) => {
      const { pool, rate, capacity, allowPush, buildArg, verbosity, f } = options;
      calls.push({
        submit: { url, hashes, pool, rate, capacity, allowPush, buildArg, verbosity, f },
      });
    });
  const pause = command("pause", "Pause a worker.", ["farm pause w"])
    .alias("pause-worker")
    .argument("<WORKER>", "Worker.")
    .action((worker) => {
      if (worker === "usage") throw new UsageError("Can't pause and wait together!");
      if (worker === "remote") throw new RpcError("failed", "No such worker");
      if (worker === "job") throw new CommandFailed("The job failed.");
      if (worker === "silent") throw new CommandFailed();
      if (worker === "spec") throw new SpecError("No such stage");
      if (worker === "file") writeFileSync("/nonexistent/file", "");
      if (worker === "bug") throw new TypeError("x is undefined");
      if (worker === "no addon")
        throw new Error("Could not locate the bindings file. Tried:\n → x");
      if (worker === "old addon") {
        const message = "The module 'x.node' was compiled against a different Node.js version";
        throw Object.assign(new Error(message), { code: "ERR_DLOPEN_FAILED" });
      }
      calls.push({ pause: worker });
    });
  return program("farm", "Runs a farm.", [show, submit, pause], ["farm -c admin.cap show"]);
}

async function farmed(...argv: string[]) {
  let stdout = "";
  let stderr = "";
  const status = await run(
    farm(),
    argv,
    {
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text) },
    },
    rpcFailure,
  );
  return { status, stdout, stderr };
}

const submitted = {
  url: undefined,
  hashes: [],
  pool: "p",
  rate: 1,
  capacity: 10,
  allowPush: [],
  buildArg: [],
  verbosity: "warning",
  f: undefined,
};

describe("options", () => {
  test.each([
    [[], true],
    [["--no-history"], false],
    [["--no-history", "--no-history"], false],
  ])("that begin with --no- say what is not wanted: %j", async (argv, history) => {
    const seen: unknown[] = [];
    const sheep = command("sheep", "Keeps sheep.", ["sheep"])
      .option("--no-history", "No records.")
      .action((options) => void seen.push(options.history));
    const nowhere = { write: () => {} };
    expect(await run(sheep, argv, { stdout: nowhere, stderr: nowhere }, rpcFailure)).toBe(0);
    expect(seen).toEqual([history]);
  });

  test.each([
    ["before the command", ["-c", "CAP", "show", "p"]],
    ["before the command, with =", ["--connect=CAP", "show", "p"]],
    ["before the command, attached", ["-cCAP", "show", "p"]],
    ["after the command", ["show", "-c", "CAP", "p"]],
    ["after the arguments", ["show", "p", "--connect", "CAP"]],
    ["as the first positional argument, as in older scripts", ["show", "CAP", "p"]],
    ["with its name cut short", ["show", "--con=CAP", "p"]],
    [
      "with other options before the command",
      ["-v", "--verbosity", "debug", "-c", "CAP", "show", "p"],
    ],
    ["with the command cut short", ["sh", "-c", "CAP", "p"]],
    ["with everything after --", ["show", "-c", "CAP", "--", "p"]],
  ])("the capability file %s", async (_, argv) => {
    const { status, stderr } = await farmed(...argv.map((word) => word.replace("CAP", cap)));
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(calls).toEqual([{ show: { pool: "p", worker: undefined, connect: cap } }]);
  });

  test("have defaults", async () => {
    expect(await farmed("submit", "--pool", "p")).toMatchObject({ status: 0, stderr: "" });
    expect(calls).toEqual([{ submit: submitted }]);
  });

  test("are converted: lists, numbers, repeated values, files", async () => {
    await farmed(
      ...["submit", "--pool=p", "--rate=2.5", "--capacity", "3", "--allow-push=a/b,c/d"],
      ...["--build-arg", "A=1", "--build-arg=B=2", "-f", cap, "https://h/r.git", "h1", "h2"],
    );
    expect(calls).toEqual([
      {
        submit: {
          ...submitted,
          rate: 2.5,
          capacity: 3,
          allowPush: ["a/b", "c/d"],
          buildArg: ["A=1", "B=2"],
          f: cap,
          url: "https://h/r.git",
          hashes: ["h1", "h2"],
        },
      },
    ]);
    // The default of a repeated option is shared by all runs: it must not have grown.
    calls = [];
    await farmed("submit", "--pool=p");
    expect(calls).toEqual([{ submit: submitted }]);
  });

  test("after -- are arguments, even when they look like options", async () => {
    await farmed("submit", "--pool=p", "--", "--rate", "-v");
    expect(calls).toEqual([{ submit: { ...submitted, url: "--rate", hashes: ["-v"] } }]);
  });

  test.each([
    [["-v"], "info"],
    [["-vv"], "debug"],
    [["--verbose", "--verbose"], "debug"],
    [["-q"], "quiet"],
    [["-v", "-q"], "quiet"],
    [["-vv", "--verbosity=error"], "error"],
  ])("%j is verbosity %s", async (flags, verbosity) => {
    await farmed("submit", "--pool=p", ...flags);
    expect(calls).toEqual([{ submit: { ...submitted, verbosity } }]);
  });

  test("before the command can share a word, as they can after it", async () => {
    expect((await farmed("-vc", cap, "show", "p")).status).toBe(0);
    expect(calls).toEqual([{ show: { pool: "p", worker: undefined, connect: cap } }]);
  });

  test.each([
    [[], undefined],
    [["--wait"], true],
    [["--wait=2m"], 120],
    [["--wait=2m", "--wait=3m"], 180],
    [["--wait=2m", "--wait"], true],
  ])("whose values can be left out: %j is %s", async (argv, value) => {
    const seen: unknown[] = [];
    const stop = command("stop", "Stop.", ["stop"])
      .addOption(option("--wait [TIME]", "Before that.", duration))
      .argument("[WORKER]", "Worker.")
      .action((worker, { wait }) => {
        seen.push({ worker, wait });
      });
    // The word after it is never its value.
    expect(await run(stop, [...argv, "5m"])).toBe(0);
    expect(seen).toEqual([{ worker: "5m", wait: value }]);
  });

  test("commands go by older names too", async () => {
    expect((await farmed("pause-worker", "w")).status).toBe(0);
    expect((await farmed("pause-w", "w")).status).toBe(0);
    expect(calls).toEqual([{ pause: "w" }, { pause: "w" }]);
  });
});

describe("a bad command line", () => {
  test("shows what is wrong, the usage, and where to find help, with status 124", async () => {
    const { status, stdout, stderr } = await farmed("-c", cap, "show", "--bogus");
    expect({ status, stdout }).toEqual({ status: 124, stdout: "" });
    expect(stderr).toBe(
      "farm: unknown option '--bogus'.\n" +
        "Usage: farm show --connect=FILE [OPTION]… [POOL] [WORKER]\n" +
        "Try 'farm show --help' or 'farm --help' for more information.\n",
    );
    expect(calls).toEqual([]);
  });

  test.each([
    [["show", "-c", "CAP", "--tersse"], "unknown option '--tersse', did you mean '--terse'?"],
    [
      ["show", "-c", "CAP", "--ver"],
      "option '--ver' ambiguous and could be '--version', '--verbosity' or '--verbose'",
    ],
    [["show", "-c", "CAP", "-x"], "unknown option '-x'."],
    [
      ["show", "-c", "CAP", "--terse=1"],
      "option '--terse' is a flag, it cannot take the argument '1'",
    ],
    [["show", "-c"], "option '--connect' needs an argument"],
    [["show", "--connect", "--terse"], "option '--connect' needs an argument"],
    [["show", "-c", "CAP", "-c", "CAP"], "option '--connect' cannot be repeated."],
    [
      ["show", "-c", "CAP", "a", "b", "c", "d"],
      "too many arguments, don't know what to do with 'c', 'd'",
    ],
    [["show", "pool"], "required option --connect is missing"],
    [["show", "-c", "gone.cap"], "option '--connect': no 'gone.cap' file"],
    [["show", "gone.cap"], "option '--connect': no 'gone.cap' file"],
    [["show", "-c", "/"], "option '--connect': '/' is a directory, expected a file"],
    [["submit"], "required option --pool is missing"],
    [["submit", "--pool="], "option '--pool': the value must not be empty"],
    [
      ["submit", "--pool=p", "--capacity=ten"],
      "option '--capacity': invalid value 'ten', expected a whole number of at least 1",
    ],
    [
      ["submit", "--pool=p", "--color=pink"],
      "option '--color': invalid value 'pink', expected one of auto, always, never",
    ],
    [["submit", "--pool=p", "-f", "gone.spec"], "option '-f': no 'gone.spec' file"],
    [["pause"], "required argument WORKER is missing"],
    [["pause", "usage"], "Can't pause and wait together!"],
    [["shwo"], "unknown command 'shwo', did you mean 'show'?"],
    [["frobnicate"], "unknown command 'frobnicate'."],
    [["snow"], "unknown command 'snow', did you mean 'show'?"],
    [["slot"], "unknown command 'slot'."],
    [["s"], "command 's' ambiguous and could be either 'show' or 'submit'"],
    [
      [],
      "required COMMAND name is missing, must be one of 'completion', 'pause', 'show' or 'submit'.",
    ],
    [
      ["-c", "CAP"],
      "required COMMAND name is missing, must be one of 'completion', 'pause', 'show' or 'submit'.",
    ],
    [["--bogus"], "unknown option '--bogus'."],
  ])("%j: %s", async (argv, message) => {
    const { status, stderr } = await farmed(...argv.map((word) => word.replace("CAP", cap)));
    expect(stderr.split("\n")[0]).toBe(`farm: ${message}`);
    expect(
      stderr
        .split("\n")
        .slice(1)
        .map((line) => line.split(" ", 1)[0]),
    ).toEqual(["Usage:", "Try", ""]);
    expect(status).toBe(124);
    expect(calls).toEqual([]);
  });
});

describe("a command that fails", () => {
  test.each([
    ["remote", 1, "Failed: No such worker\n"],
    ["job", 1, "The job failed.\n"],
    ["silent", 1, ""],
    ["spec", 123, "No such stage\n"],
    ["file", 123, "ENOENT: no such file or directory, open '/nonexistent/file'\n"],
  ])("with %s: status %i", async (kind, status, stderr) => {
    expect(await farmed("pause", kind)).toEqual({ status, stdout: "", stderr });
  });

  test.each(["no addon", "old addon"])("for want of SQLite: how to get it (%s)", async (kind) => {
    const { status, stderr } = await farmed("pause", kind);
    expect(status).toBe(123);
    expect(stderr).toMatch(
      /^The compiled part of the package better-sqlite3 is not there, or not for Node v\d+\..*: cd \/.* && npm rebuild better-sqlite3\n\(.* build-essential python3\)\.\)\n$/,
    );
  });

  test("by a bug: status 125, with the stack", async () => {
    const { status, stderr } = await farmed("pause", "bug");
    expect(status).toBe(125);
    expect(stderr).toMatch(
      /^internal error, uncaught exception:\nTypeError: x is undefined\n +at /,
    );
  });
});

describe("help", () => {
  test.each([[["--help"]], [["help"]], [["--help=plain"]], [["-c", "x", "--help"]]])(
    "%j lists the commands",
    async (argv) => {
      const { status, stdout, stderr } = await farmed(...argv);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout).toMatchInlineSnapshot(`
        "Usage: farm COMMAND …

        Runs a farm.

        Options:
          --help      Show this help.
          --version   Show the version.

        Commands:
          show        Show the state of a pool.
          submit      Submit a job.
          pause       Pause a worker.
          completion  Print a completion script for a shell.

        Examples:
          farm -c admin.cap show
        "
      `);
    },
  );

  test.each([
    [["show", "--help"]],
    [["help", "show"]],
    [["--help", "show"]],
    [["show", "a", "b", "c", "--help"]],
  ])("%j describes the command, by example too", async (argv) => {
    const { status, stdout, stderr } = await farmed(...argv);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatchInlineSnapshot(`
      "Usage: farm show --connect=FILE [OPTION]… [POOL] [WORKER]

      Show the state of a pool.

      Arguments:
        POOL                Pool to show.
        WORKER              Worker to show.

      Options:
        -c, --connect=FILE  Capability file of the scheduler (admin.cap).
        --terse             Only names.
        --help              Show this help; --help=all: with all options.
        --version           Show the version.
        -v, --verbose       Log more; given twice, everything.
        -q, --quiet         Log nothing, show no progress.

      Examples:
        farm -c admin.cap show POOL
      "
    `);
  });

  test("says how values are written whose names do not, and writes defaults like that", async () => {
    const serve = command("serve", "Serve eggs.", ["serve --wait=10m"])
      .addOption(option("--wait <TIME>", "Pause.", duration).default(5400))
      .addOption(option("--beat <TIME>", "Beat.", duration).default(0.5))
      .addOption(option("--box <SIZE>", "Box.", size()).default(64 * 2 ** 20))
      .addOption(option("--egg <SIZE>", "Egg.", size()).default(1500))
      .addOption(option("--by <LIST>", "Ways", list(oneOf(["foot", "cart"]))))
      .addOption(
        option("--at <STORE>", "Hidden.", described(nonEmpty, { meaning: "x" })).hideHelp(),
      )
      .action(() => {});
    let stdout = "";
    const output = {
      stdout: { write: (text: string) => (stdout += text) },
      stderr: process.stderr,
    };
    await run(serve, ["--help"], output);
    expect(stdout.replace(/ {2}--help.*?\n\n/s, "\n")).toMatchInlineSnapshot(`
      "Usage: serve [OPTION]…

      Serve eggs.

      Options:
        --wait=TIME    Pause. (default: 90m)
        --beat=TIME    Beat. (default: 0.5s)
        --box=SIZE     Box. (default: 64M)
        --egg=SIZE     Egg. (default: 1500)
        --by=LIST      Ways: foot, cart.

      Values:
        LIST  words, separated by commas
        SIZE  bytes, or with a unit: 512K, 64M, 1.5G (of 1024), 20GB (of 1000)
        TIME  seconds, or with units: 250ms, 90s, 10m, 1h30m, 7d

      Examples:
        serve --wait=10m
      "
    `);
  });

  test.each([["all"], ["plain"]])("--help=%s has all options of a command", async (value) => {
    const { stdout } = await farmed("show", `--help=${value}`);
    expect(stdout).toContain("--terse ");
    expect(stdout).toContain("--log-format=FORMAT  Log as: text, json. (default: text)\n");
  });

  test("--version shows the version, also of a command", async () => {
    const expected = { status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: "" };
    expect(await farmed("--version")).toEqual(expected);
    expect(await farmed("show", "--version")).toEqual(expected);
  });
});
