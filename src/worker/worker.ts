/**
 * A worker: connects to a scheduler, runs the jobs that it hands out, and connects again when the
 * connection is lost.
 *
 * Its states:
 *
 * - *opening*: the state directory is made ready and the builders check themselves; a failure ends
 *   the worker.
 * - *working*: it is a member of its pool (membership.ts), and runs jobs (jobs/jobs.ts).
 * - *draining* (after `drain`, or a job with `once`): takes no job any more; those that run may
 *   finish.
 * - *stopping* (the signal of `run`, or an update): the running jobs are cancelled or given back,
 *   and clean up.
 * - *closed*.
 */
import { Retirement, Worker as WorkerApi } from "../api/index.js";
import { type Backoff, sleep } from "../async/index.js";
import { logger } from "../console/index.js";
import { connectEngine } from "../docker/index.js";
import { readCapFile } from "../rpc/index.js";
import { lockState } from "../system/state-lock.js";
import { Abilities } from "./abilities.js";
import type { Builders, CustomHandler } from "./build.js";
import { Capacity, type WeightRule } from "./capacity.js";
import { Contexts } from "./context/contexts.js";
import { DiskGate } from "./docker/disk-gate.js";
import { DockerBuilder } from "./docker/docker-builder.js";
import type { RoomRule } from "./docker/room.js";
import { makePrivateDirectory } from "./files.js";
import { Jobs } from "./jobs/jobs.js";
import { Membership } from "./membership.js";
import { fetchMetrics, NODE_EXPORTER } from "./metric-sources.js";
import { WorkerMetrics } from "./metrics.js";
import { idleFor } from "./retirement.js";
import type { Gate } from "./session.js";
import { SpaceGate } from "./space-gate.js";
import { SpecBuilder, type SpecBuilderOptions } from "./spec-builder.js";
import { restartOnly, type Updater } from "./update.js";

const log = logger("worker");

export interface WorkerOptions {
  /**
   * Path of the pool's capability file. It is read anew for each connection, so that it can be
   * replaced.
   */
  readonly connect: string;
  /** Unique in the pool. */
  readonly name: string;
  /** Units of work at a time. Default: 10. */
  readonly capacity?: number;
  /** A directory for clones, logs and contexts, which is made if it does not exist. */
  readonly stateDir: string;
  /** Handlers of custom jobs by kind. */
  readonly custom?: Readonly<Record<string, CustomHandler>>;
  /** Builds specs; without it, spec jobs are refused. */
  readonly obuilder?: SpecBuilderOptions | undefined;
  /** Docker repositories that jobs may push to. Default: none. */
  readonly allowPush?: readonly string[];
  /** The network of Docker builds' RUN steps. Default: the engine's. */
  readonly dockerNetwork?: string | undefined;
  readonly weights?: readonly WeightRule[];
  /** ms that a job may take. Default: any time. */
  readonly jobTimeout?: number | undefined;
  /** Bytes of output after which a job's log is cut. */
  readonly maxLogSize?: number | undefined;
  /** ms after which a Git server that says nothing is given up. */
  readonly gitTimeout?: number | undefined;
  /**
   * Bytes, and files and directories, that the clone of a repository may have. Default: far more
   * than real ones have.
   */
  readonly gitMaxSize?: number | undefined;
  readonly gitMaxFiles?: number | undefined;
  /** Bytes of files of local directories that are kept for the next job. Default: 10 GiB. */
  readonly contextCache?: number | undefined;
  /** ms between looks at a disk that was too full for a job. Default: half a minute. */
  readonly spaceRetry?: number | undefined;
  /** Prune Docker when there is too little room. Default: never. */
  readonly dockerRoom?: RoomRule | undefined;
  /** More sources of metrics for the scheduler, by name. */
  readonly additionalMetrics?: ReadonlyMap<string, URL>;
  /** How to update when asked to. Default: just restart. */
  readonly updater?: Updater | undefined;
  /**
   * Tell the scheduler what this worker is able to do, so that it gets no other jobs. Default:
   * true.
   */
  readonly declares?: boolean;
  /** Its name does not come back: the scheduler is to forget it when it is gone. */
  readonly ephemeral?: boolean;
  /** Take one job, then drain. */
  readonly once?: boolean;
  /** Drain when no job has run for so long, in ms. Default: never. */
  readonly idleTimeout?: number | undefined;
  /** When to connect again. Default: as `Backoff` does, about every 10 to 30 s. */
  readonly backoff?: Backoff;
  /** Called each time that the worker has registered with the scheduler. */
  readonly onRegistered?: () => void;
}

