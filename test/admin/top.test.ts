/**
 * `ocluster-admin top`: what it shows, on a real terminal and without one, and that it leaves the
 * terminal as it was.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { PoolReport } from "../../src/admin/pool-report.js";
import { topView } from "../../src/admin/top-view.js";
import { Admin$Client, PoolAdmin$Client } from "../../src/api/generated/ocluster.js";
import { Identity, method, serve, Vat, writeCapFile } from "../../src/rpc/index.js";
import { Cluster } from "../support/cluster.js";
import { IdleWorkers } from "../support/idle-workers.js";
import { type Program, run } from "../support/programs.js";
import { Pty, shellWords } from "../support/pty.js";

const POOL = "linux-x86_64";
const ESC = "\u001b";
const ENTERED = `${ESC}[?1049h`;
const LEFT = `${ESC}[?7h${ESC}[?25h${ESC}[?1049l`;

let cluster: Cluster;
let workers: IdleWorkers;
let client: Program;

beforeAll(async () => {
  cluster = await Cluster.start();
  workers = new IdleWorkers(cluster);
  await workers.add("north-1");
  await admin("pause", "--auto-create", POOL, "south-1");
  // The worker takes no jobs, so they stay queued.
  await admin("pause", POOL, "north-1");
  await admin("set-rate", POOL, "test-user", "2.5");
  client = cluster.submitSpec(cluster.write("x.spec", "((from x))"), ["--urgent"]);
  await vi.waitUntil(async () => (await cluster.show()).includes("+urgent"), { timeout: 30_000 });
});

afterAll(async () => {
  await client?.stop("SIGKILL");
  await workers?.removeAllNow();
  await cluster?.stop();
});

const admin = (...args: readonly string[]) =>
  run("ocluster-admin", [...args, "-c", cluster.cap("admin")]);

/** What both ways of asking the scheduler tell of this cluster. */
const EXPECTED = [
  /^linux-x86_64 {2}\d\d:\d\d:\d\d$/,
  /^Workers: 1 connected, 1 paused, 1 disconnected(, 1 wanted)?$/,
  /^Running: 0 of 4 \(0%\), 0 more asked for$/,
  /^Queued: {2}1 \(1 urgent\), 0 of them with workers, from 1 clients$/,
];

describe("without a terminal", () => {
  it("is printed once, as text", async () => {
    const { code, stderr, stdout } = await admin("top", POOL);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/OK\n$/) });
    const lines = stdout.split("\n");
    for (const [i, pattern] of EXPECTED.entries()) expect(lines[i]).toMatch(pattern);
    expect(lines[1]).toContain(", 1 wanted");
    expect(lines.slice(4).join("\n")).toMatch(
      /^Rates: {3}1 submitted, 0 started, 0 finished, 0 cancelled\nWaiting: 1 worker is given no jobs: paused by an administrator\n\nWORKER +STATE +RUNNING +QUEUED +WORK\nnorth-1 +paused +0\/4 +0 +0s\nsouth-1 +disconnected, paused +- +- +-\n\nCLIENT +RATE +QUEUED +URGENT +DUE IN\ntest-user +2\.5 +1 +1 +\d+[ms]\n$/,
    );
  });

  it("is printed as often as wished, with rates from the second time on", async () => {
    const { stdout } = await admin("top", "--count=2", "--interval=100ms", POOL);
    expect(stdout.match(/^Workers: /gm)).toHaveLength(2);
    expect(stdout).toContain("0.0/s submitted, 0.0/s started");
  });

  it("is JSON of a known shape, a line for each time", async () => {
    const { stdout } = await admin("top", "--json", "--count=2", "--interval=100ms", POOL);
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(2);
    expect(JSON.parse(lines[0]!)).toEqual({
      pool: POOL,
      capacity: 4,
      ready: 0,
      backlog: { urgent: 1, other: 0 },
      workersWanted: 1,
      workers: [worker("north-1", { capacity: 4, connected: true }), worker("south-1", {})],
      clients: [
        {
          id: "test-user",
          rate: 2.5,
          delay: expect.any(Number),
          queued: { urgent: 1, other: 0 },
        },
      ],
      totals: { submitted: 1, started: 0, cancelled: 0, finished: 0 },
      obstacles: [
        {
          ...{ kind: "paused", workers: 1 },
          ...{ workerPause: false, adminPause: true, shuttingDown: false },
        },
      ],
    });
  });

  it.each([
    [["nope"], 1, 'Failed: No such pool "nope"; there is linux-x86_64\n'],
    [["--interval=0", POOL], 124, "invalid value '0', expected at least 100ms"],
    [["--count=0", POOL], 124, "expected a whole number of at least 1"],
    [[], 124, "required argument POOL is missing"],
  ])("%j ends with %i", async (args, code, text) => {
    const ended = await admin("top", ...args);
    expect(ended).toMatchObject({ code, stdout: "", stderr: expect.stringContaining(text) });
  });
});

