/** `ocluster-client`: the ways to write a command, and what it says when it is wrong. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../../support/cluster.js";
import { run } from "../../support/programs.js";
import { expectRefusal, transcript, type Usages, words } from "./transcript.js";

const CONNECTED = "Connecting to tcp:127.0.0.1:PORT... OK\n";

let cluster: Cluster;
/** Where the capability files are, and what is submitted. */
let dir: string;

beforeAll(async () => {
  cluster = await Cluster.start();
  dir = join(cluster.dir, "capnp-secrets");
  const put = (name: string, text: string) => writeFileSync(join(dir, name), text);
  const uri = readFileSync(cluster.cap("submission"), "utf8");
  put("x.spec", "((from x))");
  put("Dockerfile", "FROM x\n");
  put("cut.cap", uri.slice(0, 25));
  put("secret.cap", uri.replace(/[^/]*$/, "AAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"));
});

afterAll(() => cluster?.stop());

const client = (...args: readonly string[]) => transcript("ocluster-client", args, dir);

describe.concurrent("the same job", () => {
  // No such pool: the scheduler's answer shows that the whole command line has arrived there.
  it.each([
    "submit-obuilder -c submission.cap --pool=p --local-file=x.spec",
    "-c submission.cap submit-obuilder --pool=p --local-file=x.spec",
    "--connect=submission.cap submit-obuilder --pool p --local-file x.spec",
    "submit-obuilder submission.cap --pool=p --local-file=x.spec",
    "submit-o submission.cap --po=p --local=x.spec --urg",
    "submit-obuilder --pool=p --local-file=x.spec --cache-hint=h submission.cap https://host/r.git abc",
    "submit-docker submission.cap --pool=p --local-dockerfile Dockerfile",
    "submit-docker submission.cap --pool=p https://host/r.git abc def",
    "submit-docker -csubmission.cap --pool=p --context-dockerfile=x -- https://host/r.git abc",
    "submit-docker submission.cap --pool=p --push-to=a/b:c --build-arg A=1 --build-arg=B= u h",
  ])("%s", async (line) => {
    expect(await client(...words(line))).toEqual({
      code: 1,
      stdout: "Tailing log:\n",
      stderr: `${CONNECTED}Error tailing logs: Failed: Pool ID "p" not one of {linux-x86_64}\n`,
    });
  });

  it("without a word on standard error but the failure, with --quiet", async () => {
    const line = "-q submit-obuilder submission.cap --pool=p --local-file=x.spec";
    expect((await client(...words(line))).stderr).toBe(
      'Error tailing logs: Failed: Pool ID "p" not one of {linux-x86_64}\n',
    );
  });
});

const USAGES: Usages = {
  "": "COMMAND …",
  submit: "--connect=FILE [OPTION]… FILE [URL] [HASH]…",
  "submit-docker": "--connect=FILE [OPTION]… [URL] [HASH]…",
  "submit-obuilder": "--connect=FILE --local-file=PATH [OPTION]… [URL] [HASH]…",
  pools: "--connect=FILE [OPTION]…",
  context: "[OPTION]… ACTION [NAME]",
  jobs: "--connect=FILE [OPTION]…",
  job: "--connect=FILE [OPTION]… JOB",
  logs: "--connect=FILE [OPTION]… JOB",
  wait: "--connect=FILE [OPTION]… JOB…",
  cancel: "--connect=FILE [OPTION]… JOB…",
  retry: "--connect=FILE [OPTION]… JOB…",
  outputs: "--connect=FILE [OPTION]… JOB",
  fetch: "--connect=FILE --to=DIR [OPTION]… JOB [PATH]…",
  batch: "--connect=FILE [OPTION]… [URL] [HASH]…",
  "batch watch": "--connect=FILE [OPTION]… BATCH",
  "batch show": "--connect=FILE [OPTION]… BATCH",
  "batch list": "--connect=FILE [OPTION]…",
  "batch cancel": "--connect=FILE [OPTION]… BATCH",
  "batch retry": "--connect=FILE [OPTION]… BATCH",
  "batch fetch": "--connect=FILE [OPTION]… BATCH",
  completion: "[OPTION]… SHELL",
};

const COMMANDS =
  "'batch', 'cancel', 'completion', 'context', 'fetch', 'job', 'jobs', 'logs', 'outputs', 'pools', 'retry', 'submit', 'submit-docker', 'submit-obuilder' or 'wait'";
const docker = (rest: string) => `submit-docker submission.cap --pool=p ${rest}`;

