/**
 * A pool's state as `top` has it, whatever the scheduler: ours tell it in numbers, others only in
 * the text of `show`.
 */
import { PoolAdmin, PoolMonitor } from "../api/index.js";
import { type Capability, RpcError } from "../rpc/index.js";
import { parsePoolText } from "./pool-text.js";

/** As `WorkerState`, but a scheduler that has only text does not tell the worker's capacity. */
export interface WorkerReport extends Omit<PoolMonitor.WorkerState, "capacity"> {
  readonly capacity: number | null;
}

export interface PoolReport extends Omit<PoolMonitor.PoolState, "workers" | "totals"> {
  readonly workers: readonly WorkerReport[];
  /** Null if the scheduler does not tell. */
  readonly totals: PoolMonitor.JobTotals | null;
}

export class PoolReporter {
  private hasNumbers = true;

  /** @param pool a `PoolAdmin`; not taken */
  constructor(private readonly pool: Capability) {}

  /**
   * Whether a report costs the scheduler much: the text has every queued job. Known after the first
   * report.
   */
  get isExpensive(): boolean {
    return !this.hasNumbers;
  }

  /**
   * Rejects with an `RpcError`, and with a `PoolTextError` if what the scheduler says makes no
   * sense.
   */
  async report(signal: AbortSignal): Promise<PoolReport> {
    if (this.hasNumbers) {
      try {
        return await PoolMonitor.state(this.pool, { signal });
      } catch (error) {
        if (!(error instanceof RpcError && error.kind === "unimplemented")) throw error;
        this.hasNumbers = false;
      }
    }
    return parsePoolText(await PoolAdmin.show(this.pool, { signal }));
  }
}
