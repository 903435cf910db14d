/**
 * `ocluster-admin`: the ways to write a command, what it says when it is wrong, and its answers to
 * programs.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../../support/cluster.js";
import { IdleWorkers } from "../../support/idle-workers.js";
import { Pty } from "../../support/pty.js";
import { expectRefusal, transcript, type Usages, words } from "./transcript.js";

const CONNECTED = "Connecting to tcp:127.0.0.1:PORT... OK\n";

let cluster: Cluster;
let workers: IdleWorkers;
/** Where the capability files are. */
let dir: string;

beforeAll(async () => {
  cluster = await Cluster.start();
  workers = new IdleWorkers(cluster);
  await workers.add("w1");
  dir = join(cluster.dir, "capnp-secrets");
  const uri = readFileSync(cluster.cap("admin"), "utf8");
  const put = (name: string, text: string) => writeFileSync(join(dir, name), text);
  put("secret.cap", uri.replace(/[^/]*$/, "AAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"));
  put("fingerprint.cap", uri.replace(/sha-256:...../, "sha-256:AAAAA"));
  put("cut.cap", uri.slice(0, 25));
  put("empty.cap", "");
  put("word.cap", "hello\n");
  put("blank.cap", `\n  ${uri}\n\n`);
  await admin(...words("set-rate admin.cap linux-x86_64 test-user 3"));
});

afterAll(async () => {
  await workers?.removeAllNow();
  await cluster?.stop();
});

const admin = (...args: readonly string[]) => transcript("ocluster-admin", args, dir);

describe.concurrent("the same command", () => {
  it.each([
    "show -c admin.cap linux-x86_64 w1",
    "-c admin.cap show linux-x86_64 w1",
    "--connect=admin.cap show linux-x86_64 w1",
    "--connect admin.cap show linux-x86_64 w1",
    "-cadmin.cap show linux-x86_64 w1",
    "show admin.cap linux-x86_64 w1",
    "show linux-x86_64 w1 --connect=admin.cap",
    "show linux-x86_64 --con admin.cap w1",
    "sh -c admin.cap -- linux-x86_64 w1",
    "show -c blank.cap linux-x86_64 w1",
    "--color=never -c admin.cap --verbosity error show linux-x86_64 w1",
    "--color=n -c admin.cap --verbosity=e show linux-x86_64 w1",
  ])("%s", async (line) => {
    expect(await admin(...words(line))).toEqual({
      code: 0,
      stdout: "w1: Running\n",
      stderr: CONNECTED,
    });
  });

  it("says nothing of the connection with --quiet", async () => {
    expect(await admin(...words("-q show admin.cap"))).toEqual({
      code: 0,
      stdout: "linux-x86_64\n",
      stderr: "",
    });
  });
});

describe("the older forms", () => {
  it.each([
    ["pause-worker admin.cap linux-x86_64 w1", "Success.\n"],
    ["show --terse admin.cap linux-x86_64 w1", "Paused\n"],
    ["unpause-worker admin.cap linux-x86_64 w1", "Success.\n"],
    ["show --terse admin.cap linux-x86_64", "w1\n"],
    ["list-clients admin.cap", "test-user\n"],
    ["set-rate admin.cap linux-x86_64 test-user 3", ""],
    ["exec admin.cap linux-x86_64 -- echo {}", "w1\n"],
    // "explain" came later, and takes no abbreviation away.
    ["ex admin.cap linux-x86_64 -- echo {}", "w1\n"],
  ])("%s", async (line, stdout) => {
    expect(await admin(...words(line))).toEqual({ code: 0, stdout, stderr: CONNECTED });
  });
});