describe.concurrent("a bad command line", () => {
  it.each([
    ["", "", `required COMMAND name is missing, must be one of ${COMMANDS}.`],
    ["--bogus", "", "unknown option '--bogus'."],
    [
      "submit-",
      "",
      "command 'submit-' ambiguous and could be either 'submit-docker' or 'submit-obuilder'",
    ],
    ["submit -c submission.cap", "submit", "required argument FILE is missing"],
    [
      "submit -c submission.cap submission.cap",
      "submit",
      '"submission.cap" is neither a spec, which begins with a parenthesis, nor a Dockerfile, which begins with FROM or ARG. ' +
        "Use submit-obuilder or submit-docker if it is one all the same.",
    ],
    [
      "submit-obuilder -c submission.cap --local-file=x.spec x.spec",
      "submit-obuilder",
      '"x.spec" is a file on this machine, not the URL of a repository. To build it: ' +
        "`ocluster-client submit FILE`, or --local-file or --local-dockerfile.",
    ],
    ["context use", "context", "required argument NAME is missing"],
    ["context add x", "context", "required option --connect is missing"],
    ["submit-dokcer", "", "unknown command 'submit-dokcer', did you mean 'submit-docker'?"],
    [
      "submit-docker",
      "submit-docker",
      "required option --connect is missing (or set OCLUSTER_CAP, or see `ocluster-client context`)",
    ],
    [
      "submit-docker submission.cap --pool=",
      "submit-docker",
      "option '--pool': the value must not be empty",
    ],
    [
      "submit-docker submission.cap --pol=p",
      "submit-docker",
      "unknown option '--pol', did you mean '--pool'?",
    ],
    ["submit-docker none.cap --pool=p", "submit-docker", "option '--connect': no 'none.cap' file"],
    [
      "submit-obuilder submission.cap --pool=p",
      "submit-obuilder",
      "required option --local-file is missing",
    ],
    [
      "submit-obuilder submission.cap --pool=p --local-file=none",
      "submit-obuilder",
      "option '--local-file': no 'none' file",
    ],
    [
      "submit-obuilder submission.cap --pool=p --pool=q --local-file=x.spec",
      "submit-obuilder",
      "option '--pool' cannot be repeated.",
    ],
    [
      docker("--local-dockerfile=none"),
      "submit-docker",
      "option '--local-dockerfile': no 'none' file",
    ],
    [
      docker("--local-dockerfile=Dockerfile --context-dockerfile=y"),
      "submit-docker",
      "Can't use --local-dockerfile and --context-dockerfile together!",
    ],
    [
      docker("--push-to=image"),
      "submit-docker",
      "option '--push-to': invalid value 'image', expected REPO:TAG",
    ],
    [
      docker("--push-user=me"),
      "submit-docker",
      "Must use --push-to with --push-user/--push-password",
    ],
    [
      docker("--push-password=x.spec"),
      "submit-docker",
      "Must use --push-to with --push-user/--push-password",
    ],
    [
      docker("--push-to=a:b --push-user=me"),
      "submit-docker",
      "Must use --push-user with --push-password",
    ],
    [
      docker("--push-to=a:b --push-password=x.spec"),
      "submit-docker",
      "Must use --push-user with --push-password",
    ],
    [
      docker("--push-to=a:b --push-user=me --push-password=none"),
      "submit-docker",
      "option '--push-password': no 'none' file",
    ],
    [
      docker("--secret=token"),
      "submit-docker",
      "option '--secret': invalid value 'token', expected ID:FILE",
    ],
    [docker("--secret=token:none"), "submit-docker", "option '--secret': no 'none' file"],
    [
      docker("--squash=yes"),
      "submit-docker",
      "option '--squash' is a flag, it cannot take the argument 'yes'",
    ],
    ["job submission.cap", "job", "required argument JOB is missing"],
    [
      "logs submission.cap x",
      "logs",
      "argument JOB: invalid value 'x', expected a whole number of at least 1",
    ],
    [
      "wait submission.cap 1 0",
      "wait",
      "argument JOB: invalid value '0', expected a whole number of at least 1",
    ],
    ["retry submission.cap", "retry", "required argument JOB is missing"],
    ["cancel submission.cap", "cancel", "required argument JOB is missing"],
    [
      "jobs submission.cap --since=soon",
      "jobs",
      "option '--since': invalid value 'soon', expected a time such as 7d, 2h, yesterday, 2026-11-30 or 2026-11-30T18:00",
    ],
    [
      "jobs submission.cap --since=1d --until=2d",
      "jobs",
      "--until is not after --since: nothing is between them.",
    ],
    [
      "jobs submission.cap --state=done",
      "jobs",
      "option '--state': invalid value 'done', expected one of waiting, queued, running, succeeded, failed, cancelled",
    ],
    [
      docker("--local-dockerfile=Dockerfile --retries=2"),
      "submit-docker",
      "--retries is for durable jobs: give --detach or --durable, too.",
    ],
    [
      docker("--after=3,4"),
      "submit-docker",
      "--after is for durable jobs: give --detach or --durable, too.",
    ],
    [
      docker("--detach --durable"),
      "submit-docker",
      "--detach and --durable exclude each other: only --durable waits.",
    ],
    [
      docker("--detach --log-file=log"),
      "submit-docker",
      "With --detach there is no log to put into --log-file: `ocluster-client logs` prints it later.",
    ],
    [
      docker("--detach --lost-retries=many"),
      "submit-docker",
      "option '--lost-retries': invalid value 'many', expected a whole number or infinite",
    ],
    [docker("--urgent --cache-hint"), "submit-docker", "option '--cache-hint' needs an argument"],
  ])("%s", async (line, command, message) => {
    await expectRefusal("ocluster-client", USAGES, { args: words(line), command, message }, dir);
  });
});