/** A moment, in ms, for those who read the logs of the last jobs before an update. */
const LAST_LINES_MS = 1000;

/** Why running jobs are cancelled when the worker stops. */
class Stopping extends Error {}

export class Worker {
  readonly metrics = new WorkerMetrics();
  readonly #options: WorkerOptions;
  readonly #capacity: Capacity;
  readonly #contexts: Contexts;
  readonly #draining = new AbortController();
  readonly #stopping = new AbortController();
  readonly #docker = connectEngine();
  readonly #updater: Updater;
  #updated = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#capacity = new Capacity(options.capacity ?? 10, (inUse) =>
      this.metrics.runningJobs.set(inUse),
    );
    this.#contexts = new Contexts(options);
    this.#updater = options.updater ?? restartOnly;
  }

  /** Takes no more jobs; `run` resolves when those that run have ended. */
  drain(): void {
    this.#draining.abort();
  }

  /**
   * Works until the worker is drained, or until `signal` is aborted: then the running jobs are
   * cancelled, and durable ones given back. Rejects if the worker cannot be opened: a directory or
   * file cannot be used (`CapFileError`, a system error), a builder's health check fails. May be
   * called once. The result is "updated" if the process shall end so that it is started anew.
   */
  async run(signal?: AbortSignal): Promise<"stopped" | "updated"> {
    const stop = (): void => {
      this.drain();
      this.#stopping.abort(new Stopping());
    };
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    try {
      await this.#open();
      return this.#updated ? "updated" : "stopped";
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  async #open(): Promise<void> {
    readCapFile(this.#options.connect); // A file that cannot be used is better found now than after the self-test.
    const unlock = this.#lockState();
    try {
      await this.#work();
    } finally {
      unlock();
    }
  }

  /**
   * Before anything is touched in the state directory: what another worker has there is not left
   * over.
   */
  #lockState(): () => void {
    const { stateDir } = this.#options;
    makePrivateDirectory(stateDir);
    return lockState(
      {
        program: "worker",
        directory: stateDir,
        advice: "Stop that one, or start this one with a --state-dir and a --name of its own",
      },
      (warning) => log.warn(warning),
    );
  }

  async #work(): Promise<void> {
    const { backoff, connect, declares = true, idleTimeout, spaceRetry, stateDir } = this.#options;
    const { ephemeral = false, name, once, onRegistered } = this.#options;
    const [draining, stopping] = [this.#draining.signal, this.#stopping.signal];
    const capacity = this.#capacity;
    const builders = await this.#openBuilders();
    const { specs } = builders;
    const space = new SpaceGate({ stateDir, specs, draining, retryAfter: spaceRetry });
    const jobs = await this.#openJobs(builders, () => space.jobHadNoSpace());
    const stopJobs = (): void => jobs.stop();
    stopping.addEventListener("abort", stopJobs);
    if (stopping.aborted) stopJobs();
    const membership = new Membership({
      connect,
      name,
      ephemeral,
      capacity,
      gates: [
        ...this.#diskGates(),
        space,
        ...(specs ? [specs.healthGate] : []),
        jobs.attempts.gate,
      ],
      contextLink: this.#contexts.link,
      abilities: declares
        ? new Abilities({ docker: this.#docker, specs: specs !== undefined })
        : undefined,
      jobs,
      // One that takes a single job is not to be given several.
      leases: !once,
      metrics: this.metrics,
      worker: () => this.#api(),
      onRegistered: () => onRegistered?.(),
      onStarted: () => {
        if (once) this.drain();
      },
      draining,
      stopping,
      backoff,
    });
    if (idleTimeout !== undefined) this.#endWhenIdle(idleTimeout);
    try {
      await membership.run();
    } finally {
      await capacity.whenIdle();
      stopping.removeEventListener("abort", stopJobs);
      await jobs.attempts.close();
      await specs?.close();
    }
  }

  #endWhenIdle(ms: number): void {
    idleFor(this.#capacity, ms, this.#draining.signal).then(
      () => {
        log.info(`No job for ${ms / 1000} s: will exit.`);
        this.drain();
      },
      () => {}, // It is draining already.
    );
  }

  async #openBuilders(): Promise<Builders> {
    const { allowPush, custom, dockerNetwork, obuilder } = this.#options;
    await this.#contexts.open();
    const specs =
      obuilder && (await SpecBuilder.open(obuilder, this.metrics, this.#stopping.signal));
    return {
      contexts: this.#contexts,
      docker: new DockerBuilder({
        docker: this.#docker,
        allowPush: allowPush ?? [],
        network: dockerNetwork,
        metrics: this.metrics,
      }),
      specs,
      custom: new Map(Object.entries(custom ?? {})),
    };
  }

  #openJobs(builders: Builders, onNoSpace: () => void): Promise<Jobs> {
    const { jobTimeout, maxLogSize, name, stateDir, weights } = this.#options;
    return Jobs.open({
      name,
      stateDir,
      temporary: this.#contexts.temporary,
      capacity: this.#capacity,
      builders,
      metrics: this.metrics,
      weights,
      jobTimeout,
      maxLogSize,
      onNoSpace,
    });
  }

  #diskGates(): Gate[] {
    const { dockerRoom: rule } = this.#options;
    if (!rule) {
      log.info(
        "Prune threshold not set and docker max df size is not. Will not check for low disk-space!",
      );
      return [];
    }
    if ("maxImagesGb" in rule) {
      const size = rule.maxImagesGb.toFixed(2);
      log.info(`Pruning docker whenever the memory used exceeds ${size}GB`);
    }
    const { metrics } = this;
    return [new DiskGate({ docker: this.#docker, rule, capacity: this.#capacity, metrics })];
  }

  /** What the scheduler can ask this worker for, besides running jobs. */
  #api() {
    const retire = (reason: string) => {
      log.info(`Told to end: ${reason}. Will finish the running jobs, and exit.`);
      this.drain();
    };
    const service: WorkerApi.WorkerService = {
      metrics: (source) =>
        source === "agent"
          ? this.metrics.report()
          : fetchMetrics("prometheus-node-exporter", NODE_EXPORTER),
      additionalMetric: async (name) => {
        const url = this.#options.additionalMetrics?.get(name);
        return url === undefined ? null : fetchMetrics(name, url);
      },
      selfUpdate: () => this.#update(),
    };
    return WorkerApi.local(service, Retirement.retirementMethods({ retire }));
  }

  /**
   * Never resolves: the connection is gone before. If there can be no update, the worker works on.
   */
  async #update(): Promise<never> {
    log.info("Self-update requested.");
    try {
      return await this.#updateOrFail();
    } catch (error) {
      log.warn(`Self-update failed: ${(error as Error).message}`);
      throw error;
    }
  }

  async #updateOrFail(): Promise<never> {
    const finish = await this.#updater();
    log.info("Waiting for all existing jobs to complete.");
    await this.#capacity.whenIdle();
    log.info("All jobs finished. Updating…");
    await sleep(LAST_LINES_MS);
    await finish();
    this.#updated = true;
    this.drain();
    return new Promise(() => {});
  }
}
