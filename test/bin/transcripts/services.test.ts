/**
 * `ocluster-scheduler` and `ocluster-worker`: what they say of command lines that are wrong, and
 * their help.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectRefusal, transcript, type Usages, words } from "./transcript.js";

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-transcript-"));
  mkdirSync(join(dir, "capnp-secrets"));
  writeFileSync(join(dir, "pool.cap"), "capnp://insecure@127.0.0.1:1/AAAA\n");
  writeFileSync(join(dir, "word.cap"), "hello\n");
  writeFileSync(join(dir, "file"), "hello\n");
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

const SCHEDULER: Usages = {
  "": "--pools=NAMES --state-dir=DIR --capnp-secret-key-file=FILE --capnp-listen-address=ADDR [OPTION]…",
};

/** A scheduler's command line with all that is required, and more. */
const scheduler = (rest: string) =>
  `--pools=a --state-dir=state --capnp-secret-key-file= --capnp-listen-address=tcp:127.0.0.1:0 ${rest}`;

describe.concurrent("a scheduler with a bad command line", () => {
  it.each([
    [
      "",
      "required options --pools, --state-dir, --capnp-secret-key-file, --capnp-listen-address are missing",
    ],
    [
      "--pools=a --state-dir=s --capnp-listen-address=unix:/x",
      "required option --capnp-secret-key-file is missing",
    ],
    ["--bogus", "unknown option '--bogus'."],
    ["--pool-names=a", "unknown option '--pool-names'."],
    [
      "--capnp-secret=x",
      "required options --pools, --state-dir, --capnp-listen-address are missing",
    ],
    [
      "--capnp=x",
      "option '--capnp' ambiguous and could be '--capnp-secret-key-file', '--capnp-listen-address', '--capnp-public-address' or '--capnp-disable-tls'",
    ],
    [scheduler("more"), "too many arguments, don't know what to do with 'more'"],
    [scheduler("--pools=b"), "option '--pools' cannot be repeated."],
    [scheduler("--secrets-dir=none"), "option '--secrets-dir': no 'none' directory"],
    [scheduler("--secrets-dir=file"), "option '--secrets-dir': 'file' is not a directory"],
    [scheduler("").replace("=state ", "=file "), "option '--state-dir': 'file' is not a directory"],
    [
      scheduler("--default-clients=a\ufffd"),
      "option '--default-clients': the name 'a\ufffd' is not UTF-8; give it in a UTF-8 locale",
    ],
    [scheduler("--default-clients=a,a"), "option '--default-clients': the name 'a' is given twice"],
    [scheduler("--default-clients=a/b"), "option '--default-clients': 'a/b' must not contain '/'"],
    [
      scheduler("--listen-prometheus=99999"),
      "option '--listen-prometheus': invalid value '99999', expected a whole number from 0 to 65535",
    ],
    [
      scheduler("--capnp-public-address=host"),
      "option '--capnp-public-address': Missing ':' in address \"host\" (expected tcp:HOST:PORT or unix:/PATH)",
    ],
    [
      scheduler("--capnp-disable-tls=yes"),
      "option '--capnp-disable-tls' is a flag, it cannot take the argument 'yes'",
    ],
    [
      scheduler("--probe-interval=often"),
      "option '--probe-interval': invalid value 'often', expected a number of seconds, or a duration such as 10m or 1h30m",
    ],
    [scheduler("").replace("=a ", "= "), "option '--pools': no pool is named"],
    [scheduler("").replace("=a ", "=a/b "), "option '--pools': 'a/b' must not contain '/'"],
  ])("%s", async (line, message) => {
    const args = words(line);
    await expectRefusal("ocluster-scheduler", SCHEDULER, { args, command: "", message }, dir);
  });
});

const WORKER: Usages = { "": "--connect=FILE --name=ID --state-dir=PATH [OPTION]…" };

const worker = (rest: string) => `pool.cap --name=w --state-dir=state-w ${rest}`;

