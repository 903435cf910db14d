/**
 * Spec jobs: builds them with OBuilder, watches over its store's free space and over its health.
 *
 * While layers are being pruned new builds wait. They do not wait for space that pruning cannot
 * make: a store without layers to give up, on a disk that others fill, still works as long as there
 * is any space left.
 */
import type { Secret } from "../api/index.js";
import { Condition, Mutex, sleep, stopwatch } from "../async/index.js";
import { logger } from "../console/index.js";
import {
  BuildCancelled,
  BuildError,
  type Builder,
  type BuilderOptions,
  type BuildLog,
  fullDisk,
  hasRoom,
  healthcheck,
  isMachineFailure,
  openBuilder,
  pruneUntil,
  type Room,
  type Spec,
} from "../obuilder/index.js";
import { toBytes } from "../text/index.js";
import type { BuildIo } from "./build.js";
import { JobFailed } from "./failure.js";
import type { JobLog } from "./log/job-log.js";
import { heading, note } from "./log/notes.js";
import type { WorkerMetrics } from "./metrics.js";
import type { OutputCapture } from "./outputs/output-capture.js";
import type { Gate, QueueSwitch } from "./session.js";

const log = logger("worker");

export interface SpecBuilderOptions extends BuilderOptions {
  /** Per cent of free space at or below which layers are pruned. Default: 30. */
  readonly pruneThreshold?: number;
  /** Per cent of free space beyond that at which pruning stops. Default: 5. */
  readonly pruneMargin?: number;
  /** Layers to prune until that is logged, and others may decide. Default: 100. */
  readonly pruneLimit?: number;
  /** Layers above which some are pruned, whatever the space. Default: any number. */
  readonly pruneItemThreshold?: number | undefined;
  /** ms between health checks; 0: none but the one at the start. Default: 10 minutes. */
  readonly healthcheckInterval?: number;
  /** ms until the next health check after one that failed. Default: a minute. */
  readonly unhealthyRetry?: number;
  /** ms between looks at the free space. Default: half a minute. */
  readonly spaceCheckInterval?: number;
}

const SPACE_CHECK_MS = 30_000;
const UNHEALTHY_RETRY_MS = 60_000;
const DEFAULT_HEALTHCHECK_MS = 600_000;

/** The self-test at the start failed. */
export class InitialHealthcheckFailed extends Error {
  override readonly name = "InitialHealthcheckFailed";

  constructor(cause: Error) {
    super(`Initial OBuilder healthcheck failed: ${cause.message}`, { cause });
  }
}

/** What a spec job has besides its spec. */
export interface SpecSources {
  readonly secrets: readonly Secret[];
  /** The directory that `copy` reads. */
  readonly src: string;
  /** Takes the files that are to be handed over. */
  readonly capture?: OutputCapture | undefined;
}

export class SpecBuilder {
  readonly #pruned = new Condition();
  readonly #closing = new AbortController();
  #pruning = false;
  readonly #looking = new Mutex();
  #spaceWatch: Promise<void> = Promise.resolve();
  #lastHealthcheck = performance.now();

  private constructor(
    private readonly builder: Builder,
    private readonly options: SpecBuilderOptions,
    private readonly metrics: WorkerMetrics,
  ) {}

  /**
   * Opens the store and tries a build. Throws `StoreError`, `InitialHealthcheckFailed` and
   * `signal`'s reason.
   */
  static async open(
    options: SpecBuilderOptions,
    metrics: WorkerMetrics,
    signal: AbortSignal,
  ): Promise<SpecBuilder> {
    const self = new SpecBuilder(await openBuilder(options), options, metrics);
    try {
      await self.makeRoom(signal); // on a full disk the test would fail
      log.info("Performing OBuilder self-test…");
      await self.#healthcheck(signal);
      log.info("OBuilder self-test passed");
    } catch (error) {
      await self.builder.close();
      signal.throwIfAborted();
      throw new InitialHealthcheckFailed(error as Error);
    }
    self.#spaceWatch = self.#watchSpace();
    return self;
  }

