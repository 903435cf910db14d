/**
 * The worker as a process of its own: signals, readiness for the service manager, exit.
 */

import { alarm } from "../async/index.js";
import { CommandFailed, dieOf, logger, notifyServiceManager } from "../console/index.js";
import { connectEngine } from "../docker/index.js";
import { isMachineFailure } from "../obuilder/index.js";
import { CapFileError } from "../rpc/index.js";
import { StateInUse } from "../system/state-lock.js";
import { InitialHealthcheckFailed } from "./spec-builder.js";
import { chooseUpdater } from "./update.js";
import type { ServiceImage, UpdateMode } from "./update-options.js";
import { Worker, type WorkerOptions } from "./worker.js";

const log = logger("worker");

const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface ProcessOptions {
  /** For so long, in ms, running jobs may go on after SIGTERM; 0: they are stopped at once. */
  readonly drainTime: number;
  /**
   * After so long, in ms, no more jobs are taken, and the worker ends as with SIGTERM and
   * `drainTime`. Infinite: never.
   */
  readonly lifetime: number;
  /** How the worker updates itself. */
  readonly updateMode: UpdateMode;
  readonly serviceImage: ServiceImage;
}

/**
 * Runs a worker until it is told to stop. SIGINT, SIGTERM and SIGHUP stop the running jobs: those
 * of a connection are cancelled, durable ones given back. With `drainTime`, a first SIGTERM lets
 * them finish, and when the time is over or with a second signal they are stopped; at the end of
 * its `lifetime` they may finish in any case. One more signal ends the process at once. Throws
 * `CommandFailed` if the worker cannot start, or must be restarted after an update.
 */
export async function runWorker(
  options: WorkerOptions,
  { drainTime, lifetime, serviceImage, updateMode }: ProcessOptions,
): Promise<void> {
  const worker = new Worker({
    ...options,
    updater: chooseUpdater(connectEngine(), updateMode, serviceImage),
    onRegistered: () => notifyServiceManager("READY=1"),
  });
  const stop = new AbortController();
  let draining = false;
  let stopClock = (): void => {};
  /** Lets the running jobs finish for at most `ms`. */
  const drain = (why: string, ms: number): void => {
    draining = true;
    const limit = Number.isFinite(ms) ? ` for at most ${ms / 1000} s` : "";
    log.info(`${why}: will finish the running jobs${limit}, and exit. SIGTERM cancels them.`);
    notifyServiceManager("STOPPING=1");
    worker.drain();
    stopClock = alarm(ms, () => {
      log.info("Time is over: will cancel the running jobs or give them back, and exit.");
      stop.abort();
    });
  };
  const onSignal = (name: NodeJS.Signals): void => {
    if (stop.signal.aborted) {
      dieOf(name);
    } else if (drainTime > 0 && name === "SIGTERM" && !draining) {
      drain("SIGTERM", drainTime);
    } else {
      log.info(`${name}: will cancel the running jobs or give them back, and exit.`);
      notifyServiceManager("STOPPING=1");
      stop.abort();
    }
  };
  const stopLife = alarm(lifetime, () => {
    if (!draining && !stop.signal.aborted) {
      drain(`Up for ${lifetime / 1000} s`, drainTime > 0 ? drainTime : Number.POSITIVE_INFINITY);
    }
  });
  for (const name of STOP_SIGNALS) process.on(name, onSignal);
  try {
    const how = await worker.run(stop.signal);
    // So that a supervisor sees a reason to start it again. What there was to say is in the log.
    if (how === "updated") throw new CommandFailed("");
  } catch (error) {
    if (stop.signal.aborted) return;
    throw isExpected(error) ? new CommandFailed(error.message, { cause: error }) : error;
  } finally {
    stopClock();
    stopLife();
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
