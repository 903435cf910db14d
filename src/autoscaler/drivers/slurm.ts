/**
 * Slurm: each worker is a batch job of its own, an allocation of one task. `sbatch` submits it,
 * `squeue` lists those of the group by their name, `scancel` calls them off.
 *
 * The job's script is the operator's, with the job's number in OCLUSTER_WORKER_ID. Some time before
 * the limit is over, Slurm sends SIGTERM to the script itself, which should have become the worker
 * (`exec`): that gives back in time what it cannot finish. A job is not requeued: a new one is
 * another worker.
 */
import type { Instance } from "../decision/index.js";
import { type Driver, DriverError, type Launched, labelOf, MAX_INSTANCES } from "../driver.js";
import type { Settings } from "../settings.js";
import { runTool } from "../tool.js";

export interface SlurmOptions {
  /** Of the jobs: by it they are found again. */
  readonly jobName: string;
  /** For `sh`. */
  readonly script: string;
  readonly partition: string | undefined;
  /** Seconds, which Slurm takes as minutes; undefined: the partition's. */
  readonly timeLimit: number | undefined;
  /** So many seconds before it the script is sent SIGTERM. */
  readonly grace: number;
  readonly cpus: number | undefined;
  /** Bytes. */
  readonly memory: number | undefined;
  readonly gres: string | undefined;
  /** A file for what the script prints, with Slurm's patterns, such as `%j`. */
  readonly output: string;
  /** More arguments of `sbatch`. */
  readonly arguments: readonly string[];
}

/** The longest grace that `--signal` takes. */
const MAX_GRACE = 65_535;

export function slurmOptions(settings: Settings, group: string, pool: string): SlurmOptions {
  return {
    jobName: settings.text("job-name") ?? `ocluster-${labelOf(pool)}.${group}`,
    script: settings.requiredText("script"),
    partition: settings.text("partition"),
    timeLimit: settings.duration("time-limit"),
    grace: settings.duration("grace", { max: MAX_GRACE }) ?? 120,
    cpus: settings.integer("cpus", { min: 1 }),
    memory: settings.size("memory"),
    gres: settings.text("gres"),
    output: settings.text("output") ?? "/dev/null",
    arguments: settings.texts("arguments"),
  };
}

/** States in which nothing of a job runs yet. */
const PENDING = [
  "PENDING",
  "CONFIGURING",
  "REQUEUED",
  "REQUEUE_HOLD",
  "REQUEUE_FED",
  "RESV_DEL_HOLD",
];

/** States in which its script may run. What is in another has ended, or does so. */
const RUNNING = ["RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"];

export class SlurmDriver implements Driver {
  constructor(
    private readonly options: SlurmOptions,
    /** Whose jobs they are. */
    private readonly uid = process.getuid?.() ?? 0,
  ) {}

  get title(): string {
    return `Slurm jobs "${this.options.jobName}"`;
  }

  async list(signal: AbortSignal): Promise<Instance[]> {
    const { jobName } = this.options;
    const text = await runTool(
      ["squeue", "--noheader", `--user=${this.uid}`, `--name=${jobName}`, "--format=%i %T"],
      { signal },
    );
    const instances: Instance[] = [];
    for (const line of text.split("\n")) {
      if (line.trim() === "") continue;
      const [, id, state] = /^\s*(\d+) ([A-Z_]+)\s*$/.exec(line) ?? [];
      if (id === undefined || state === undefined) {
        throw new DriverError(`squeue has printed what makes no sense: ${JSON.stringify(line)}`);
      }
      if (PENDING.includes(state)) instances.push({ id, phase: "pending" });
      else if (RUNNING.includes(state)) instances.push({ id, phase: "running" });
      if (instances.length > MAX_INSTANCES) {
        throw new DriverError(`squeue lists more than ${MAX_INSTANCES} jobs`);
      }
    }
    return instances;
  }

  async launch(count: number, signal: AbortSignal): Promise<Launched> {
    const ids: string[] = [];
    while (ids.length < count) {
      try {
        ids.push(await this.submit(signal));
      } catch (error) {
        if (!(error instanceof DriverError) || ids.length === 0) throw error;
        return { ids, failure: error.message };
      }
    }
    return { ids };
  }

  async cancel(ids: readonly string[], signal: AbortSignal): Promise<void> {
    // Slurm looks at the state and cancels in one go.
    await runTool(["scancel", "--state=PENDING", ...ids], { signal });
  }

  async stop(ids: readonly string[], signal: AbortSignal): Promise<void> {
    await runTool(["scancel", ...ids], { signal });
  }

  private async submit(signal: AbortSignal): Promise<string> {
    const input = `#!/bin/sh\nexport OCLUSTER_WORKER_ID="$SLURM_JOB_ID"\n${this.options.script}\n`;
    const printed = await runTool(["sbatch", ...sbatchArguments(this.options)], { input, signal });
    // With several clusters, `NUMBER;CLUSTER`.
    const id = /^(\d+)(;|\s|$)/.exec(printed.trim())?.[1];
    if (id === undefined) {
      throw new DriverError(`sbatch has printed no number of a job: ${JSON.stringify(printed)}`);
    }
    return id;
  }
}

/** Exported for tests. */
export function sbatchArguments(options: SlurmOptions): string[] {
  const { cpus, grace, gres, jobName, memory, output, partition, timeLimit } = options;
  const given = (flag: string, value: string | number | undefined) =>
    value === undefined ? [] : [`--${flag}=${value}`];
  return [
    "--parsable",
    "--no-requeue",
    "--ntasks=1",
    `--job-name=${jobName}`,
    `--output=${output}`,
    ...given("partition", partition),
    ...given("time", timeLimit && Math.ceil(timeLimit / 60)),
    ...(timeLimit === undefined ? [] : [`--signal=B:TERM@${Math.round(grace)}`]),
    ...given("cpus-per-task", cpus),
    ...given("mem", memory && `${Math.ceil(memory / 1024 ** 2)}M`),
    ...given("gres", gres),
    ...options.arguments,
  ];
}
