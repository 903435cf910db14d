/**
 * Room for images: looked at before each job. When there is too little, the worker finishes its
 * jobs, prunes what no container uses until there is some more than that, and goes on; if that does
 * not help it stays out of service and tries again every hour.
 */
import type Docker from "dockerode";
import { sleep, unlessAborted } from "../../async/index.js";
import { logger } from "../../console/index.js";
import { exactDuration } from "../../text/index.js";
import type { Capacity } from "../capacity.js";
import type { WorkerMetrics } from "../metrics.js";
import type { Gate, QueueSwitch } from "../session.js";
import { pruneDocker } from "./prune.js";
import { excess, type RoomRule, withMargin } from "./room.js";

const log = logger("worker");

export interface DiskGateOptions {
  readonly docker: Docker;
  readonly rule: RoomRule;
  readonly capacity: Capacity;
  readonly metrics: WorkerMetrics;
  /** ms until the next attempt after one that did not help. */
  readonly retryAfter?: number;
  /** ms that the engine may take to say how much room there is. */
  readonly patience?: number;
}

const RETRY_MS = 60 * 60 * 1000;

/** Engines with very many images take minutes to add them up. */
const PATIENCE_MS = 10 * 60 * 1000;

export class DiskGate implements Gate {
  constructor(private readonly options: DiskGateOptions) {}

  async pass(queue: QueueSwitch, signal: AbortSignal): Promise<void> {
    if (await this.#hasRoom(signal)) return;
    const { capacity, retryAfter = RETRY_MS } = this.options;
    log.info("Disk-space low. Will finish current jobs and then prune.");
    await queue.setActive(false);
    await capacity.whenIdle(signal);
    const again = `Will retry in ${exactDuration(retryAfter / 1000)}.`;
    for (;;) {
      log.info("All jobs finished. Pruning…");
      const pruned = await this.#prune(signal);
      if (pruned && (await this.#hasRoom(signal))) break;
      log.warn(
        pruned
          ? `Disk-space still low after pruning! ${again}`
          : `docker prune command failed! ${again}`,
      );
      await sleep(retryAfter, signal);
    }
    log.info("Prune complete. Re-activating queue…");
    await queue.setActive(true);
  }

  async #hasRoom(signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.#excess(this.options.rule, signal)) === 0;
    } catch (error) {
      signal.throwIfAborted();
      // No engine, no images. What else this worker builds does not depend on it.
      log.warn(`Cannot find out how much room Docker has: ${(error as Error).message}`);
      return true;
    }
  }

  /** A frozen engine must keep the worker neither from other work nor from its end. */
  #excess(rule: RoomRule, signal: AbortSignal): Promise<number> {
    const { docker, patience = PATIENCE_MS } = this.options;
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(patience)]);
    return unlessAborted(excess(docker, rule), inTime);
  }

  /** Removes what is unused, as far as is needed; false if the engine fails to. */
  async #prune(signal: AbortSignal): Promise<boolean> {
    const { docker, metrics, rule } = this.options;
    const stop = metrics.pruneTime.startTimer();
    const target = withMargin(rule);
    try {
      const { isAll, items } = await pruneDocker(
        docker,
        () => this.#excess(target, signal),
        signal,
      );
      const what = `${items} images and groups of build cache, the longest unused first`;
      log.info(isAll ? `Pruned ${what}, and all else that is unused` : `Pruned ${what}`);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      log.warn(`Pruning failed: ${(error as Error).message}`);
      return false;
    } finally {
      stop();
    }
  }
}
