/**
 * The scheduler as operators meet it: a process with files, a port, log lines and an exit status.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SturdyRef } from "../../src/rpc/index.js";
import { freePort, Program, run, stopAll } from "../support/programs.js";
import { ServiceManager } from "../support/service-manager.js";

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-process-"));
  mkdirSync(join(dir, "capnp-secrets"));
});

afterEach(async () => {
  await stopAll();
  rmSync(dir, { recursive: true, force: true });
});

function args(port: number, ...more: readonly string[]): string[] {
  return [
    "--capnp-secret-key-file=capnp-secrets/key.pem",
    `--capnp-listen-address=tcp:127.0.0.1:${port}`,
    "--state-dir=state",
    "--pools=a,b",
    ...more,
  ];
}

async function start(...more: readonly string[]): Promise<Program> {
  const scheduler = new Program("ocluster-scheduler", args(await freePort(), ...more), {
    cwd: dir,
  });
  await scheduler.sees("stderr", /pool-b\.cap/);
  return scheduler;
}

function cap(name: string): string {
  return readFileSync(join(dir, "capnp-secrets", `${name}.cap`), "utf8");
}

it("writes what its connections hold when it is asked to by a signal, and goes on", async () => {
  const scheduler = await start();
  const file = join(dir, "capnp-secrets", "admin.cap");
  const admin = new Program("ocluster-admin", ["top", `-c${file}`, "--count=100000", "a"]);
  await admin.sees("stdout", /Workers: 0/);
  scheduler.signal("SIGUSR2");
  await scheduler.sees("stderr", /^Connections: 1\nConnection with .*\n {2}open$/m);
  await scheduler.sees("stderr", /^ {2}exports: \d+\n {4}0: object, mentions 1$/m);
  admin.signal("SIGUSR2");
  await admin.sees("stderr", /^ {2}imports: \d+\n {4}0: .*, mentions 1, references 1, called$/m);
  await admin.stop("SIGTERM");
  expect(scheduler.stderr + admin.stderr).not.toContain("violated");
  expect((await scheduler.stop("SIGTERM")).code).toBe(0);
});

it("writes a capability file for each service, says so, and ends well when told to", async () => {
  const scheduler = await start("--default-clients=alice", "--verbose");
  const { code, stderr } = await scheduler.stop("SIGTERM");
  expect(code).toBe(0);
  for (const name of ["admin", "pool-a", "pool-b", "submit-alice"]) {
    expect(cap(name)).toMatch(/^capnp:\/\/sha-256:[\w-]{43}@127\.0\.0\.1:\d+\/[\w-]+\n$/);
    expect(statSync(join(dir, "capnp-secrets", `${name}.cap`)).mode & 0o777).toBe(0o600);
    const path = `./capnp-secrets/${name}.cap`.replace("./", "");
    expect(stderr).toMatch(
      new RegExp(
        `^[-0-9]{10} [0-9:.]{8}    application  Wrote capability reference to ".*${path}"$`,
        "m",
      ),
    );
  }
  expect(stderr).toMatch(/ {6}capnp-rpc \[INFO\] Generating new private key…/);
  expect(stderr).toContain("Waiting for (encrypted) connections on tcp:127.0.0.1:");
});

it("warns of capability files that are of no use to other machines", async () => {
  const scheduler = await start("--capnp-public-address=tcp:0.0.0.0:9000");
  await scheduler.stop("SIGTERM");
  expect(scheduler.stderr).toMatch(
    /scheduler \[WARNING\] Capability files will name tcp:0\.0\.0\.0:9000, .* --capnp-public-address/,
  );
});

it("keeps keys, ids and clients over restarts", async () => {
  const first = await start("--default-clients=alice");
  await first.stop("SIGTERM");
  const idsBefore = ["admin", "pool-a", "submit-alice"].map((name) =>
    SturdyRef.parse(cap(name).trim()),
  );
  const again = await start("--default-clients=alice");
  await again.stop("SIGTERM");
  const idsAfter = ["admin", "pool-a", "submit-alice"].map((name) =>
    SturdyRef.parse(cap(name).trim()),
  );
  expect(idsAfter.map(({ id }) => id)).toEqual(idsBefore.map(({ id }) => id));
  expect(again.stderr).not.toContain("submit-alice.cap");
});

it("leaves a state directory to the scheduler that has it, until that is gone, however it went", async () => {
  const first = await start();
  const second = new Program("ocluster-scheduler", args(await freePort()), { cwd: dir });
  expect((await second.ended).code).toBe(123);
  expect(second.stderr).toContain('The state directory "state" is in use by another scheduler.');
  await first.stop("SIGKILL");
  const third = await start();
  expect((await third.stop("SIGTERM")).code).toBe(0);
});

it("puts the public address into the files", async () => {
  await start("--capnp-public-address=tcp:cluster.example.org:9000");
  expect(cap("admin")).toContain("@cluster.example.org:9000/");
});

it("logs for machines", async () => {
  const scheduler = await start("--log-format=json");
  const [line] = scheduler.stderr.split("\n");
  expect(JSON.parse(line!)).toMatchObject({
    level: "info",
    source: "application",
    msg: expect.stringContaining("Wrote capability reference"),
  });
});

it("shows its metrics and whether it is well", async () => {
  const port = await freePort();
  await start(`--listen-prometheus=127.0.0.1:${port}`);
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, body: await response.text() };
  };
  const { body, status } = await get("/metrics");
  expect(status).toBe(200);
  for (const metric of [
    'ocluster_pool_jobs_submitted_total{pool="a"} 0',
    'ocluster_pool_workers_connected{pool="b"} 0',
    'ocluster_pool_queue_length{queue="incoming",pool="a",priority="high"} 0',
    "capnp_net_connections 0",
    "process_resident_memory_bytes",
    "nodejs_eventloop_lag_seconds",
  ]) {
    expect(body).toContain(metric);
  }
  expect(await get("/healthz")).toEqual({ status: 200, body: "ok\n" });
  expect(await get("/readyz")).toEqual({ status: 200, body: "ok\n" });
  expect(await get("/pool/x/worker/w/metrics")).toEqual({ status: 400, body: "No such pool" });
  expect(await get("/pool/a/worker/w/metrics")).toEqual({
    status: 400,
    body: "Worker not connected",
  });
  expect(await get("/other")).toEqual({
    status: 400,
    body: expect.stringMatching(/^Bad request\nThere are these pages:\n {2}\/metrics\n/),
  });
});

describe("refuses to start", () => {
  it("on a database that is damaged, and leaves it as it is", async () => {
    mkdirSync(join(dir, "state"));
    const rubbish = "this is no database".repeat(100);
    writeFileSync(join(dir, "state/scheduler.db"), rubbish);
    const { code, stderr } = await run("ocluster-scheduler", args(await freePort()), { cwd: dir });
    expect(code).toBe(123);
    expect(stderr).toContain('Cannot use the state database "state/scheduler.db"');
    expect(readFileSync(join(dir, "state/scheduler.db"), "utf8")).toBe(rubbish);
  });

  it("where another process listens", async () => {
    const port = await freePort();
    const first = new Program("ocluster-scheduler", args(port), { cwd: dir });
    await first.sees("stderr", /pool-b\.cap/);
    const elsewhere = args(port).map((arg) => arg.replace("=state", "=other-state"));
    const second = await run("ocluster-scheduler", elsewhere, { cwd: dir });
    expect(second.code).toBe(1);
    expect(second.stderr).toContain("another process listens there already");
  });

  it.each([
    ["without a pool", ["--pools="], /--pools/],
    ["with a pool that is no file name", ["--pools=a/b"], /must not contain '\/'/],
    ["with a pool given twice", ["--pools=a,a"], /the name 'a' is given twice/],
    ["without a directory for secrets", ["--secrets-dir=nowhere"], /no 'nowhere' directory/],
  ])("%s", async (_, more, message) => {
    const base = args(await freePort()).filter((arg) => !arg.startsWith("--pools"));
    const pools = more.some((arg) => arg.startsWith("--pools")) ? [] : ["--pools=a"];
    const ended = await run("ocluster-scheduler", [...base, ...pools, ...more], { cwd: dir });
    expect(ended.code).toBe(124);
    expect(ended.stderr).toMatch(message);
  });
});

describe("under a service manager", () => {
  async function startUnder(manager: ServiceManager, env: Record<string, string> = {}) {
    return new Program("ocluster-scheduler", args(await freePort()), {
      cwd: dir,
      env: { ...manager.env, ...env },
    });
  }

  it("says when it is ready for everybody, and when it stops", async () => {
    const manager = new ServiceManager(dir);
    const scheduler = await startUnder(manager);
    await manager.hears("READY=1");
    expect(
      (await run("ocluster-admin", ["-c", "capnp-secrets/admin.cap", "show"], { cwd: dir })).stdout,
    ).toBe("a\nb\n");
    await scheduler.stop("SIGTERM");
    await manager.hears("STOPPING=1");
    expect(manager.messages).toEqual([
      `--pid=${scheduler.pid} READY=1`,
      `--pid=${scheduler.pid} STOPPING=1`,
    ]);
  });

  it("shows that it is not stuck, if asked to", async () => {
    const manager = new ServiceManager(dir);
    await startUnder(manager, { WATCHDOG_USEC: "200000" });
    await manager.hears("WATCHDOG=1");
  });

  it("goes on without one that can be told", async () => {
    const manager = new ServiceManager(dir);
    const scheduler = await startUnder(manager, { PATH: dir });
    await scheduler.sees("stderr", /systemd \[WARNING\] systemd-notify failed: .*ENOENT/);
    expect((await scheduler.stop("SIGTERM")).code).toBe(0);
  });
});
