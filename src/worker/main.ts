/**
 * The worker as a process of its own: signals, readiness for the service manager, exit.
 */

import { CommandFailed, dieOf, logger, notifyServiceManager } from "../console/index.js";
import { isMachineFailure } from "../obuilder/index.js";
import { CapFileError } from "../rpc/index.js";
import { StateInUse } from "../system/state-lock.js";
import { connectEngine } from "./docker/engine.js";
import { InitialHealthcheckFailed } from "./spec-builder.js";
import { chooseUpdater } from "./update.js";
import type { ServiceImage, UpdateMode } from "./update-options.js";
import { Worker, type WorkerOptions } from "./worker.js";

const log = logger("worker");

const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface ProcessOptions {
  /** Finish the running jobs on SIGTERM instead of cancelling them. */
  readonly drainOnSigterm: boolean;
  /** How the worker updates itself. */
  readonly updateMode: UpdateMode;
  readonly serviceImage: ServiceImage;
}

/**
 * Runs a worker until it is told to stop. SIGINT, SIGTERM and SIGHUP cancel the running jobs; with `drainOnSigterm`, a first
 * SIGTERM lets them finish and a second one cancels them. One more signal ends the process at once. Throws
 * `CommandFailed` if the worker cannot start, or must be restarted after an update.
 */
export async function runWorker(
  options: WorkerOptions,
  { drainOnSigterm, serviceImage, updateMode }: ProcessOptions,
): Promise<void> {
  const worker = new Worker({
    ...options,
    updater: chooseUpdater(connectEngine(), updateMode, serviceImage),
    onRegistered: () => notifyServiceManager("READY=1"),
  });
  const stop = new AbortController();
  let draining = false;
  const onSignal = (name: NodeJS.Signals): void => {
    if (stop.signal.aborted) {
      dieOf(name);
    } else if (drainOnSigterm && name === "SIGTERM" && !draining) {
      draining = true;
      log.info("SIGTERM: will finish the running jobs, and exit. Send it again to cancel them.");
      notifyServiceManager("STOPPING=1");
      worker.drain();
    } else {
      log.info(`${name}: will cancel the running jobs, and exit.`);
      notifyServiceManager("STOPPING=1");
      stop.abort();
    }
  };
  for (const name of STOP_SIGNALS) process.on(name, onSignal);
  try {
    const how = await worker.run(stop.signal);
    // So that a supervisor sees a reason to start it again. What there was to say is in the log.
    if (how === "updated") throw new CommandFailed("");
  } catch (error) {
    if (stop.signal.aborted) return;
    throw isExpected(error) ? new CommandFailed(error.message, { cause: error }) : error;
  } finally {
    for (const name of STOP_SIGNALS) process.off(name, onSignal);
  }
}

/** What is for the operator to put right. */
function isExpected(error: unknown): error is Error {
  return (
    error instanceof CapFileError ||
    error instanceof StateInUse ||
    isMachineFailure(error) ||
    error instanceof InitialHealthcheckFailed
  );
}
