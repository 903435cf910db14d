/**
 * A worker whose disk is full: it takes itself out of service until there is room, as what it would
 * take would only fail.
 *
 * States:
 *
 * - *open*: jobs are asked for.
 * - *recovering*, since a job ended for want of space: the queue is paused at once, also while a
 *   request for a job waits there; layers are pruned, and the disks are looked at again and again.
 *   When none is full: *open*.
 *
 * A connection that is lost meanwhile changes nothing: the next one's queue is paused, too, before
 * a job is asked for.
 */
import { sleep, unlessAborted } from "../async/index.js";
import { logger } from "../console/index.js";
import { fullDisk } from "../obuilder/index.js";
import type { Gate, QueueSwitch } from "./session.js";
import type { SpecBuilder } from "./spec-builder.js";

const log = logger("worker");

/** ms between looks at a disk that is full. */
const RETRY_MS = 30_000;

export interface SpaceGateOptions {
  /** Where sources and logs of jobs are. */
  readonly stateDir: string;
  /** Undefined: the worker has no store of layers. */
  readonly specs: Pick<SpecBuilder, "makeRoom" | "fullDisk"> | undefined;
  /** Aborted when no job is asked for any more. */
  readonly draining: AbortSignal;
  readonly retryAfter?: number | undefined;
}

export class SpaceGate implements Gate {
  #queue: QueueSwitch | undefined;
  #recovery: Promise<void> | undefined;

  constructor(private readonly options: SpaceGateOptions) {}

  /** A job has ended for want of space. */
  jobHadNoSpace(): void {
    if (this.options.draining.aborted) return;
    this.#recovery ??= this.#paused(this.#queue, () => this.#recover())
      // No job is asked for any more.
      .catch(() => {})
      .finally(() => {
        this.#recovery = undefined;
      });
  }

  async pass(queue: QueueSwitch, signal: AbortSignal): Promise<void> {
    const isOther = queue !== this.#queue;
    this.#queue = queue;
    const recovery = this.#recovery;
    if (!recovery) return;
    const over = () => unlessAborted(recovery, signal);
    await (isOther ? this.#paused(queue, over) : over());
  }

  async #paused(queue: QueueSwitch | undefined, use: () => Promise<void>): Promise<void> {
    // Where the connection is lost there is no queue to be paused, and the next one begins anew.
    await queue?.setActive(false).catch(() => {});
    await use();
    await queue?.setActive(true).catch(() => {});
  }

  async #recover(): Promise<void> {
    const { draining, retryAfter = RETRY_MS } = this.options;
    log.warn("A job failed for want of disk space. Will take no job until there is room.");
    for (;;) {
      const left = await this.#lookForRoom();
      if (left === undefined) break;
      log.warn(`${left}: no job is taken. Will look again in ${retryAfter / 1000} s.`, {
        paused: "no space",
      });
      await sleep(retryAfter, draining);
    }
    log.info("There is room on the disks. Re-activating queue…");
  }

  /**
   * Makes room where it can. What is wrong then, in words; undefined for nothing. Throws if the
   * worker is draining.
   */
  async #lookForRoom(): Promise<string | undefined> {
    const { draining, specs } = this.options;
    try {
      await specs?.makeRoom(draining);
      draining.throwIfAborted();
      return this.#fullDisk();
    } catch (error) {
      draining.throwIfAborted();
      return `It cannot be told whether there is room (${(error as Error).message})`;
    }
  }

  /** Which disk is full, in words; undefined if none is. */
  #fullDisk(): string | undefined {
    const { specs, stateDir } = this.options;
    const ofState = fullDisk(stateDir);
    if (ofState !== undefined) return `The disk of --state-dir is full (${ofState})`;
    const ofStore = specs?.fullDisk;
    return ofStore === undefined
      ? undefined
      : `The disk of --obuilder-store is full (${ofStore}), and pruning does not help`;
  }
}
