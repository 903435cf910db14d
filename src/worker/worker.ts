/**
 * A worker: connects to a scheduler, runs the jobs that it hands out, and connects again when the connection is lost.
 *
 * Its states:
 *
 * - *opening*: the state directory is made ready and the builders check themselves; a failure ends the worker.
 * - *connecting* ⇄ *registered*: asks for jobs while registered. The connection is the jobs' lifeline: when it is lost,
 *   they are cancelled.
 * - *draining* (after `drain`, or a job with `once`): takes no job any more; those that run may finish.
 * - *stopping* (the signal of `run`, or an update): the running jobs are cancelled, and clean up.
 * - *closed*.
 */

import { cacheHintOf, Registration, readJobDescr, Worker as WorkerApi } from "../api/index.js";
import { Backoff, Condition, sleep, stopwatch } from "../async/index.js";
import { describeOnSignal, logger } from "../console/index.js";
import { rpcMetrics } from "../console/metrics.js";
import { type DetachedPointer, readCapFile, Vat, watchLiveness } from "../rpc/index.js";
import { lockState } from "../system/state-lock.js";
import { adviceOn } from "./advice.js";
import { type Builders, build, type CustomHandler } from "./build.js";
import { Capacity, type WeightRule, weigh } from "./capacity.js";
import { Contexts } from "./context/contexts.js";
import { DiskGate, type RoomRule } from "./docker/disk-gate.js";
import { DockerBuilder } from "./docker/docker-builder.js";
import { connectEngine } from "./docker/engine.js";
import { JobFailed } from "./failure.js";
import { makePrivateDirectory } from "./files.js";
import { Job } from "./job.js";
import { fetchMetrics, NODE_EXPORTER } from "./metric-sources.js";
import { WorkerMetrics } from "./metrics.js";
import { type Gate, takeJobs } from "./session.js";
import { SpecBuilder, type SpecBuilderOptions } from "./spec-builder.js";
import { restartOnly, type Updater } from "./update.js";

const log = logger("worker");

/** How often the scheduler is asked for a sign of life, and how long it may take; it can be busy for seconds. */
const LIVENESS = { intervalMs: 60_000, timeoutMs: 120_000 };

/** How long the clients of the last jobs get, in ms, to read the end of the log before a worker is gone. */
const LAST_WORDS_MS = { drained: 10_000, stopped: 2_000 };

