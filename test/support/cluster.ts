/**
 * A whole cluster on loopback in one temporary directory: a scheduler, workers, and the caps to
 * reach them.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, Program, run, stopAll } from "./programs.js";

export class Cluster {
  private constructor(
    readonly dir: string,
    readonly port: number,
    private readonly schedulerArgs: readonly string[],
    private schedulerProgram: Program,
  ) {}

  /**
   * Starts a scheduler with one pool, `linux-x86_64`, and a client `test-user`; ready when it
   * accepts connections. `schedulerArgs` are more options for it; `--pools` has to name that one,
   * too; with `--state-dir` its state is somewhere else than in the cluster's directory.
   */
  static async start(schedulerArgs: readonly string[] = []): Promise<Cluster> {
    const dir = mkdtempSync(join(tmpdir(), "ocluster-test-"));
    mkdirSync(join(dir, "capnp-secrets"));
    const port = await freePort();
    const scheduler = Cluster.startScheduler(dir, port, schedulerArgs);
    const cluster = new Cluster(dir, port, schedulerArgs, scheduler);
    await cluster.schedulerReady();
    const added = await run("ocluster-admin", [
      "-c",
      cluster.cap("admin"),
      "add-client",
      "test-user",
    ]);
    if (added.code !== 0) throw new Error(`add-client failed:\n${added.stdout}${added.stderr}`);
    writeFileSync(cluster.cap("submission"), added.stdout);
    return cluster;
  }

  private static startScheduler(dir: string, port: number, args: readonly string[]): Program {
    const isElsewhere = args.some((arg) => arg.startsWith("--state-dir="));
    return new Program(
      "ocluster-scheduler",
      [
        `--capnp-secret-key-file=${join(dir, "capnp-secrets/key.pem")}`,
        `--capnp-listen-address=tcp:127.0.0.1:${port}`,
        ...(isElsewhere ? [] : [`--state-dir=${join(dir, "scheduler")}`]),
        `--secrets-dir=${join(dir, "capnp-secrets")}`,
        ...(args.some((arg) => arg.startsWith("--pools=")) ? [] : ["--pools=linux-x86_64"]),
        "--verbose",
        ...args,
      ],
      { cwd: dir },
    );
  }

  private schedulerReady(): Promise<unknown> {
    // The caps are written once the scheduler listens.
    return this.schedulerProgram.sees(
      "stderr",
      /Wrote capability reference to "[^"]*pool-linux-x86_64\.cap"/,
    );
  }

  get scheduler(): Program {
    return this.schedulerProgram;
  }

  /** Starts the scheduler anew on the same state, after it was stopped. */
  async restartScheduler(): Promise<void> {
    this.schedulerProgram = Cluster.startScheduler(this.dir, this.port, this.schedulerArgs);
    await this.schedulerReady();
  }

  /** The path of a capability file: `admin`, `pool-linux-x86_64`, `submission`. */
  cap(name: string): string {
    return join(this.dir, "capnp-secrets", `${name}.cap`);
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  write(name: string, content: string): string {
    writeFileSync(this.path(name), content);
    return this.path(name);
  }

  read(name: string): string {
    return readFileSync(this.path(name), "utf8");
  }

  /** Starts a worker; it is ready when it asks for a job. */
  async worker(
    name: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Program> {
    const worker = this.startWorker(name, args, env);
    await worker.sees("stderr", /Requesting a new job/);
    return worker;
  }

  /** Starts a worker, which need not get anywhere. */
  startWorker(
    name: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Program {
    return new Program(
      "ocluster-worker",
      [
        `--connect=${this.cap("pool-linux-x86_64")}`,
        `--name=${name}`,
        `--state-dir=${this.path(`worker-${name}`)}`,
        "--verbose",
        ...args,
      ],
      { cwd: this.dir, env },
    );
  }

  /** Submits a spec file. */
  submitSpec(specFile: string, args: readonly string[] = []): Program {
    return new Program("ocluster-client", [
      "submit-obuilder",
      `--connect=${this.cap("submission")}`,
      "--pool=linux-x86_64",
      `--local-file=${specFile}`,
      ...args,
    ]);
  }

  /** Submits a Docker job. */
  submitDocker(args: readonly string[]): Program {
    return new Program("ocluster-client", [
      "submit-docker",
      `--connect=${this.cap("submission")}`,
      "--pool=linux-x86_64",
      ...args,
    ]);
  }

  /** What `ocluster-admin show` prints for the pool. */
  async show(): Promise<string> {
    return (await run("ocluster-admin", ["-c", this.cap("admin"), "show", "linux-x86_64"])).stdout;
  }

  /** Ends every program and removes the directory. */
  async stop(): Promise<void> {
    await stopAll();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
