/**
 * A cluster whose workers come and go: a scheduler, durable jobs that sleep, the autoscaler, and
 * the command line of a worker that builds them.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DurableSubmission, type JobDescr, JobRecords } from "../../src/api/index.js";
import { Cluster } from "./cluster.js";
import { SteadyScheduler } from "./durable-clients.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "./oci-layout.js";
import { Program, run } from "./programs.js";

const ROOT = join(import.meta.dirname, "../..");

export const POOL = "linux-x86_64";

export class ElasticCluster {
  private readonly scheduler: SteadyScheduler;
  #submitted = 0;

  private constructor(readonly cluster: Cluster) {
    this.scheduler = new SteadyScheduler(cluster.cap("submission"));
  }

  /** Wants a worker for each job that takes a second. */
  static async start(schedulerArgs: readonly string[] = []): Promise<ElasticCluster> {
    const cluster = await Cluster.start(["--scale-target=1s", ...schedulerArgs]);
    withTemporaryRoot(busyboxRoot, (rootfs) =>
      writeOciLayout(cluster.path("images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
    );
    for (const place of ["fleet", "stores", "logs"]) mkdirSync(cluster.path(place));
    const added = await run("ocluster-admin", [
      "-q",
      "-c",
      cluster.cap("admin"),
      "add-scaler",
      "it",
    ]);
    if (added.code !== 0) throw new Error(added.stderr);
    writeFileSync(cluster.cap("scaler"), added.stdout, { mode: 0o600 });
    return new ElasticCluster(cluster);
  }

  /**
   * A piece of shell that becomes a worker of the id in `$OCLUSTER_WORKER_ID`, with a log in
   * `logs/ID`; what it has on disk goes with it.
   */
  workerShell(options: readonly string[] = [], builds: "docker" | "specs" = "specs"): string {
    const { cluster } = this;
    const store = cluster.path("stores/$OCLUSTER_WORKER_ID");
    const words = [
      ...[process.execPath, join(ROOT, "dist/bin/ocluster-worker.js")],
      `--connect=${cluster.cap(`pool-${POOL}`)}`,
      ...["--ephemeral", "--name=w-{id}", "--capacity=1", "--verbose"],
      ...(builds === "docker"
        ? ["--docker-network=none"]
        : [
            `--obuilder-store=overlayfs:"${store}"`,
            `--obuilder-image-dir=${cluster.path("images")}`,
            "--obuilder-fetch=local",
            "--obuilder-prune-threshold=0",
            "--obuilder-healthcheck=0",
          ]),
      ...options,
    ];
    const log = cluster.path("logs/$OCLUSTER_WORKER_ID");
    return `exec ${words.join(" ")} > "${log}" 2>&1`;
  }

  /** What workers have logged, by their ids. */
  workerLogs(): Map<string, string> {
    const dir = this.cluster.path("logs");
    return new Map(readdirSync(dir).map((id) => [id, readFileSync(join(dir, id), "utf8")]));
  }

  /** Starts the autoscaler with groups of the pool. */
  autoscaler(
    groups: readonly object[],
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Program {
    const config = this.cluster.path("pools.yml");
    writeFileSync(config, JSON.stringify({ pools: { [POOL]: groups } }));
    const words = [`--connect=${this.cluster.cap("scaler")}`, `--config=${config}`];
    const all = [...words, "--interval=1s", "--verbose", ...args];
    return new Program("ocluster-autoscaler", all, { env });
  }

  /** Submits durable jobs, each of which sleeps for so long; their numbers. */
  submit(sleeps: readonly number[]): Promise<number[]> {
    return this.submitAll(sleeps, (command) => ({
      kind: "obuilder",
      spec: `((from busybox) (shell /bin/sh -c) (run (shell "${command}")))`,
    }));
  }

  /** The same as Dockerfiles, from this image. */
  submitDocker(sleeps: readonly number[], from: string): Promise<number[]> {
    return this.submitAll(sleeps, (command) => ({
      kind: "docker",
      dockerfile: { contents: `FROM ${from}\nRUN ${command}\n` },
      ...{ buildArgs: [], squash: false, buildkit: false, includeGit: false },
    }));
  }

  private async submitAll(
    sleeps: readonly number[],
    actionOf: (command: string) => JobDescr["action"],
  ): Promise<number[]> {
    const jobs: number[] = [];
    for (const seconds of sleeps) {
      // No two have a step in common, which would be cached.
      const action = actionOf(`sleep ${seconds}; echo ${this.#submitted++}`);
      const { job } = await this.scheduler.call((submission) =>
        DurableSubmission.submit(submission, {
          ...{ pool: POOL, urgent: false, descr: { action, cacheHint: "", secrets: [] } },
          options: DurableSubmission.DEFAULT_DURABLE_OPTIONS,
        }),
      );
      jobs.push(job);
    }
    return jobs;
  }

  async cancel(jobs: readonly number[]): Promise<void> {
    for (const job of jobs) {
      await this.scheduler.call((records) => JobRecords.cancel(records, job, "not wanted"));
    }
  }

  record(job: number): Promise<JobRecords.JobRecord> {
    return this.scheduler.call((records) => JobRecords.get(records, job));
  }

  /** Their records, once all have ended. */
  ended(jobs: readonly number[]): Promise<JobRecords.JobRecord[]> {
    return Promise.all(
      jobs.map((job) =>
        this.scheduler.call(async (records) => {
          let record = await JobRecords.get(records, job);
          while (record.ended === null)
            record = await JobRecords.get(records, job, record.revision);
          return record;
        }),
      ),
    );
  }

  /** The names of the workers that the scheduler knows. */
  async workers(): Promise<string[]> {
    const args = ["-q", "-c", this.cluster.cap("admin"), "show", "--terse", POOL];
    const { stdout } = await run("ocluster-admin", args);
    return stdout.split("\n").filter((line) => line !== "");
  }

  async stop(): Promise<void> {
    await this.scheduler.close();
    await this.cluster.stop();
  }
}

/** Workers that are processes of this machine, started, listed and stopped by commands. */
export class Fleet {
  constructor(private readonly elastic: ElasticCluster) {}

  /** The section of a group. */
  section(workerOptions: readonly string[] = []): object {
    const dir = this.#dir;
    const worker = this.elastic.cluster.write("worker.sh", this.elastic.workerShell(workerOptions));
    return {
      launch: `for n in $(seq $OCLUSTER_COUNT); do
        id=$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
        OCLUSTER_WORKER_ID=$id setsid sh ${worker} < /dev/null > /dev/null 2>&1 &
        echo $! > ${dir}/$id; echo $id
      done`,
      list: `cd ${dir}; for id in $(ls); do if kill -0 $(cat $id) 2> /dev/null; then echo $id running; else rm $id; fi; done`,
      stop: `cd ${dir}; for id; do kill $(cat $id); done`,
    };
  }

  /** Of those that run, by their ids. */
  pids(): Map<string, number> {
    const ids = existsSync(this.#dir) ? readdirSync(this.#dir) : [];
    const pids = ids.map((id) => [id, Number(readFileSync(join(this.#dir, id), "utf8"))] as const);
    return new Map(pids.filter(([, pid]) => isAlive(pid)));
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): void {
    for (const pid of this.pids().values()) process.kill(pid, signal);
  }

  get #dir(): string {
    return this.elastic.cluster.path("fleet");
  }
}

function isAlive(pid: number): boolean {
  try {
    // One that nobody has waited for is there, and has ended.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