  /** Cancels what is running, and waits until it has ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#spaceWatch;
    await this.builder.close();
  }

  /** Builds a spec; the result is the layer's id. Throws `JobFailed`, and the signal's reason. */
  async build(
    spec: Spec,
    { capture, secrets, src }: SpecSources,
    { log, signal }: BuildIo,
  ): Promise<string> {
    while (this.#pruning) await this.#pruned.wait(signal);
    try {
      return await this.builder.build({
        spec,
        sourceDir: src,
        log: asBuildLog(log),
        secrets: secrets.map(({ id, value }) => [id, toBytes(value)] as const),
        signal,
        ...(capture && {
          onResult: (root: string) => capture.ofResult(root, signal),
          onFailedRoot: (root: string | undefined) => capture.ofFailure(root, signal),
        }),
      });
    } catch (error) {
      if (error instanceof BuildCancelled) signal.throwIfAborted();
      if (error instanceof BuildError || isMachineFailure(error)) {
        throw new JobFailed(error.message, { cause: error });
      }
      throw error;
    } finally {
      const { hits, misses } = this.builder.stats;
      this.metrics.cacheHits.set(hits);
      this.metrics.cacheMisses.set(misses);
    }
  }

  /**
   * Before a job is asked for: a health check when one is due; while it fails the queue is out of
   * service.
   */
  readonly healthGate: Gate = {
    pass: async (queue, signal) => {
      const interval = this.options.healthcheckInterval ?? DEFAULT_HEALTHCHECK_MS;
      if (interval === 0 || performance.now() - this.#lastHealthcheck < interval) return;
      if (await this.#isHealthy(signal)) return;
      await this.#recover(queue, signal);
    },
  };

  async #recover(queue: QueueSwitch, signal: AbortSignal): Promise<void> {
    const { unhealthyRetry = UNHEALTHY_RETRY_MS } = this.options;
    await queue.setActive(false);
    do await sleep(unhealthyRetry, signal);
    while (!(await this.#isHealthy(signal)));
    log.info("System is healthy again; unpausing");
    await queue.setActive(true);
  }

  async #isHealthy(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#healthcheck(signal);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      log.warn(`Health check failed: ${(error as Error).message}`);
      return false;
    } finally {
      this.#lastHealthcheck = performance.now();
    }
  }

  async #healthcheck(signal: AbortSignal): Promise<void> {
    const elapsed = stopwatch();
    try {
      await healthcheck(this.builder, { signal });
      this.metrics.unhealthy.set(0);
    } catch (error) {
      if (!signal.aborted) this.metrics.unhealthy.set(1);
      throw error;
    } finally {
      this.metrics.healthcheckTime.set(elapsed());
    }
  }

  /** Looks at the space from time to time until the builder is closed. */
  async #watchSpace(): Promise<void> {
    const { signal } = this.#closing;
    const { spaceCheckInterval = SPACE_CHECK_MS } = this.options;
    while (!signal.aborted) {
      await this.makeRoom(signal);
      await sleep(spaceCheckInterval, signal).catch(() => {});
    }
  }

  /** Prunes layers if there is too little room. */
  async makeRoom(signal: AbortSignal): Promise<void> {
    try {
      await this.#looking.run(() => this.#prune(signal));
    } catch (error) {
      log.warn(`Cannot prune OBuilder's store: ${(error as Error).message}`);
    }
  }

  /** What is left of the store's disk, in words, if it is full; else undefined. */
  get fullDisk(): string | undefined {
    return fullDisk(this.builder.stateDir);
  }

  async #prune(signal: AbortSignal): Promise<void> {
    const { pruneLimit: limit = 100 } = this.options;
    const { free, room } = await this.#neededRoom();
    if (await hasRoom(this.builder, room)) return;
    this.#pruning = true;
    try {
      for (let last = free; !signal.aborted; ) {
        const removed = await pruneUntil(this.builder, { room, before: new Date(), limit, signal });
        const now = await this.builder.freePercent();
        const used = (percent: number) => `${(100 - percent).toFixed(0)}%`;
        log.info(
          `Pruned ${removed} items: ${used(last)} of the disk was in use, now ${used(now)} is`,
          { removed, freeBefore: last, freeAfter: now },
        );
        if (removed < limit || (await hasRoom(this.builder, room))) break;
        last = now;
      }
    } finally {
      this.#pruning = false;
      this.#pruned.notify();
    }
  }

  /** How much space is free, and what there has to be: what there is, if that is enough. */
  async #neededRoom(): Promise<{ readonly free: number; readonly room: Room }> {
    const { pruneItemThreshold: layers, pruneMargin = 5, pruneThreshold = 30 } = this.options;
    const free = await this.builder.freePercent();
    const items = this.builder.count();
    log.info(`OBuilder partition: ${free.toFixed(0)}% free, ${items} items`);
    this.metrics.spaceFree.set(free);
    // Near the top a whole margin would be all that there is.
    const margin = Math.min(pruneMargin, (100 - pruneThreshold) / 2);
    const freePercent = free > pruneThreshold ? undefined : pruneThreshold + margin;
    return { free, room: { freePercent, layers } };
  }
}

/** Texts of the builder are byte strings. */
function asBuildLog(jobLog: JobLog): BuildLog {
  return {
    // As output: it is the client who says how many there are, and how long.
    heading: (text) => jobLog.write(toBytes(`${heading(text)}\n`)),
    note: (text) => jobLog.append(toBytes(note(text))),
    output: (data) => jobLog.write(data),
  };
}