export interface WorkerOptions {
  /** Path of the pool's capability file. It is read anew for each connection, so that it can be replaced. */
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
  /** Bytes, and files and directories, that the clone of a repository may have. Default: far more than real ones have. */
  readonly gitMaxSize?: number | undefined;
  readonly gitMaxFiles?: number | undefined;
  /** Prune Docker when there is too little room. Default: never. */
  readonly dockerRoom?: RoomRule | undefined;
  /** More sources of metrics for the scheduler, by name. */
  readonly additionalMetrics?: ReadonlyMap<string, URL>;
  /** How to update when asked to. Default: just restart. */
  readonly updater?: Updater | undefined;
  /** Take one job, then drain. */
  readonly once?: boolean;
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
  /** Jobs that run, or that somebody may still want to read the log of. */
  readonly #jobs = new Set<Job>();
  readonly #jobGone = new Condition();
  readonly #draining = new AbortController();
  readonly #stopping = new AbortController();
  readonly #docker = connectEngine();
  readonly #updater: Updater;
  #registered = false;
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
   * Works until the worker is drained, or until `signal` is aborted: then the running jobs are cancelled. Rejects if the
   * worker cannot be opened: a directory or file cannot be used (`CapFileError`, a system error), a builder's health
   * check fails. May be called once. The result is "updated" if the process shall end so that it is started anew.
   */
  async run(signal?: AbortSignal): Promise<"stopped" | "updated"> {
    const stop = (): void => {
      this.drain();
      this.#stopping.abort(new Stopping());
      for (const job of this.#jobs) job.cancel();
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

  /** Before anything is touched in the state directory: what another worker has there is not left over. */
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
    const { allowPush, custom, dockerNetwork, obuilder } = this.#options;
    await this.#contexts.open();
    const specs =
      obuilder && (await SpecBuilder.open(obuilder, this.metrics, this.#stopping.signal));
    const builders: Builders = {
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
    const gates = [...this.#diskGates(), ...(specs ? [specs.healthGate] : [])];
    const vat: Vat = new Vat({
      log: rpcLog,
      metrics: rpcMetrics(this.metrics.registry, () => vat.connectionCount),
    });
    using _ = describeOnSignal(() => vat.dump());
    // A worker that is on its way to a scheduler has nothing to finish there.
    const hangUp = (): void => void (this.#registered || vat.close());
    this.#draining.signal.addEventListener("abort", hangUp);
    try {
      await this.#stayConnected(vat, builders, gates);
    } finally {
      this.#draining.signal.removeEventListener("abort", hangUp);
      await vat.close();
      await this.#capacity.whenIdle();
      await specs?.close();
    }
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

  /** Registers, again and again, until the worker drains. */
  async #stayConnected(vat: Vat, builders: Builders, gates: readonly Gate[]): Promise<void> {
    const backoff = new Backoff();
    while (!this.#draining.signal.aborted) {
      backoff.attempt();
      let registered = false;
      try {
        await this.#session(vat, builders, gates, () => {
          registered = true;
          backoff.succeeded();
        });
      } catch (error) {
        const delay = backoff.failed();
        const seconds = (delay / 1000).toFixed(1);
        log.info(`Lost connection to scheduler (${error}). Will retry in ${seconds}s…`);
        if (!registered && !this.#draining.signal.aborted) {
          log.warn(adviceOn(error, this.#options));
        }
        await sleep(delay, this.#draining.signal).catch(() => {});
      }
    }
  }

  /** One connection, until the worker has drained. Rejects when it is lost, or the worker is refused. */
  async #session(
    vat: Vat,
    builders: Builders,
    gates: readonly Gate[],
    onRegistered: () => void,
  ): Promise<void> {
    const { connect, name, once } = this.#options;
    const ref = readCapFile(connect);
    const connection = await vat.connect(ref);
    const stopWatching = watchLiveness(connection, LIVENESS);
    const registration = connection.bootstrap(ref.id);
    const queue = Registration.register(registration, {
      name,
      capacity: this.#capacity.total,
      worker: this.#api(),
    });
    registration.release();
    try {
      await queue.whenResolved();
      this.#registered = true;
      onRegistered();
      this.#options.onRegistered?.();
      await takeJobs(
        queue,
        {
          capacity: this.#capacity,
          gates,
          newJob: () => this.#newJob(),
          start: (job, descr) => {
            this.#start(job, descr, builders);
            if (once) this.drain();
          },
        },
        this.#draining.signal,
      );
      await this.#lastWords();
    } finally {
      this.#registered = false;
      stopWatching();
      queue.release();
    }
  }

  /** Waits until the running jobs have ended, and for a while until their clients have read their logs. */
  async #lastWords(): Promise<void> {
    if (this.#capacity.inUse > 0) log.info("Waiting for all existing jobs to complete.");
    await this.#capacity.whenIdle();
    const { drained, stopped } = LAST_WORDS_MS;
    const deadline = AbortSignal.timeout(this.#stopping.signal.aborted ? stopped : drained);
    while (this.#jobs.size > 0 && !deadline.aborted) {
      await this.#jobGone.wait(deadline).catch(() => {});
    }
  }

  #newJob(): Job {
    const { temporary: directory } = this.#contexts;
    const { maxLogSize } = this.#options;
    const job: Job = new Job(
      { directory, ...(maxLogSize !== undefined && { maxSize: maxLogSize }) },
      () => {
        this.#jobs.delete(job);
        this.#jobGone.notify();
      },
    );
    return job;
  }

  #start(job: Job, pointer: DetachedPointer, builders: Builders): void {
    const { jobTimeout, name } = this.#options;
    this.#jobs.add(job);
    if (this.#stopping.signal.aborted) job.cancel();
    const hint = cacheHintOf(pointer);
    const weight = weigh(this.#options.weights ?? [], hint);
    this.#capacity.take(weight);
    log.info(`Cache_hint ${hint}`);
    log.info(`Job weight ${weight}`);
    this.metrics.jobsAccepted.inc();
    const elapsed = stopwatch();
    const timer =
      jobTimeout !== undefined &&
      setTimeout(() => {
        job.stop(new JobFailed(`Job timed out: it took longer than ${jobTimeout / 1000} s`));
      }, jobTimeout);
    const running = job.run(() => {
      job.log.append(`Building on ${name}`);
      return build(readJobDescr(pointer), job, builders);
    });
    void running.then(({ end, why }) => {
      if (timer) clearTimeout(timer);
      pointer.release();
      if (end === "ok") log.info("Job succeeded");
      else if (end === "cancelled") log.info("Job cancelled");
      else if (end === "fail") log.info(`Job failed: ${why}`);
      else log.warn(`Build failed: ${why}`);
      log.info(`Build duration: ${elapsed().toFixed(6)}s`);
      this.metrics.jobEnded(end, elapsed());
      this.#capacity.giveBack(weight);
    });
  }

  /** What the scheduler can ask this worker for, besides running jobs. */
  #api() {
    return WorkerApi.local({
      metrics: (source) =>
        source === "agent"
          ? this.metrics.report()
          : fetchMetrics("prometheus-node-exporter", NODE_EXPORTER),
      additionalMetric: async (name) => {
        const url = this.#options.additionalMetrics?.get(name);
        return url === undefined ? null : fetchMetrics(name, url);
      },
      selfUpdate: () => this.#update(),
    });
  }

  /** Never resolves: the connection is gone before. */
  async #update(): Promise<never> {
    log.info("Self-update requested.");
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

const capnpLog = logger("capnp-rpc");

function rpcLog(level: "debug" | "info" | "warning", message: string): void {
  capnpLog[level === "warning" ? "warn" : level](message);
}
