/**
 * A scheduler as workers and clients see it that are not made by us: loaded by `cluster/load.c++`,
 * which knows the reference's schema alone and writes each message by itself. A scheduler is a
 * program of its own, started as its users start it; another that understands the same command line
 * is measured beside ours in the same run, scenario by scenario. On two cores the load takes one.
 *
 *     npm run bench:cluster [-- NAME…]                    NAME: only what has it in its name
 *     OTHER_SCHEDULER=path npm run bench:cluster          beside that program
 *
 * Needs Debian's capnproto, libcapnp-dev and g++.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pass } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { formatAddress, Identity, readCapFile, type SturdyRef } from "../src/rpc/index.js";
import { freePort } from "../test/support/programs.js";
import { type Figures, report } from "./report.js";

interface Scenario {
  readonly tls: boolean;
  /** Workers and clients, each with a key of its own. */
  readonly members: number;
  /** What the load is told: its own scenario, and options. */
  readonly load: readonly string[];
}

function scenario(members: number, command: string, tls = true): Scenario {
  return { tls, members, load: command.split(/[ =]/) };
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "null jobs, TLS": scenario(14, "throughput --jobs=10000"),
  "null jobs, plain": scenario(14, "throughput --jobs=10000", false),
  latency: scenario(2, "latency --jobs=3000"),
  "log in 10 KB chunks": scenario(2, "log --chunk=10240 --chunks=4000"),
  "log in 1 MB chunks": scenario(2, "log --chunk=1000000 --chunks=400"),
  "100,000 queued": scenario(11, "backlog --jobs=100000 --outstanding=500"),
  "1,000 idle workers": scenario(1000, "idle --workers=1000"),
};

const PROGRAM = resolve("node_modules/.cache/cluster-load");
const OURS = [process.execPath, resolve("dist/bin/ocluster-scheduler.js")];
const POOL = "bench";
const CLIENT = "client";

/** A scheduler's process, and the capabilities that it has written. */
class Running {
  private constructor(
    private readonly child: ChildProcess,
    private readonly directory: string,
    readonly registration: SturdyRef,
    readonly submission: SturdyRef,
  ) {}

  static async start([program, ...words]: readonly string[], tls: boolean): Promise<Running> {
    const directory = mkdtempSync(join(tmpdir(), "ocluster-bench-"));
    const secrets = join(directory, "secrets");
    mkdirSync(secrets);
    const port = await freePort();
    const options = [
      `--capnp-secret-key-file=${join(secrets, "key.pem")}`,
      `--capnp-listen-address=tcp:127.0.0.1:${port}`,
      `--pools=${POOL}`,
      `--state-dir=${join(directory, "state")}`,
      `--secrets-dir=${secrets}`,
      `--default-clients=${CLIENT}`,
      ...(tls ? [] : ["--capnp-disable-tls"]),
    ];
    const child = spawn(program!, [...words, ...options], { stdio: "ignore" });
    const files = [`pool-${POOL}`, `submit-${CLIENT}`].map((name) => join(secrets, `${name}.cap`));
    await until(child, async () => files.every(existsSync) && (await listens(port)));
    const [registration, submission] = files.map(readCapFile);
    return new Running(child, directory, registration!, submission!);
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** A path in a directory that goes with it. */
  path(name: string): string {
    return join(this.directory, name);
  }

  async stop(): Promise<void> {
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
    rmSync(this.directory, { recursive: true });
  }
}

/** Resolves when the scheduler is ready; different ones are so in a different order. */
async function until(child: ChildProcess, isReady: () => Promise<boolean>): Promise<void> {
  while (!(await isReady())) {
    if (child.exitCode !== null) throw new Error("the scheduler has ended; start it by hand");
    await pass(20);
  }
}

async function listens(port: number): Promise<boolean> {
  const socket = connect({ host: "127.0.0.1", port });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** The certificate of a scheduler, in PEM; whose it is does not matter here. */
async function certificateOf({ address }: SturdyRef): Promise<string> {
  if (address.kind !== "tcp") throw new Error("not reached by TCP");
  const { host, port } = address;
  const socket = connectTls({ host, port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const certificate = socket.getPeerX509Certificate()!;
  socket.destroy();
  return certificate.toString();
}

function place({ address, id }: SturdyRef): string[] {
  return [formatAddress(address), Buffer.from(id).toString("hex")];
}

/** Keys and certificates of so many members, and what they know of the scheduler. */
async function writeTlsFiles(directory: string, members: number, ref: SturdyRef): Promise<void> {
  mkdirSync(directory);
  writeFileSync(join(directory, "scheduler.pem"), await certificateOf(ref));
  for (let i = 0; i < members; i++) {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = join(directory, `${i}.key`);
    writeFileSync(key, privateKey.export({ type: "sec1", format: "pem" }));
    writeFileSync(join(directory, `${i}.pem`), Identity.load(key).certificatePem);
  }
}

async function measure(program: readonly string[], scenario: Scenario): Promise<Figures> {
  const { load, members, tls } = scenario;
  const scheduler = await Running.start(program, tls);
  try {
    const { pid, registration, submission } = scheduler;
    const keys = scheduler.path("keys");
    if (tls) await writeTlsFiles(keys, members, submission);
    const { stdout } = await promisify(execFile)(join(PROGRAM, "load"), [
      ...load,
      ...["--pid", `${pid}`, "--pool", POOL],
      ...["--register", ...place(registration), "--submit", ...place(submission)],
      ...(tls ? ["--tls", keys] : []),
    ]);
    return JSON.parse(stdout) as Figures;
  } finally {
    await scheduler.stop();
  }
}

const wanted = process.argv.slice(2);
const other = process.env.OTHER_SCHEDULER;
await promisify(execFile)(resolve("bench/cluster/build.sh"), [PROGRAM]);
for (const [name, each] of Object.entries(SCENARIOS)) {
  if (wanted.length > 0 && !wanted.some((part) => name.includes(part))) continue;
  const ours = await measure(OURS, each);
  report(other === undefined ? name : `${name}: ours`, ours);
  if (other === undefined) continue;
  const theirs = await measure([other], each);
  report(`${name}: the other`, theirs);
  const ratio = Object.entries(ours).map(([figure, value]) => [figure, value / theirs[figure]!]);
  report(`${name}: ours / the other`, Object.fromEntries(ratio));
}