const USAGES: Usages = {
  "": "COMMAND …",
  show: "--connect=FILE [OPTION]… [POOL] [WORKER]",
  top: "--connect=FILE [OPTION]… POOL",
  explain: "--connect=FILE [OPTION]… POOL [WORKER|JOB]",
  "add-client": "--connect=FILE [OPTION]… ID",
  "remove-client": "--connect=FILE [OPTION]… ID",
  "list-clients": "--connect=FILE [OPTION]…",
  "add-scaler": "--connect=FILE [OPTION]… ID",
  "remove-scaler": "--connect=FILE [OPTION]… ID",
  "list-scalers": "--connect=FILE [OPTION]…",
  "add-viewer": "--connect=FILE [OPTION]… ID",
  "set-rate": "--connect=FILE [OPTION]… POOL CLIENT RATE",
  pause: "--connect=FILE [OPTION]… POOL [WORKER]",
  unpause: "--connect=FILE [OPTION]… POOL [WORKER]",
  update: "--connect=FILE [OPTION]… POOL [WORKER]",
  forget: "--connect=FILE [OPTION]… POOL [WORKER]",
  exec: "--connect=FILE [OPTION]… POOL CMD…",
  jobs: "--connect=FILE [OPTION]… [POOL]",
  job: "--connect=FILE [OPTION]… JOB",
  logs: "--connect=FILE [OPTION]… JOB",
  cancel: "--connect=FILE [OPTION]… [JOB]…",
  running: "--connect=FILE [OPTION]… POOL",
  "move-pool": "--connect=FILE [OPTION]… OLD NEW",
  "forget-pool": "--connect=FILE [OPTION]… NAME",
  usage: "--connect=FILE [OPTION]…",
  completion: "[OPTION]… SHELL",
};

const COMMANDS =
  "'add-client', 'add-scaler', 'add-viewer', 'backup', 'cancel', 'completion', 'exec', 'explain', 'forget', 'forget-pool', 'job', 'jobs', 'list-clients', " +
  "'list-scalers', 'list-viewers', 'logs', 'move-pool', 'pause', 'remove-client', 'remove-scaler', 'remove-viewer', 'running', 'set-rate', 'show', 'top', 'unpause', 'update' or 'usage'";

