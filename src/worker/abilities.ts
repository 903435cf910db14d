/**
 * What this worker is able to do, and that its scheduler knows: jobs that it could only fail are
 * not given to it. An engine may be started or stopped at any time, so that it is asked again and
 * again.
 */
import { availableParallelism, totalmem } from "node:os";
import type Docker from "dockerode";
import { AbleQueue } from "../api/index.js";
import { sleep } from "../async/index.js";
import { logger } from "../console/index.js";
import { isEngineThere } from "../docker/index.js";
import { platformArchitecture } from "../obuilder/index.js";
import { type Capability, RpcError } from "../rpc/index.js";

const log = logger("worker");

/** How often the engine is asked whether it is there, in ms. */
const INTERVAL_MS = 15_000;

/** How long it may take to say so. */
const PATIENCE_MS = 10_000;

export interface AbilitiesOptions {
  readonly docker: Docker;
  /** Whether it builds specs. */
  readonly specs: boolean;
  readonly intervalMs?: number;
}

export class Abilities {
  constructor(private readonly options: AbilitiesOptions) {}

  /** What the worker is able to do at this moment. */
  async now(): Promise<AbleQueue.WorkerAbilities> {
    const { docker, specs } = this.options;
    const { ABILITY } = AbleQueue;
    return {
      able: [
        ...((await isEngineThere(docker, PATIENCE_MS)) ? [ABILITY.docker] : []),
        ...(specs ? [ABILITY.obuilder] : []),
        ABILITY.outputs,
        ABILITY.contexts,
      ],
      cpus: availableParallelism(),
      // What a control group leaves of it; 0 or beyond the machine's where there is no such limit.
      memory: Math.min(process.constrainedMemory() || totalmem(), totalmem()),
      architecture: platformArchitecture(),
    };
  }

  /**
   * Tells the scheduler, and goes on in the background to tell it what changes, until `over` is
   * aborted. Resolves when it has been told, or does not want to know. Rejects with an `RpcError`.
   */
  async declare(queue: Capability, over: AbortSignal): Promise<void> {
    const first = await this.now();
    try {
      await AbleQueue.declare(queue, first);
    } catch (error) {
      if (!(error instanceof RpcError && error.kind === "unimplemented")) throw error;
      log.info("The scheduler does not ask what this worker is able to do");
      return;
    }
    log.info(`What this worker is able to do: ${first.able.join(", ")}`);
    this.#follow(queue, first, over).catch((error) => {
      if (!over.aborted) log.info(`The scheduler is not told of changes any more: ${error}`);
    });
  }

  async #follow(
    queue: Capability,
    said: AbleQueue.WorkerAbilities,
    over: AbortSignal,
  ): Promise<never> {
    for (let last = said; ; ) {
      await sleep(this.options.intervalMs ?? INTERVAL_MS, over);
      const now = await this.now();
      over.throwIfAborted();
      if (now.able.join() === last.able.join()) continue;
      log.info(`What this worker is able to do now: ${now.able.join(", ")}`);
      await AbleQueue.declare(queue, now, { signal: over });
      last = now;
    }
  }
}
