/**
 * The worker as a process of its own: signals, readiness for the service manager, exit.
 */

import { rm } from "node:fs/promises";
import { alarm } from "../async/index.js";
import { CommandFailed, dieOf, logger, notifyServiceManager } from "../console/index.js";
import { connectEngine } from "../docker/index.js";
import { isMachineFailure } from "../obuilder/index.js";
import { CapFileError } from "../rpc/index.js";
import { StateInUse } from "../system/state-lock.js";
import { quoted } from "../text/index.js";
import { type EvictionCheck, evictionNotice } from "./eviction.js";
import { workerName } from "./name.js";
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
  /** How a notice that the machine is taken away is found; undefined: it is not looked for. */
  readonly evictionCheck?: EvictionCheck | undefined;
  /** The state directory goes with the worker. */
  readonly removeState?: boolean;
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
 *
 * With a notice of eviction they have what is left of the time, or `drainTime` if that is shorter,
 * or if it is not told. `options.name` may be a template, see `workerName`.
 */
export async function runWorker(
  options: WorkerOptions,
  { drainTime, evictionCheck, lifetime, removeState, serviceImage, updateMode }: ProcessOptions,
): Promise<void> {
  const worker = new Worker({
    ...options,
    name: nameOf(options),
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
  const watching = new AbortController();
  if (evictionCheck) {
    evictionNotice(evictionCheck, watching.signal).then(
      (left = Number.POSITIVE_INFINITY) => {
        if (stop.signal.aborted) return;
        stopClock();
        const told = Math.max(0, left - HANDING_OVER_MS);
        const limit = drainTime > 0 || !Number.isFinite(told) ? drainTime : told;
        drain("This machine is taken away", Math.min(limit, told));
      },
      () => {}, // The worker has ended.
    );
  }
  for (const name of STOP_SIGNALS) process.on(name, onSignal);
  try {
    const how = await worker.run(stop.signal);
    // So that a supervisor sees a reason to start it again. What there was to say is in the log.
    if (how === "updated") throw new CommandFailed("");
  } catch (error) {
    if (stop.signal.aborted) return;
    throw isExpected(error) ? new CommandFailed(error.message, { cause: error }) : error;
  } finally {
    watching.abort();
    stopClock();
    stopLife();
    for (const name of STOP_SIGNALS) process.off(name, onSignal);
    if (removeState) await removeDirectory(options.stateDir);
  }
}

/** What giving back what runs takes, and cleaning up, before a machine is gone, in ms. */
const HANDING_OVER_MS = 5000;

function nameOf({ name, stateDir }: WorkerOptions): string {
  try {
    return workerName(name, stateDir);
  } catch (error) {
    throw new CommandFailed(
      `Cannot find a name for this worker (--name): ${(error as Error).message}`,
      { cause: error },
    );
  }
}

async function removeDirectory(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    log.warn(`The state directory ${quoted(path)} is left behind: ${(error as Error).message}`);
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