describe.concurrent("what cannot be submitted", () => {
  it("a spec with a mistake, which comes nowhere near a scheduler unless that is wished", async () => {
    writeFileSync(join(dir, "bad.spec"), "((from x)\n (runn))\n");
    const line = "submit-obuilder -c submission.cap --pool=p --local-file=bad.spec";
    const bad = await client(...words(line));
    expect(bad).toEqual({ code: 1, stdout: "", stderr: expect.stringContaining("\n       ^\n") });
    expect(bad.stderr).not.toContain("Connecting");
    const json = await client(...words(`${line} --json --exit-codes=fine`));
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, kind: "failed" });
    expect((await client(...words(`${line} --unchecked`))).stderr).toContain(CONNECTED);
  });

  it.each([
    [
      docker("https://host/r.git"),
      1,
      'No commits requested from repository "https://host/r.git"!\n',
    ],
    [
      "submit-obuilder cut.cap --pool=p --local-file=x.spec",
      1,
      '"cut.cap" is no usable capability file: Missing digest hash type',
    ],
    [
      "submit-obuilder secret.cap --pool=p --local-file=x.spec",
      1,
      `${CONNECTED}Cannot use capability file "secret.cap": Failed: Unknown persistent service ID\n`,
    ],
    [
      "submit-obuilder submission.cap --pool=p --local-file=x.spec --log-file=/nonexistent/log",
      123,
      'Cannot write the job\'s log to "/nonexistent/log" (--log-file): no such file or directory.\n',
    ],
  ])("%s", async (line, code, message) => {
    const ended = await client(...words(line));
    expect({ code: ended.code, stdout: ended.stdout }).toEqual({ code, stdout: "" });
    expect(ended.stderr.slice(0, message.length)).toBe(message);
  });

  it("by a client that was removed", async () => {
    const admin = (...args: readonly string[]) =>
      run("ocluster-admin", ["-c", cluster.cap("admin"), ...args]);
    writeFileSync(join(dir, "gone.cap"), (await admin("add-client", "gone")).stdout);
    expect((await admin("remove-client", "gone")).code).toBe(0);
    const { code, stderr } = await client(
      ...words("submit-obuilder gone.cap --pool=linux-x86_64 --local-file=x.spec"),
    );
    expect(code).toBe(1);
    expect(stderr).toContain(
      `${CONNECTED}Cannot use capability file "gone.cap": Failed: Unknown persistent service ID\n` +
        "The scheduler does not know the secret in it: the client was removed,",
    );
  });
});

describe.concurrent("help and version", () => {
  it.each(Object.keys(USAGES))("fits a screen and has an example: %s", async (command) => {
    const { code, stdout, stderr } = await client(...words(`${command} --help`));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const usage = words(`Usage: ocluster-client ${command} ${USAGES[command]}`).join(" ");
    expect(stdout.split("\n\n")[0]?.replace(/\s+/g, " ")).toBe(usage);
    expect(stdout).toMatch(/\nExamples:\n {2}.*ocluster-client /);
    expect(stdout.split("\n").length).toBeLessThanOrEqual(50);
  });

  it("--version", async () => {
    const { stdout } = await client("--version");
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
