/** What `ocluster-admin` prints and how it ends, command by command, against a real scheduler. */
import { mkdirSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { IdleWorkers } from "../support/idle-workers.js";
import { type Ended, freePort, Program, run } from "../support/programs.js";

const POOL = "linux-x86_64";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start();
});

afterAll(() => cluster.stop());

function admin(...args: readonly string[]): Promise<Ended> {
  return run("ocluster-admin", ["-c", cluster.cap("admin"), ...args]);
}

/** Standard output and the status of a command; what it says about its connection is left out. */
async function transcript(...args: readonly string[]) {
  const { code, stdout, stderr } = await admin(...args);
  return { code, stdout, stderr: stderr.replace(/^Connecting to .*\.\.\. OK\n/, "") };
}

const ok = (stdout: string) => ({ code: 0, stdout, stderr: "" });
const failed = (stderr: string) => ({ code: 1, stdout: "", stderr });

it("says where it connects, on standard error", async () => {
  expect((await admin("show")).stderr).toBe(`Connecting to tcp:127.0.0.1:${cluster.port}... OK\n`);
});

it("says which capability file it takes when it is given another", async () => {
  const submission = cluster.cap("submission");
  const args = ["show", "-c", submission];
  const ended = await run("ocluster-admin", args);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(/^Unimplemented: Unknown interface \d+\n/m);
  expect(ended.stderr).toContain(
    `"${submission}" is for something else; use an administrator's, admin.cap.\n`,
  );
});

describe("clients", () => {
  it("are added, listed and removed", async () => {
    const added = await transcript("add-client", "bob");
    expect(added.stdout).toMatch(/^capnp:\/\/sha-256:[\w-]{43}@127\.0\.0\.1:\d+\/[\w-]{27}\n$/);
    expect(await transcript("list-clients")).toEqual(ok("bob\ntest-user\n"));
    expect(await transcript("list-clients", "--json")).toEqual(
      ok('{"clients":["bob","test-user"]}\n'),
    );
    expect(await transcript("add-client", "bob")).toEqual(
      failed('Failed: Client "bob" already registered!\n'),
    );
    expect(await transcript("set-rate", POOL, "bob", "2.5")).toEqual(ok(""));
    expect(await transcript("set-rate", POOL, "eve", "2")).toEqual(
      failed('Failed: Unknown client "eve"\n'),
    );
    expect(await transcript("remove-client", "bob")).toEqual(ok(""));
    expect(await transcript("remove-client", "bob")).toEqual(
      failed('Failed: Unknown client "bob"\n'),
    );
  });

  it("are not there, and it says so on standard error", async () => {
    await transcript("remove-client", "test-user");
    expect(await transcript("list-clients")).toEqual({
      code: 0,
      stdout: "",
      stderr: "No clients.\n",
    });
  });
});

describe("a pool", () => {
  it("is listed and shown", async () => {
    expect(await transcript("show")).toEqual(ok(`${POOL}\n`));
    expect(await transcript("show", "--json")).toEqual(ok(`{"pools":["${POOL}"]}\n`));
    expect((await transcript("show", POOL)).stdout).toMatch(
      /^capacity: 0\nqueue: \(backlog\) \[\]\n/,
    );
    expect(await transcript("show", "nope")).toEqual(
      failed('Failed: No such pool "nope"; there is linux-x86_64\n'),
    );
  });

  it("takes the capability file in the old place, too", async () => {
    const ended = await run("ocluster-admin", ["show", cluster.cap("admin")]);
    expect(ended.stdout).toBe(`${POOL}\n`);
  });

  it("without workers has nothing to pause or update", async () => {
    expect(await transcript("pause", POOL)).toEqual(
      ok("No workers connected to pool (nothing to do).\n"),
    );
    expect(await transcript("update", POOL)).toEqual(failed("No workers connected to pool!\n"));
    expect(await transcript("forget", POOL)).toEqual(failed("No workers in pool!\n"));
  });
});

