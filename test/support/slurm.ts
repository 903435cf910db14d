/**
 * A Slurm of a test's own: a controller and two nodes on this machine, with munge, in a directory
 * and on ports of its own (Debian: slurm-wlm, munge). The programs of Slurm find it by SLURM_CONF.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./programs.js";

/** Whether its programs are there. */
export function hasSlurm(): boolean {
  return existsSync("/usr/sbin/slurmctld") && existsSync("/usr/sbin/munged");
}

export class Slurm {
  private munged: ChildProcess | undefined;
  private controller: ChildProcess | undefined;
  private readonly nodes: ChildProcess[] = [];

  private constructor(private readonly dir: string) {}

  static async start(): Promise<Slurm> {
    const slurm = new Slurm(mkdtempSync(join(tmpdir(), "ocluster-slurm-")));
    try {
      await slurm.configure();
      slurm.munged = slurm.spawn("munged", [
        ...["--foreground", "--force", `--key-file=${slurm.path("munge.key")}`],
        ...[`--socket=${slurm.path("munge.sock")}`, `--pid-file=${slurm.path("munged.pid")}`],
        ...[`--log-file=${slurm.path("munged.log")}`, `--seed-file=${slurm.path("munge.seed")}`],
      ]);
      await slurm.until(() => existsSync(slurm.path("munge.sock")));
      slurm.startController(["-c"]);
      for (const node of NODES) slurm.nodes.push(slurm.spawn("slurmd", ["-D", "-N", node]));
      await slurm.until(() => slurm.run("sinfo", ["-h", "-o", "%t %D"]).trim() === "idle 2");
      return slurm;
    } catch (error) {
      await slurm.stop();
      throw error;
    }
  }

  /** For the environment of programs that use it. */
  get env(): Readonly<Record<string, string>> {
    return { SLURM_CONF: this.path("slurm.conf") };
  }

  /** What one of its programs prints. */
  run(program: string, args: readonly string[]): string {
    return spawnSync(program, args, { encoding: "utf8", env: { ...process.env, ...this.env } })
      .stdout;
  }

  /** Of jobs that have not ended: their numbers and states. */
  jobs(): Map<string, string> {
    const lines = this.run("squeue", ["-h", "-o", "%i %T"]).split("\n");
    return new Map(
      lines.filter((line) => line !== "").map((line) => line.trim().split(" ") as [string, string]),
    );
  }

  /** The controller goes away, or comes back with what it knew. */
  async stopController(): Promise<void> {
    await ended(this.controller, "SIGKILL");
  }

  startController(args: readonly string[] = []): void {
    this.controller = this.spawn("slurmctld", ["-D", ...args]);
  }

  async stop(): Promise<void> {
    this.run("scancel", ["--full", "--user=0"]);
    for (const node of this.nodes) await ended(node, "SIGTERM");
    await ended(this.controller, "SIGTERM");
    await ended(this.munged, "SIGTERM");
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }

  private path(name: string): string {
    return join(this.dir, name);
  }

  private async configure(): Promise<void> {
    for (const place of ["state", ...NODES.map((node) => `spool/${node}`)]) {
      mkdirSync(this.path(place), { recursive: true });
    }
    writeFileSync(this.path("munge.key"), randomBytes(1024), { mode: 0o400 });
    const host = hostname().split(".")[0];
    const [controller, first, second] = [await freePort(), await freePort(), await freePort()];
    const nodes = NODES.map(
      (node, index) =>
        `NodeName=${node} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${[first, second][index]} CPUs=2 RealMemory=1000 State=UNKNOWN`,
    );
    const config = [
      "ClusterName=test",
      `SlurmctldHost=${host}(127.0.0.1)`,
      `SlurmctldPort=${controller}`,
      "AuthType=auth/munge",
      `AuthInfo=socket=${this.path("munge.sock")}`,
      "SlurmUser=root",
      "SlurmdUser=root",
      `StateSaveLocation=${this.path("state")}`,
      `SlurmdSpoolDir=${this.path("spool/%n")}`,
      `SlurmctldPidFile=${this.path("ctld.pid")}`,
      `SlurmdPidFile=${this.path("d-%n.pid")}`,
      `SlurmctldLogFile=${this.path("ctld.log")}`,
      `SlurmdLogFile=${this.path("d-%n.log")}`,
      "ProctrackType=proctrack/linuxproc",
      "TaskPlugin=task/none",
      "JobAcctGatherType=jobacct_gather/none",
      "SelectType=select/cons_tres",
      "SelectTypeParameters=CR_Core",
      "ReturnToService=2",
      "MpiDefault=none",
      "SlurmdParameters=config_overrides",
      "SchedulerParameters=sched_interval=1",
      "MessageTimeout=5",
      "KillWait=10",
      ...nodes,
      "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP",
    ];
    writeFileSync(this.path("slurm.conf"), `${config.join("\n")}\n`);
  }

  private spawn(program: string, args: readonly string[]): ChildProcess {
    const child = spawn(`/usr/sbin/${program}`, args, {
      env: { ...process.env, ...this.env },
      stdio: "ignore",
    });
    child.on("error", () => {}); // Its end is seen.
    return child;
  }

  private async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      for (const child of [this.munged, this.controller, ...this.nodes]) {
        if (child && child.exitCode !== null) throw new Error(`${child.spawnfile} has ended`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

const NODES = ["n1", "n2"] as const;

async function ended(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const end = once(child, "exit");
  child.kill(signal);
  await end;
}