describe.concurrent("a bad command line", () => {
  it.each([
    ["", "", `required COMMAND name is missing, must be one of ${COMMANDS}.`],
    ["-c admin.cap", "", `required COMMAND name is missing, must be one of ${COMMANDS}.`],
    ["--bogus", "", "unknown option '--bogus'."],
    ["shwo", "", "unknown command 'shwo', did you mean 'show'?"],
    [
      "list-client admin.cap extra",
      "list-clients",
      "too many arguments, don't know what to do with 'extra'",
    ],
    ["remove-clint", "", "unknown command 'remove-clint', did you mean 'remove-client'?"],
    [
      "cancel admin.cap",
      "cancel",
      "Say which jobs: by number, or by --pool, --client, --worker or --hint.",
    ],
    ["running admin.cap", "running", "required argument POOL is missing"],
    ["move-pool admin.cap x", "move-pool", "required argument NEW is missing"],
    ["forget-pool admin.cap", "forget-pool", "required argument NAME is missing"],
    [
      "usage admin.cap --since=1d --until=7d",
      "usage",
      "--until is not after --since: nothing is between them.",
    ],
    ["frobnicate", "", "unknown command 'frobnicate'."],
    ["u admin.cap", "", "command 'u' ambiguous and could be 'unpause', 'update' or 'usage'"],
    ["show", "show", "required option --connect is missing"],
    ["show --bogus", "show", "unknown option '--bogus'."],
    ["show --ters", "show", "required option --connect is missing"],
    ["show --tersse", "show", "unknown option '--tersse', did you mean '--terse'?"],
    ["show -c", "show", "option '--connect' needs an argument"],
    ["show -c none.cap", "show", "option '--connect': no 'none.cap' file"],
    ["show none.cap", "show", "option '--connect': no 'none.cap' file"],
    ["show -c .", "show", "option '--connect': '.' is a directory, expected a file"],
    [
      "show admin.cap --terse=yes",
      "show",
      "option '--terse' is a flag, it cannot take the argument 'yes'",
    ],
    ["show admin.cap a b c", "show", "too many arguments, don't know what to do with 'c'"],
    [
      "show admin.cap --verb",
      "show",
      "option '--verb' ambiguous and could be either '--verbosity' or '--verbose'",
    ],
    [
      "show admin.cap --verbosity=loud",
      "show",
      "option '--verbosity': invalid value 'loud', expected one of quiet, error, warning, info, debug",
    ],
    [
      "show admin.cap --color=a",
      "show",
      "option '--color': invalid value 'a', expected one of auto, always, never",
    ],
    ["add-client admin.cap", "add-client", "required argument ID is missing"],
    ["remove-client admin.cap", "remove-client", "required argument ID is missing"],
    ["add admin.cap", "add-client", "required argument ID is missing"],
    ["list admin.cap x", "list-clients", "too many arguments, don't know what to do with 'x'"],
    ["add-scaler admin.cap", "add-scaler", "required argument ID is missing"],
    ["remove-scaler admin.cap", "remove-scaler", "required argument ID is missing"],
    ["add-viewer admin.cap", "add-viewer", "required argument ID is missing"],
    ["set-rate admin.cap p c", "set-rate", "required argument RATE is missing"],
    [
      "set-rate admin.cap p c fast",
      "set-rate",
      "argument RATE: invalid value 'fast', expected a number",
    ],
    ["set-rate admin.cap p c -1", "set-rate", "unknown option '-1'."],
    ["pause admin.cap", "pause", "required argument POOL is missing"],
    ["unpause admin.cap --wait p w", "unpause", "unknown option '--wait'."],
    ["update admin.cap", "update", "required argument POOL is missing"],
    ["forget admin.cap", "forget", "required argument POOL is missing"],
    ["exec admin.cap", "exec", "required argument POOL is missing"],
    ["exec admin.cap p", "exec", "required argument CMD is missing"],
    ["top admin.cap", "top", "required argument POOL is missing"],
    [
      "completion tcsh",
      "completion",
      "argument SHELL: invalid value 'tcsh', expected one of bash, zsh, fish",
    ],
  ])("%s", async (line, command, message) => {
    await expectRefusal("ocluster-admin", USAGES, { args: words(line), command, message }, dir);
  });

  it("an empty name", async () => {
    const message = "argument ID: the value must not be empty";
    const args = ["add-client", "admin.cap", ""];
    await expectRefusal("ocluster-admin", USAGES, { args, command: "add-client", message }, dir);
  });

  it("a name in another encoding", async () => {
    const message = "argument ID: the name 'b\ufffdb' is not UTF-8; give it in a UTF-8 locale";
    const args = ["add-client", "admin.cap", "b\ufffdb"];
    await expectRefusal("ocluster-admin", USAGES, { args, command: "add-client", message }, dir);
  });
});

describe.concurrent("a capability file", () => {
  const unusable = (file: string, why: string) => `"${file}" is no usable capability file: ${why}`;
  it.each([
    ["cut.cap", unusable("cut.cap", "Missing digest hash type")],
    ["empty.cap", unusable("empty.cap", "")],
    ["word.cap", unusable("word.cap", "")],
    [
      "secret.cap",
      'Cannot use capability file "secret.cap": Failed: Unknown persistent service ID',
    ],
    ["fingerprint.cap", 'Cannot use capability file "fingerprint.cap": '],
  ])("that does not work: %s", async (file, message) => {
    const { code, stdout, stderr } = await admin("show", file);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr.replace(/^Connecting to .*\n/, "").slice(0, message.length)).toBe(message);
    expect(stderr).toMatch(/\n$/);
  });
});