function worker(name: string, { capacity = 0, connected = false }) {
  return {
    ...{ name, capacity, connected, adminPause: true, shuttingDown: false, workerPause: false },
    ...{ running: 0, work: 0, queue: { urgent: 0, other: 0 } },
  };
}

describe("explain", () => {
  const explain = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await admin("explain", ...args);
    return { code, stdout, error: stderr.replace(/^Connecting to .*\n/, "") };
  };
  const paused = "1 worker is given no jobs: paused by an administrator";
  const next = /^Next: job of "test-user", urgent, ".*"; number 1 of 1 for any worker, due$/m;

  it("says why the next job does not run", async () => {
    for (const args of [[POOL], ["--client=test-user", POOL]]) {
      const { code, stdout } = await explain(...args);
      expect(code).toBe(0);
      expect(stdout).toMatch(next);
      expect(stdout.split("\n").slice(1)).toEqual([`- ${paused}`, ""]);
    }
  });

  it("says why a worker is given none", async () => {
    const { stdout } = await explain(POOL, "north-1");
    expect(stdout.startsWith(`Worker "north-1" is given no job now:\n- ${paused}\nNext: `)).toBe(
      true,
    );
    expect(await explain(POOL, "south-1")).toMatchObject({
      code: 0,
      stdout:
        'Worker "south-1" is given no job now:\n- it is not connected, and paused by an administrator\n',
    });
  });

  it("is JSON of a known shape", async () => {
    expect(JSON.parse((await explain("--json", POOL)).stdout)).toEqual({
      pool: POOL,
      job: {
        ...{ client: "test-user", label: expect.any(String), urgent: true },
        ...{ delay: expect.any(Number), place: { worker: null, ahead: 0, length: 1 } },
      },
      obstacles: [
        { kind: "paused", workers: 1, workerPause: false, adminPause: true, shuttingDown: false },
      ],
    });
  });

  it.each([
    [["nope"], 'Failed: No such pool "nope"; there is linux-x86_64\n'],
    [[POOL, "west-1"], "Failed: Unknown worker\n"],
    [["--client=eve", POOL], 'Failed: Unknown client "eve"\n'],
    [["--client=eve", POOL, "north-1"], "Name a worker or a client (--client), not both.\n"],
  ])("%j is refused", async (args, error) => {
    expect(await explain(...args)).toEqual({ code: 1, stdout: "", error });
  });
});