describe("workers", () => {
  let workers: IdleWorkers;

  beforeEach(async () => {
    workers = new IdleWorkers(cluster);
    for (const name of ["a", "b"]) await workers.add(name);
    return async () => {
      await workers.removeAll();
      for (const name of ["a", "b"]) await transcript("forget", POOL, name);
    };
  });

  it("are shown", async () => {
    expect(await transcript("show", "--terse", POOL)).toEqual(ok("a\nb\n"));
    expect(await transcript("show", POOL, "a")).toEqual(ok("a: Running\n"));
    expect(await transcript("show", "--terse", POOL, "a")).toEqual(ok("Running\n"));
    expect(await transcript("show", POOL, "x")).toEqual({
      ...failed("Known workers are:\na\nb\n"),
      stdout: "x: Not found\n",
    });
    expect(await transcript("show", "--terse", POOL, "x")).toEqual(ok("Not found\n"));
  });

  it("are paused and unpaused, by the old names of the commands too", async () => {
    expect(await transcript("pause", POOL)).toEqual(
      failed("Specify which worker you want to affect (or use --all).\nCandidates are:\na\nb\n"),
    );
    expect(await transcript("pause-worker", POOL, "a")).toEqual(ok("Success.\n"));
    expect(await transcript("show", POOL, "a")).toEqual(ok("a: Paused\n"));
    expect(await transcript("pause", "--all", "--wait", POOL)).toEqual(
      ok(
        '(worker "a" is already done)\nUpdating b…\nWaiting for jobs to finish…\nb: Running jobs: 0\nSuccess.\n',
      ),
    );
    expect(await transcript("pause", "--all", POOL)).toEqual(
      ok('(worker "a" is already done)\n(worker "b" is already done)\nNothing to do.\n'),
    );
    expect(await transcript("unpause", "--all", POOL)).toEqual(ok("Updating a, b…\nSuccess.\n"));
    expect(await transcript("unpause-worker", POOL, "x")).toEqual(
      failed("Failed: Unknown worker\n"),
    );
  });

  it("that are not connected can be paused and forgotten", async () => {
    expect(await transcript("pause", "--auto-create", POOL, "ghost")).toEqual(ok("Success.\n"));
    expect(await transcript("forget", POOL)).toEqual(
      failed(
        "Specify which worker you want to forget.\nCandidates are:\nghost (disconnected, paused)\n",
      ),
    );
    expect(await transcript("forget", POOL, "a")).toEqual(
      failed('Failed: Worker "a" is still connected!\n'),
    );
    expect(await transcript("forget", POOL, "ghost")).toEqual(ok(""));
    expect(await transcript("forget", POOL, "ghost")).toEqual(
      failed('Failed: Worker "ghost" not known in this pool\n'),
    );
  });

  it("are named to commands", async () => {
    const echoed = await transcript("exec", POOL, "--", "echo", "hello", "{}");
    expect(echoed.stdout.split("\n").sort()).toEqual(["", "hello a", "hello b"]);
    expect(await transcript("exec", POOL, "--", "sh", "-c", "exit 3")).toEqual(
      failed("Sub-process failed with exit code 3\nSub-process failed with exit code 3\n"),
    );
    expect(await transcript("exec", POOL, "--", "no-such-cmd", "{}")).toEqual(
      failed('Cannot run "no-such-cmd": no directory of PATH has such a program\n'),
    );
  });

  it("that cannot update say why", async () => {
    expect(await transcript("update", POOL, "a")).toEqual({
      code: 1,
      stdout: "a: Restarting\n",
      stderr: "Failed: cannot\n",
    });
    expect(await transcript("update", POOL, "x")).toEqual(failed("Failed: Unknown worker\n"));
  });
});

describe("updates", () => {
  it("restart one worker first, then the others, and tell of those that are away", async () => {
    const workers = new IdleWorkers(cluster);
    /** A worker that restarts when it is told to: it hangs up and comes back. */
    const restarting = async (name: string): Promise<void> => {
      const own = new IdleWorkers(cluster);
      await own.add(name, async () => {
        await own.removeAllNow();
        await workers.add(name);
      });
    };
    await restarting("a");
    await restarting("b");
    await transcript("pause", "--auto-create", POOL, "ghost");
    expect(await transcript("update", POOL)).toEqual(
      ok(
        'Testing update on first worker in pool: "a"\na: Restarting\n' +
          'Canary updated OK. Updating the others: [b]\nb: Restarting\n"b" restarted OK.\n' +
          "All pool workers restarted.\nWARNING: disconnected workers not updated:\n  ghost\n",
      ),
    );
    await workers.removeAll();
  });
});

describe("a pool with another name", () => {
  it("is told of at the start, and gets what was kept", async () => {
    const dir = cluster.path("renamed");
    mkdirSync(dir);
    const port = await freePort();
    const start = async (pool: string) => {
      const scheduler = new Program("ocluster-scheduler", [
        ...[`--capnp-secret-key-file=${dir}/key.pem`, `--state-dir=${dir}/state`],
        ...[`--secrets-dir=${dir}`, `--capnp-listen-address=tcp:127.0.0.1:${port}`],
        `--pools=${pool}`,
      ]);
      await scheduler.sees("stderr", /Wrote capability reference to "[^"]*pool-/);
      return scheduler;
    };
    const there = async (...args: readonly string[]) => {
      const { code, stderr, stdout } = await run("ocluster-admin", [
        "-c",
        `${dir}/admin.cap`,
        ...args,
      ]);
      return { code, stdout, stderr: stderr.replace(/^Connecting to .*\n/, "") };
    };
    const before = await start("x86");
    await there("pause", "--auto-create", "x86", "ghost");
    await before.stop();
    const after = await start(POOL);
    await after.sees("stderr", /if it is not wanted/); // Once it has read what it keeps.
    expect(after.stderr).toContain(
      'There is no pool "x86" any more (--pools), and this is kept of it: 1 worker. If it has another name now: ' +
        "ocluster-admin move-pool x86 NEW; if it is not wanted: ocluster-admin forget-pool x86\n",
    );
    expect(await there("move-pool", "x86", "nope")).toEqual(
      failed(`Failed: No such pool "nope" to move it to; there is ${POOL}\n`),
    );
    expect(await there("move-pool", "x86", POOL)).toEqual(
      ok("Moved workers: 1, rates: 0, hints: 0, durable jobs: 0.\n"),
    );
    expect(await there("show", POOL, "ghost")).toEqual(ok("ghost: Paused\n"));
    expect(await there("forget-pool", "x86")).toEqual(
      failed('Failed: Nothing is kept of a pool "x86", nor of any other\n'),
    );
    await after.stop();
  });
});

describe("bad usage", () => {
  it.each([
    [["show", "--bogus"], /^ocluster-admin: unknown option '--bogus'\.\nUsage: /],
    [["set-rate", POOL, "bob", "fast"], /argument RATE: invalid value 'fast'/],
    [["add-client"], /required argument ID is missing/],
  ])("%j ends with 124", async (args, message) => {
    const { code, stderr, stdout } = await admin(...args);
    expect({ code, stdout }).toEqual({ code: 124, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(
      /Try 'ocluster-admin .* --help' or 'ocluster-admin --help' for more information\.\n$/,
    );
  });
});