describe.concurrent("what the scheduler refuses", () => {
  it.each([
    ["show nope", 'No such pool "nope"; there is linux-x86_64'],
    ["show nope w", 'No such pool "nope"; there is linux-x86_64'],
    ["top nope", 'No such pool "nope"; there is linux-x86_64'],
    ["pause nope w", 'No such pool "nope"; there is linux-x86_64'],
    ["unpause --all nope", 'No such pool "nope"; there is linux-x86_64'],
    ["update nope", 'No such pool "nope"; there is linux-x86_64'],
    ["forget nope w", 'No such pool "nope"; there is linux-x86_64'],
    ["exec nope -- true", 'No such pool "nope"; there is linux-x86_64'],
    ["set-rate nope test-user 1", 'No such pool "nope"; there is linux-x86_64'],
    ["set-rate linux-x86_64 eve 1", 'Unknown client "eve"'],
    ["pause linux-x86_64 w9", "Unknown worker"],
    ["pause --wait linux-x86_64 w9", "Unknown worker"],
    ["update linux-x86_64 w9", "Unknown worker"],
    ["forget linux-x86_64 w9", 'Worker "w9" not known in this pool'],
    ["forget linux-x86_64 w1", 'Worker "w1" is still connected!'],
    ["remove-client eve", 'Unknown client "eve"'],
    ["add-client test-user", 'Client "test-user" already registered!'],
  ])("%s", async (line, reason) => {
    expect(await admin("-c", "admin.cap", ...words(line))).toEqual({
      code: 1,
      stdout: "",
      stderr: `${CONNECTED}Failed: ${reason}\n`,
    });
  });

  it.each(["0", "nan", "inf"])("a rate of %s", async (rate) => {
    const { code, stderr } = await admin(
      ...words(`set-rate admin.cap linux-x86_64 test-user ${rate}`),
    );
    expect(code).toBe(rate === "0" ? 1 : 124);
    expect(stderr).toContain(rate === "0" ? "Failed: " : "expected a number");
  });
});

describe("commands for all workers", () => {
  it.each([
    ["exec linux-x86_64 -- sh -c exit\u00a03", 1, "", "Sub-process failed with exit code 3\n"],
    [
      "exec linux-x86_64 -- /nonexistent/cmd",
      1,
      "",
      'Cannot run "/nonexistent/cmd": it does not exist here, or is no program\n',
    ],
    [
      "exec linux-x86_64 -- no-such-cmd {}",
      1,
      "",
      'Cannot run "no-such-cmd": no directory of PATH has such a program\n',
    ],
    ["exec linux-x86_64 -- echo a-{}-b {}{}", 0, "a-w1-b w1w1\n", ""],
  ])("%s", async (line, code, stdout, stderr) => {
    const args = words(line).map((word) => word.replace("\u00a0", " "));
    const ended = await admin("-c", "admin.cap", ...args);
    expect({ code: ended.code, stdout: ended.stdout }).toEqual({ code, stdout });
    expect(ended.stderr.startsWith(`${CONNECTED}${stderr}`)).toBe(true);
  });
});

describe("a name that somebody has chosen with care", () => {
  const hostile = "-oProxyCommand=touch\u00a0x\u009b2J\u202e";

  beforeAll(async () => {
    await admin("pause", "-c", "admin.cap", "--auto-create", "linux-x86_64", "--", hostile);
  });

  afterAll(() => admin("forget", "-c", "admin.cap", "linux-x86_64", "--", hostile));

  it("becomes no option of a command", async () => {
    const left = "is left out: its name is not fit for a command line\n";
    const ssh = await admin(...words("exec admin.cap linux-x86_64 -- echo {}"));
    expect(ssh).toMatchObject({ code: 1, stdout: "w1\n", stderr: expect.stringContaining(left) });
    const prefixed = await admin(...words("exec admin.cap linux-x86_64 -- echo root@{}"));
    expect(prefixed.code).toBe(0);
    expect(prefixed.stdout.split("\n").sort()).toEqual(["", `root@${hostile}`, "root@w1"]);
  });

  it("is JSON without anything that acts on a terminal", async () => {
    const { stdout } = await admin(...words("show admin.cap linux-x86_64 --json"));
    expect(stdout).toContain("\\u009b2J\\u202e");
    expect(JSON.parse(stdout).workers[0]).toMatchObject({ name: hostile, connected: false });
  });

  it("does not act on a terminal", async () => {
    const args = ["show", "-c", cluster.cap("admin"), "--terse", "linux-x86_64"];
    const pty = Pty.run(Pty.program("ocluster-admin", args));
    expect(await pty.sees(/w1\r\n/)).toContain("\\x9b2J\\u{202e}\r\n");
    expect(await pty.ended).toBe(0);
    // Elsewhere it is what it is: for `exec`, `xargs` and the like.
    const { stdout } = await admin(...words("show admin.cap --terse linux-x86_64"));
    expect(stdout).toBe(`${hostile}\nw1\n`);
  });
});

