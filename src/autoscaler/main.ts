/**
 * The autoscaler as a process: for each pool of its configuration, again and again, it asks the
 * scheduler what is wanted and each group's engine what there is, decides, and does that.
 *
 * It keeps nothing on disk: after a restart it finds again what it has started. Until the first
 * cool-down is over it ends nothing. Without the scheduler, or without a group's engine, it does
 * nothing.
 */
import { Scaler } from "../api/index.js";
import { sleep } from "../async/index.js";
import { CommandFailed, logger } from "../console/index.js";
import { RpcError } from "../rpc/index.js";
import { quoted } from "../text/index.js";
import { type PoolConfig, readConfig } from "./config.js";
import { elsewhere } from "./decision/index.js";
import { Group } from "./group.js";
import { SchedulerLink } from "./scheduler-link.js";

export interface AutoscalerOptions {
  /** The path of a scaler's capability file. */
  readonly connect: string;
  /** The path of the configuration. */
  readonly config: string;
  /** ms between two rounds. */
  readonly interval: number;
  /** Says what it would do. */
  readonly dryRun: boolean;
  /** One round, and then ends. */
  readonly once: boolean;
  onReady?(): void;
}

const log = logger("autoscaler");

/** Runs until `signal` is aborted. Rejects with an error for the user if it cannot start. */
export async function runAutoscaler(
  options: AutoscalerOptions,
  signal: AbortSignal,
): Promise<void> {
  const { connect, interval, once } = options;
  const configs = readConfig(options.config);
  const link = new SchedulerLink(connect);
  try {
    await begin(link, configs, options, signal);
    options.onReady?.();
    const pools = configs.map((config) => new PoolScaler(config, link, options));
    await Promise.all(
      pools.map(async (pool) => {
        do {
          await pool.round(once, signal);
          if (!once) await sleep(interval, signal);
        } while (!once);
      }),
    );
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await link.close();
  }
}

/** Checks what can be checked at once. A scheduler that is not there yet may come later. */
async function begin(
  link: SchedulerLink,
  configs: readonly PoolConfig[],
  { config, once }: AutoscalerOptions,
  signal: AbortSignal,
): Promise<void> {
  let pools: string[];
  try {
    pools = await link.open(signal);
  } catch (error) {
    if (once || !(error instanceof RpcError) || error.code === "unknown-service") throw error;
    log.warn(`The scheduler is not there yet: ${error}`);
    return;
  }
  const missing = configs.find(({ pool }) => !pools.includes(pool));
  if (!missing) return;
  throw new CommandFailed(
    `${config}: pools: the scheduler has no pool ${quoted(missing.pool)}; there is ${pools.join(", ")}`,
  );
}

const seconds = (): number => performance.now() / 1000;

/** One pool, with its groups in their order. */
class PoolScaler {
  readonly #groups: readonly Group[];

  constructor(
    private readonly config: PoolConfig,
    private readonly link: SchedulerLink,
    { dryRun, interval }: AutoscalerOptions,
  ) {
    const { groups, pool } = config;
    this.#groups = groups.map((group) => new Group(group, pool, dryRun, interval / 1000));
  }

  /**
   * Rejects if `mustWork` and the scheduler does not answer, or a group could not be looked at, and
   * with the signal's reason.
   */
  async round(mustWork: boolean, signal: AbortSignal): Promise<void> {
    const { pool } = this.config;
    try {
      // First, as it may take until the scheduler is back; what there is must not be as old.
      const demand = await this.link.use(
        (scaler) => Scaler.demand(scaler, pool, { signal }),
        signal,
      );
      const isSeen = await Promise.all(this.#groups.map((group) => group.look(signal)));
      for (const [index, group] of this.#groups.entries()) {
        if (isSeen[index]) await this.#care(group, index, demand, signal);
      }
      if (!mustWork) return;
      const unseen = this.config.groups
        .filter((_, index) => !isSeen[index])
        .map(({ name }) => name);
      if (unseen.length > 0) {
        throw new CommandFailed(`${pool}: nothing was done for ${unseen.join(", ")}; see above`);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (mustWork || !(error instanceof RpcError)) throw error;
      log.warn(`${pool}: the scheduler does not say what is wanted: ${error}`);
    }
  }

  async #care(
    group: Group,
    index: number,
    demand: Scaler.PoolDemand,
    signal: AbortSignal,
  ): Promise<void> {
    const { pool } = this.config;
    const now = seconds();
    const board = this.#groups.map((each) => each.onBoard(now));
    const round = { demand, now, elsewhere: elsewhere(demand, demand.workers, board, index) };
    const retire = (worker: string, reason: string) =>
      this.link.use(
        (scaler) => Scaler.retire(scaler, { pool, worker, reason }, { signal }),
        signal,
      );
    await group.act(group.decide(round), { retire }, seconds, signal);
  }
}
