/**
 * A group of a pool: its instances, as they are and as they are to be.
 *
 * In each round it is *looked at*, which tells what there is; then *decided* upon, with what the
 * scheduler has just said, and the other groups; then *acted* for. A group that cannot be looked at
 * is *blind*: nothing is done for it, and what it had last counts for the others.
 */

import type { Scaler } from "../api/index.js";
import { type Logger, logger } from "../console/index.js";
import { quoted } from "../text/index.js";
import type { GroupConfig } from "./config.js";
import {
  type Decision,
  decide,
  History,
  type Instance,
  isComing,
  type OtherGroup,
  type View,
} from "./decision/index.js";
import { DriverError } from "./driver.js";

/** What is done for a group, and what is only said in a dry run. */
export interface Actions {
  /** Has a worker end itself. Rejects with an `RpcError`. */
  retire(worker: string, reason: string): Promise<void>;
}

export interface Round {
  readonly demand: Scaler.PoolDemand;
  readonly elsewhere: View["elsewhere"];
  /** In seconds of a clock that does not jump. */
  readonly now: number;
}

const quiet = logger("autoscaler");
const loud = logger("autoscaler", { always: true });

/** With usual intervals, in seconds: after a longer pause between two looks, nobody has looked. */
const LONGEST_PAUSE = 60;

/** Why a worker is told to end. */
const NOT_WANTED = "not wanted any more";

export class Group {
  readonly #history: History;
  #instances: readonly Instance[] = [];
  #isBlind = false;
  #said = "";
  /** Workers that could not be told to end, so that it is said once. */
  #unable = new Set<string>();

  constructor(
    private readonly config: GroupConfig,
    private readonly pool: string,
    private readonly dryRun: boolean,
    /** Seconds between two rounds. */
    interval: number,
  ) {
    this.#history = new History(Math.max(LONGEST_PAUSE, 3 * interval));
  }

  get name(): string {
    return this.config.name;
  }

  /** How it is for the others. */
  onBoard(now: number): OtherGroup {
    const states = this.#history.instances(now);
    return {
      ids: new Set([...states.map(({ id }) => id), ...this.#instances.map(({ id }) => id)]),
      coming: states.filter(isComing).length,
    };
  }

  /** Whether it can be decided upon. */
  async look(signal: AbortSignal): Promise<boolean> {
    const { driver } = this.config;
    try {
      this.#instances = await driver.list(signal);
      if (this.#isBlind) loud.info(`${this.#title}: ${driver.title} can be listed again`);
      this.#isBlind = false;
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      const log: Logger["info"] = this.#isBlind ? quiet.info : quiet.warn;
      log(`${this.#title}: ${driver.title} cannot be listed, so nothing is done: ${error.message}`);
      this.#isBlind = true;
    }
    return !this.#isBlind;
  }

  decide({ demand, elsewhere, now }: Round): Decision {
    const { driver, limits } = this.config;
    const can = { cancel: driver.cancel !== undefined, stop: driver.stop !== undefined };
    const view: View = {
      demand,
      members: demand.workers,
      departed: demand.departed,
      instances: this.#instances,
      elsewhere,
      can,
    };
    const decision = decide(view, this.#history, limits, now);
    const acts = [decision.cancel, decision.drain, decision.stop].some(({ length }) => length > 0);
    const isNews = decision.launch > 0 || acts;
    const line = `${this.#title}: ${decision.why}`;
    if (isNews || this.dryRun) loud.info(this.dryRun ? `${line} (dry run: nothing is done)` : line);
    else if (line !== this.#said) quiet.info(line);
    this.#said = line;
    return decision;
  }

  /** Does what is decided. What fails is logged, and does not keep the rest from being done. */
  async act(
    { cancel, drain, launch, stop }: Decision,
    { retire }: Actions,
    now: () => number,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.dryRun) return;
    const { driver } = this.config;
    if (launch > 0) await this.#launch(launch, now, signal);
    if (cancel.length > 0) {
      for (const id of cancel) this.#history.calledOff(id);
      await this.#attempt("call off instances", driver.cancel?.(cancel, signal));
    }
    for (const worker of drain) {
      try {
        await retire(worker, NOT_WANTED);
        this.#history.toldToEnd(worker);
        quiet.info(`${this.#title}: worker ${quoted(worker)} is told to end`);
      } catch (error) {
        signal.throwIfAborted();
        const log = this.#unable.has(worker) ? quiet.info : quiet.warn;
        if (this.#unable.size < REMEMBERED) this.#unable.add(worker);
        log(`${this.#title}: worker ${quoted(worker)} cannot be told to end: ${error}`);
      }
    }
    for (const { id, why } of stop) {
      loud.info(`${this.#title}: instance ${id} is stopped: ${why}`);
      this.#history.calledOff(id);
    }
    const ids = stop.map(({ id }) => id);
    if (ids.length > 0) await this.#attempt("stop instances", driver.stop?.(ids, signal));
    if (launch === 0) await this.#attempt("settle", driver.settle?.(signal));
  }

  async #launch(count: number, now: () => number, signal: AbortSignal): Promise<void> {
    const { driver } = this.config;
    try {
      const { failure, ids } = await driver.launch(count, signal);
      this.#history.launched(ids, now());
      quiet.info(`${this.#title}: started ${ids.join(", ")}`);
      if (failure === undefined) return;
      this.#history.launchFailed(failure, now());
      quiet.warn(`${this.#title}: ${driver.title}: ${failure}`);
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      this.#history.launchFailed(error.message, now());
      quiet.warn(`${this.#title}: cannot start any in ${driver.title}: ${error.message}`);
    }
  }

  async #attempt(what: string, attempt: Promise<void> | undefined): Promise<void> {
    try {
      await attempt;
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      quiet.warn(`${this.#title}: cannot ${what}: ${error.message}`);
    }
  }

  get #title(): string {
    return `${this.pool}/${this.name}`;
  }
}

/** Names of workers that are remembered at most. */
const REMEMBERED = 10_000;