describe("output for programs, as docs/cluster.md has it", () => {
  const json = async (...args: readonly string[]): Promise<unknown> => {
    const { code, stdout } = await admin("-c", "admin.cap", ...args, "--json");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[^\n]+\n$/);
    return JSON.parse(stdout);
  };
  const worker = { name: "w1", active: true, connected: true };
  const count = { urgent: 0, other: 0 };

  it.each([
    ["show", { pools: ["linux-x86_64"] }],
    ["show linux-x86_64", { pool: "linux-x86_64", workers: [worker], state: expect.any(String) }],
    ["show linux-x86_64 w1", worker],
    ["show linux-x86_64 w9", null],
    ["list-clients", { clients: ["test-user"] }],
    ["list-scalers", { scalers: [] }],
    ["add-scaler auto", { scaler: "auto", uri: expect.stringMatching(/^capnp:\/\/sha-256:/) }],
    ["add-client bob", { client: "bob", uri: expect.stringMatching(/^capnp:\/\/sha-256:/) }],
    [
      "top linux-x86_64",
      {
        ...{ pool: "linux-x86_64", capacity: 4, ready: 0, backlog: count },
        workers: [
          {
            ...{ name: "w1", connected: true, capacity: 4, running: 0, queue: count, work: 0 },
            ...{ workerPause: false, adminPause: false, shuttingDown: false },
          },
        ],
        clients: [{ id: "test-user", rate: 3, delay: expect.any(Number), queued: count }],
        totals: { submitted: 0, started: 0, cancelled: 0, finished: 0 },
        workersWanted: 0,
        obstacles: [],
      },
    ],
    ["explain linux-x86_64", { pool: "linux-x86_64", job: null, obstacles: [] }],
  ])("%s", async (line, value) => {
    expect(await json(...words(line))).toEqual(value);
  });

  it("names every field in the documentation", async () => {
    const docs = readFileSync(join(import.meta.dirname, "../../../docs/cluster.md"), "utf8");
    const section = docs.split("\n## Output for programs\n")[1]!.split("\n## ")[0]!;
    const fields = new Set<string>();
    const collect = (value: unknown): void => {
      if (Array.isArray(value)) for (const each of value) collect(each);
      else if (value && typeof value === "object") {
        for (const [name, each] of Object.entries(value)) {
          fields.add(name);
          collect(each);
        }
      }
    };
    for (const line of ["show", "show linux-x86_64", "list-clients", "top linux-x86_64"]) {
      collect(await json(...words(line)));
    }
    expect(
      [...fields].filter(
        (name) => !section.includes(`"${name}"`) && !section.includes(`\`${name}\``),
      ),
    ).toEqual([]);
  });
});

describe("help and version", () => {
  it.each([...Object.keys(USAGES)])("fits a screen and has an example: %s", async (command) => {
    const { code, stdout, stderr } = await admin(...words(`${command} --help`));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(
      stdout.startsWith(
        `Usage: ${words(`ocluster-admin ${command} ${USAGES[command]}`).join(" ")}\n`,
      ),
    ).toBe(true);
    expect(stdout).toMatch(/\nExamples:\n {2}.*ocluster-admin /);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(40);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
  });

  it.each(["--version", "show --version", "-c none.cap --version"])("%s", async (line) => {
    const { stdout, code } = await admin(...words(line));
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });
});