describe.concurrent("a worker with a bad command line", () => {
  it.each([
    ["", "required options --connect, --name, --state-dir are missing"],
    ["pool.cap --name=w", "required option --state-dir is missing (or use --ephemeral)"],
    ["none.cap --name=w --state-dir=s", "option '--connect': no 'none.cap' file"],
    ["pool.cap --name= --state-dir=s", "option '--name': the value must not be empty"],
    [worker("").replace("state-w", "file"), "option '--state-dir': 'file' is not a directory"],
    ["--nmae=w", "unknown option '--nmae', did you mean '--name'?"],
    [worker("more"), "too many arguments, don't know what to do with 'more'"],
    [
      worker("--capacity=many"),
      "option '--capacity': invalid value 'many', expected a whole number of at least 1",
    ],
    [
      worker("--rsync-mode=fast"),
      "option '--rsync-mode': invalid value 'fast', expected one of copy, hardlink, hardlink_unsafe",
    ],
    [
      worker("--prune-threshold=101"),
      "option '--prune-threshold': invalid value '101', expected a percentage from 0 to 100",
    ],
    [
      worker("--additional-metrics=a:http://h/,a:http://i/"),
      "option '--additional-metrics': the name 'a' is given twice",
    ],
  ])("%s", async (line, message) => {
    const args = words(line);
    await expectRefusal("ocluster-worker", WORKER, { args, command: "", message }, dir);
  });

  it.each([
    ["ocluster-worker", "pool.cap --name=w --state-dir=/proc/none/a", 123],
    [
      "ocluster-worker",
      "pool.cap --name=w --state-dir=w --obuilder-store=overlayfs:/proc/none/a",
      1,
    ],
    ["obuilder", "healthcheck --store=overlayfs:/proc/none/a", 123],
    ["ocluster-scheduler", scheduler("").replace("=state ", "=/proc/none/a "), 123],
  ] as const)("%s %s: no directory can be made, and it says so", async (program, line, status) => {
    mkdirSync(join(dir, "capnp-secrets"), { recursive: true });
    const { code, stderr } = await transcript(program, words(line), dir);
    expect(stderr).toMatch(
      /^Cannot make "\/proc\/none\/a.*, for .*: nothing can be made in "\/proc"\. .*\n$/,
    );
    expect(code).toBe(status);
  });

  it("or a capability file that is none: status 1, and why", async () => {
    const args = words("word.cap --name=w --state-dir=state-w");
    const { code, stderr } = await transcript("ocluster-worker", args, dir);
    expect(code).toBe(1);
    expect(stderr.startsWith('"word.cap" is no usable capability file: ')).toBe(true);
  });
});

const AUTOSCALER: Usages = { "": "--connect=FILE --config=FILE [OPTION]…" };

describe.concurrent("an autoscaler with a bad command line", () => {
  it.each([
    ["", "required options --connect, --config are missing"],
    ["pool.cap --config=none", "option '--config': no 'none' file"],
    [
      "pool.cap --config=file --interval=0.5",
      "option '--interval': invalid value '0.5', expected at least 1s",
    ],
    ["pool.cap --config=file more", "too many arguments, don't know what to do with 'more'"],
  ])("%s", async (line, message) => {
    const args = words(line);
    await expectRefusal("ocluster-autoscaler", AUTOSCALER, { args, command: "", message }, dir);
  });

  it("or a configuration that is none: status 1, and where", async () => {
    const args = words("pool.cap --config=file");
    const { code, stderr } = await transcript("ocluster-autoscaler", args, dir);
    expect({ code, stderr }).toEqual({ code: 1, stderr: "file: expected a mapping\n" });
  });
});

describe.concurrent("help and version", () => {
  const services = ["ocluster-scheduler", "ocluster-worker", "ocluster-autoscaler"] as const;
  it.each(services)("%s", async (program) => {
    const help = await transcript(program, ["--help"], dir);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout.startsWith(`Usage: ${program} --`)).toBe(true);
    expect(help.stdout).toContain(`\nExamples:\n  ${program} `);
    const all = await transcript(program, ["--help=plain"], dir);
    expect(options(all.stdout)).toEqual(expect.arrayContaining(options(help.stdout)));
    expect(options(all.stdout).length).toBeGreaterThan(options(help.stdout).length);
    expect((await transcript(program, ["--version"], dir)).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

/** The options that a help lists. */
function options(help: string): string[] {
  return [...help.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, name]) => name!);
}
