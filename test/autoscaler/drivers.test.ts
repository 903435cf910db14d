/**
 * Drivers, and what they make of engines that refuse, are silent, or talk nonsense. Programs and
 * Swarm are fakes here; real ones are in test/integration.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DriverError } from "../../src/autoscaler/driver.js";
import { CommandDriver, type CommandOptions } from "../../src/autoscaler/drivers/command.js";
import { SlurmDriver, type SlurmOptions } from "../../src/autoscaler/drivers/slurm.js";
import { SwarmDriver } from "../../src/autoscaler/drivers/swarm.js";
import { EngineError, type ServiceState, type ServiceTask } from "../../src/docker/index.js";

let dir: string;
let signal: AbortSignal;
const { PATH } = process.env;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-drivers-"));
  signal = new AbortController().signal;
});

afterEach(() => {
  process.env.PATH = PATH;
  rmSync(dir, { recursive: true });
});

describe("slurm", () => {
  const OPTIONS: SlurmOptions = {
    jobName: "ocluster-nodes",
    script: 'exec ocluster-worker --name="$SLURM_JOB_ID"',
    partition: "build",
    timeLimit: 3600,
    grace: 90,
    cpus: 4,
    memory: 3 * 1024 ** 3,
    gres: "gpu:1",
    output: "/dev/null",
    arguments: ["--account=us"],
  };
  const driver = new SlurmDriver(OPTIONS, 1000);

  /** Has a program of that name be a piece of shell. */
  function fake(name: string, shell: string): void {
    const path = join(dir, name);
    writeFileSync(path, `#!/bin/sh\ncd ${dir}\n${shell}\n`);
    chmodSync(path, 0o755);
    process.env.PATH = `${dir}:${PATH}`;
  }

  const written = (name: string) => readFileSync(join(dir, name), "utf8");

  it("submits a job for each worker, with its number in the environment", async () => {
    fake(
      "sbatch",
      'echo "$@" > args; cat > script; echo x >> count; echo "17$(wc -l < count);cluster"',
    );
    expect(await driver.launch(2, signal)).toEqual({ ids: ["171", "172"] });
    expect(written("args")).toBe(
      "--parsable --no-requeue --ntasks=1 --job-name=ocluster-nodes --output=/dev/null --partition=build --time=60 " +
        "--signal=B:TERM@90 --cpus-per-task=4 --mem=3072M --gres=gpu:1 --account=us\n",
    );
    expect(written("script")).toBe(
      `#!/bin/sh\nexport OCLUSTER_WORKER_ID="$SLURM_JOB_ID"\n${OPTIONS.script}\n`,
    );
  });

  it("lists what is pending and what runs, and nothing that has ended", async () => {
    fake(
      "squeue",
      'echo "$@" > args; printf "1 PENDING\\n2 RUNNING\\n3 COMPLETING\\n4 CONFIGURING\\n5 FAILED\\n"',
    );
    expect(await driver.list(signal)).toEqual([
      { id: "1", phase: "pending" },
      { id: "2", phase: "running" },
      { id: "4", phase: "pending" },
    ]);
    expect(written("args")).toBe("--noheader --user=1000 --name=ocluster-nodes --format=%i %T\n");
  });

  it("calls off only what is still pending", async () => {
    fake("scancel", 'echo "$@" >> args');
    await driver.cancel(["1", "2"], signal);
    await driver.stop(["3"], signal);
    expect(written("args")).toBe("--state=PENDING 1 2\n3\n");
  });

  it("says what was refused, and keeps what was not", async () => {
    fake("sbatch", 'echo "sbatch: error: Invalid account" >&2; exit 1');
    await expect(driver.launch(1, signal)).rejects.toThrow(
      "sbatch failed with exit status 1: sbatch: error: Invalid account",
    );
    fake("sbatch", "test ! -e one || exit 1; touch one; echo 7");
    expect(await driver.launch(3, signal)).toEqual({
      ids: ["7"],
      failure: "sbatch failed with exit status 1",
    });
  });

  it.each([
    ["squeue", "echo who knows", "squeue has printed what makes no sense"],
    ["squeue", "echo 1 RUNNING; exit 1", "squeue failed with exit status 1"],
    ["squeue", "exec sleep 1000", "The operation was aborted"],
  ])("lists nothing at all if it is not sure: %s: %s", async (name, shell, why) => {
    fake(name, shell);
    const impatient = shell.includes("sleep") ? AbortSignal.timeout(50) : signal;
    await expect(driver.list(impatient)).rejects.toThrow(why);
  });

  it("says that it is not there", async () => {
    process.env.PATH = dir;
    await expect(driver.list(signal)).rejects.toThrow(
      new DriverError('Program "squeue" not found; install it, or fix PATH'),
    );
  });

  it("takes nothing else for the number of a job", async () => {
    fake("sbatch", "echo Submitted batch job 17");
    await expect(driver.launch(1, signal)).rejects.toThrow("sbatch has printed no number of a job");
  });
});