describe("on a terminal", () => {
  let pty: Pty;

  afterEach(() => pty?.close());

  const top = (...args: readonly string[]) =>
    Pty.program("ocluster-admin", ["top", "-c", cluster.cap("admin"), "--interval=100ms", ...args]);

  /** Starts `script` and waits until the view is there. */
  async function open(script: string): Promise<void> {
    pty = Pty.run(script);
    await pty.sees(ENTERED);
    await pty.sees("DUE IN");
  }

  it.each([
    ["q", "q"],
    ["Ctrl-C", "\u0003"],
    ["one of several keys that come together", "j\u001b[Aqq"],
  ])("%s leaves it as it was", async (_, key) => {
    await open(`${top(POOL)}; echo status $?; stty -a`);
    await pty.sees("DUE IN"); // It is drawn again and again.
    pty.press(key);
    await pty.sees(LEFT);
    const after = await pty.sees(/ icanon.* echo /s);
    expect(after).toContain("status 0");
    expect(await pty.ended).toBe(0);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("%s leaves it as it was", async (name, status) => {
    pty = Pty.run(`sh -c 'echo pid $$; exec "$@"' sh ${top(POOL)}; echo status $?; stty -a`);
    const pid = Number(/pid (\d+)/.exec(await pty.sees(/pid \d+\r/))![1]);
    await pty.sees("DUE IN");
    process.kill(pid, name);
    await pty.sees(LEFT);
    expect(await pty.sees(/ icanon.* echo /s)).toContain(`status ${status}`);
  });

  it("is left alone, and text is printed, when it can only do that", async () => {
    pty = Pty.run(`TERM=dumb ${top(POOL)}`);
    const text = await pty.sees("DUE IN");
    expect(await pty.ended).toBe(0);
    expect(text + pty.unseen).not.toContain("\u001b");
  });

  it("follows the size of the terminal", async () => {
    pty = Pty.run(top(POOL));
    const tty = /\/dev\/\S+/.exec(await pty.sees(/\/dev\/\S+\r\n/))![0];
    await pty.sees("DUE IN");
    Pty.resize(tty, 20, 8);
    // Cut to 20 columns; what is left of the line is cleared.
    await pty.sees(`Workers: 1 connected${ESC}[K`);
  });

  it("is taken for a usual one when it says that it has no size, as serial lines do", async () => {
    pty = Pty.run(top(POOL), { columns: 0, rows: 0 });
    await pty.sees("DUE IN");
  });

  it("is given to the shell while the program is stopped", async () => {
    await open(shellWords(["bash", "-mc", `${top(POOL)}; echo stopped $?; fg`]));
    pty.press("\u001a");
    await pty.sees(LEFT);
    await pty.sees("stopped 148");
    await pty.sees(ENTERED);
    await pty.sees("DUE IN");
    pty.press("q");
    await pty.sees(LEFT);
    expect(await pty.ended).toBe(0);
  });

  it("is given back when the scheduler is lost", async () => {
    const other = await Cluster.start();
    try {
      pty = Pty.run(
        Pty.program("ocluster-admin", ["top", "-c", other.cap("admin"), "--interval=100ms", POOL]),
      );
      await pty.sees("DUE IN");
      await other.scheduler.stop();
      await pty.sees(LEFT);
      await pty.sees("Disconnected: ");
      expect(await pty.ended).toBe(1);
    } finally {
      await other.scheduler.stop();
      rmSync(other.dir, { recursive: true });
    }
  });
});

describe("a scheduler that knows nothing of it", () => {
  it("is asked for what it shows to people", async () => {
    const state = await cluster.show();
    const [SHOW] = PoolAdmin$Client.methods;
    const [, POOL_METHOD] = Admin$Client.methods;
    const identity = Identity.ephemeral();
    const pool = () =>
      serve("PoolAdmin", [
        method(SHOW, (call) => {
          call.results().state = state;
        }),
      ]);
    const vat = new Vat({
      identity,
      restore: () =>
        serve("Admin", [
          method(POOL_METHOD, (call) => {
            call.results();
            call.setCapability(0, pool());
          }),
        ]),
    });
    const listener = await vat.listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, { tls: true });
    try {
      const cap = join(cluster.dir, "old-admin.cap");
      writeCapFile(cap, vat.sturdyRef(listener, identity.derivedId("admin")));
      const { code, stdout } = await run("ocluster-admin", ["top", "-c", cap, POOL]);
      expect(code).toBe(0);
      const lines = stdout.split("\n");
      for (const [i, pattern] of EXPECTED.entries()) expect(lines[i]).toMatch(pattern);
      expect(lines[1]).not.toContain("wanted");
      expect(lines[4]).toBe("Rates:   not told by this scheduler");
      expect(stdout).toMatch(/^north-1 +paused +0 +0 +0s$/m);
      for (const args of [
        ["running", POOL],
        ["cancel", `--pool=${POOL}`],
      ]) {
        expect(await run("ocluster-admin", [...args, "-c", cap])).toMatchObject({
          code: 1,
          stdout: "",
          stderr: expect.stringContaining("This scheduler cannot tell its running jobs one by one"),
        });
      }
      expect(await run("ocluster-admin", ["explain", "-c", cap, POOL])).toMatchObject({
        code: 1,
        stdout: "",
        stderr: expect.stringContaining(
          `This scheduler does not explain itself; "ocluster-admin show ${POOL}" has the state that it goes by.\n`,
        ),
      });
    } finally {
      await vat.close();
    }
  });
});

describe("the view", () => {
  const count = { urgent: 0, other: 1 };
  const report = (workerNames: readonly string[], clientIds: readonly string[]): PoolReport => ({
    ...{ capacity: 1, ready: 0, backlog: count, totals: null, obstacles: [], workersWanted: 2 },
    workers: workerNames.map((name) => ({
      ...{ name, connected: true, capacity: 1, running: 1, work: 100_000, queue: count },
      ...{ workerPause: false, adminPause: false, shuttingDown: false },
    })),
    clients: clientIds.map((id) => ({ id, rate: 0.1 + 0.2, delay: -1, queued: count })),
  });
  const view = (workerNames: readonly string[], clientIds: readonly string[], rows: number) =>
    topView({ report: report(workerNames, clientIds), time: 0 }, null, {
      ...{ pool: "p", color: false, columns: 60, rows },
    });
  const many = (prefix: string) => Array.from({ length: 30 }, (_, i) => `${prefix}${i}`);

  it("writes out whatever in a name could act on the terminal", () => {
    const lines = view([`${ESC}]0;x\u0007\u202e\u009b2J`], ["\r\n\u2028"], 24).join("\n");
    expect(lines).toContain("\\x1b]0;x\\x07\\u{202e}\\x9b2J");
    expect(lines).toContain("\\x0d\\x0a\\u{2028}");
    expect(lines).not.toMatch(/[^\P{C}\n]/u);
  });

  it("fits in the terminal, and says what it leaves out", () => {
    for (const rows of [14, 24, 50]) {
      for (const [workerNames, clientIds] of [
        [many("w"), many("c")],
        [many("w"), ["c"]],
        [["w"], many("c")],
      ] as const) {
        const lines = view(workerNames, clientIds, rows);
        expect(lines.length).toBeLessThanOrEqual(rows);
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
        const shown = lines.filter((line) => /^[wc]\d* /.test(line)).length;
        const left = lines.flatMap((line) => /^… (\d+) more$/.exec(line)?.[1] ?? []);
        const all = workerNames.length + clientIds.length;
        expect(shown + left.reduce((sum, n) => sum + Number(n), 0)).toBe(all);
      }
    }
  });

  it("tells numbers so that people can read them", () => {
    const lines = view(["w"], ["c"], 24);
    expect(lines).toContain("w       running      1/1       1  27h46m");
    expect(lines).toContain("c        0.3       1       0     now");
  });

  it("says when jobs are due only of who has some", () => {
    const idle = report([], ["c"]);
    const clients = idle.clients.map((client) => ({ ...client, queued: { urgent: 0, other: 0 } }));
    const lines = topView({ report: { ...idle, clients }, time: 0 }, null, {
      ...{ pool: "p", color: false, columns: 60, rows: 24 },
    });
    expect(lines.at(-1)).toBe("c        0.3       0       0");
  });
});