describe("command", () => {
  const driver = (commands: Partial<CommandOptions>) =>
    new CommandDriver({
      ...{ launch: "false", list: "false", stop: undefined, timeout: 60 },
      ...{ group: "cloud", pool: "linux" },
      ...commands,
    });

  it("launches as many as its command is asked for, and takes the ids that it prints", async () => {
    const launch =
      'for n in $(seq $OCLUSTER_COUNT); do echo "$OCLUSTER_POOL-$OCLUSTER_GROUP-$n"; done';
    expect(await driver({ launch }).launch(2, signal)).toEqual({
      ids: ["linux-cloud-1", "linux-cloud-2"],
    });
    expect(await driver({ launch: "echo i-1" }).launch(2, signal)).toEqual({
      ids: ["i-1"],
      failure: "The launch command has printed 1 ids of 2",
    });
  });

  it("lists ids, with what is pending", async () => {
    expect(
      await driver({ list: "printf 'i-1 pending\\n\\ni-2 running\\ni-3\\n'" }).list(signal),
    ).toEqual([
      { id: "i-1", phase: "pending" },
      { id: "i-2", phase: "running" },
      { id: "i-3", phase: "running" },
    ]);
  });

  it("hands over the ids to stop as arguments, and cannot stop without a command for it", async () => {
    const file = join(dir, "stopped");
    await driver({ stop: `echo "$@" > ${file}` }).stop!(["i-1", "i-2"], signal);
    expect(readFileSync(file, "utf8")).toBe("i-1 i-2\n");
    expect(driver({}).stop).toBeUndefined();
    expect("cancel" in driver({})).toBe(false);
  });

  it.each([
    [
      "list",
      { list: "echo i-1 stopped" },
      'printed "i-1 stopped"; expected ID pending, or ID running',
    ],
    ["list", { list: "echo ../etc running" }, 'printed "../etc running"'],
    ["list", { list: "echo broken >&2; exit 3" }, "sh failed with exit status 3: broken"],
    ["launch", { launch: "echo '$(reboot)'" }, "which is no id"],
    ["launch", { launch: "true" }, "has printed no ids"],
    ["list", { list: "sleep 1000 & wait", timeout: 0.05 }, "sh has not ended within 0.05 s"],
  ] as const)("is not sure of %s: %o", async (what, commands, why) => {
    const asked =
      what === "list" ? driver(commands).list(signal) : driver(commands).launch(1, signal);
    await expect(asked).rejects.toThrow(why);
    await asked.catch((error) => expect(error).toBeInstanceOf(DriverError));
  });
});

describe("swarm", () => {
  const STATE: ServiceState = {
    version: 7,
    replicas: 2,
    restarts: "none",
    env: ["OCLUSTER_WORKER_ID={{.Task.ID}}"],
  };

  /** A service whose tasks are made as soon as they are wanted. */
  class FakeService {
    readonly name = "workers";
    readonly scaled: number[] = [];
    state_: ServiceState = STATE;
    tasks_: ServiceTask[] = [
      { id: "a", state: "running", desired: "running" },
      { id: "b", state: "preparing", desired: "running" },
    ];

    async state(): Promise<ServiceState> {
      return this.state_;
    }

    async tasks(): Promise<ServiceTask[]> {
      return this.tasks_;
    }

    async scale(replicas: number, version: number): Promise<void> {
      if (version !== this.state_.version) throw EngineError.refused("update out of sequence", 500);
      this.scaled.push(replicas);
      for (let n = this.tasks_.length; n < replicas; n++) {
        this.tasks_.push({ id: `new-${n}`, state: "new", desired: "running" });
      }
    }
  }

  it("asks for as many as there are, and some more", async () => {
    const service = new FakeService();
    const driver = new SwarmDriver({ service: "workers" }, service);
    expect(await driver.list(signal)).toEqual([
      { id: "a", phase: "running" },
      { id: "b", phase: "pending" },
    ]);
    expect(await driver.launch(2, signal)).toEqual({ ids: ["new-2", "new-3"] });
    expect(service.scaled).toEqual([4]);
  });

  it("never has Swarm end any: its number follows those that have ended", async () => {
    const service = new FakeService();
    const driver = new SwarmDriver({ service: "workers" }, service);
    await driver.settle(signal);
    expect(service.scaled).toEqual([]);
    service.tasks_ = [
      { id: "a", state: "running", desired: "running" },
      { id: "b", state: "complete", desired: "shutdown" },
      { id: "c", state: "failed", desired: "running" },
    ];
    await driver.settle(signal);
    expect(service.scaled).toEqual([1]);
    expect("stop" in driver).toBe(false);
    expect("cancel" in driver).toBe(false);
  });

  it.each([
    [{ replicas: undefined }, "Service workers is not replicated; create it with --replicas=0"],
    [
      { restarts: "any" },
      "Service workers starts workers again that have ended: docker service update --restart-condition=none workers",
    ],
    [{ env: [] }, "Workers of service workers are not found by their names"],
  ])("does nothing with a service that would not work: %o", async (state, why) => {
    const service = new FakeService();
    service.state_ = { ...STATE, ...state };
    const driver = new SwarmDriver({ service: "workers" }, service);
    await expect(driver.list(signal)).rejects.toThrow(why);
    await expect(driver.launch(1, signal)).rejects.toThrow(why);
    await expect(driver.settle(signal)).rejects.toThrow(why);
    expect(service.scaled).toEqual([]);
  });

  it("does nothing when somebody has changed the service meanwhile", async () => {
    const service = new FakeService();
    const { scale } = service;
    service.scale = (replicas) => scale.call(service, replicas, 8);
    const driver = new SwarmDriver({ service: "workers" }, service);
    await expect(driver.launch(1, signal)).rejects.toThrow(
      new DriverError("The Docker engine refused: update out of sequence"),
    );
  });
});
