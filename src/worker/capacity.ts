/**
 * How much of the worker is in use, in units of capacity: each job takes as many units as its
 * weight.
 */

import { Condition } from "../async/index.js";

/** Jobs whose cache hint matches take `weight` units of capacity. */
export interface WeightRule {
  readonly pattern: RegExp;
  readonly weight: number;
}

/** The weight of a job: that of the last rule which its cache hint matches, else 1. */
export function weigh(rules: readonly WeightRule[], cacheHint: string): number {
  return rules.findLast(({ pattern }) => pattern.test(cacheHint))?.weight ?? 1;
}

export class Capacity {
  #inUse = 0;
  /** Units were taken or given back. */
  readonly changed = new Condition();

  constructor(
    /**
     * Units that the worker offers. A job is asked for while at least one is free, so that a heavy
     * job can exceed it.
     */
    readonly total: number,
    private readonly onChange: (inUse: number) => void = () => {},
  ) {}

  get inUse(): number {
    return this.#inUse;
  }

  get full(): boolean {
    return this.#inUse >= this.total;
  }

  take(weight: number): void {
    this.#change(weight);
  }

  giveBack(weight: number): void {
    this.#change(-weight);
  }

  #change(by: number): void {
    this.#inUse += by;
    this.onChange(this.#inUse);
    this.changed.notify();
  }

  /** Resolves when a unit is free. Throws `signal`'s reason when it is aborted first. */
  async whenFree(signal: AbortSignal): Promise<void> {
    while (this.full) await this.changed.wait(signal);
  }

  /** Resolves when a job runs. Throws `signal`'s reason when it is aborted first. */
  async whenBusy(signal: AbortSignal): Promise<void> {
    while (this.#inUse === 0) await this.changed.wait(signal);
  }

  /** Resolves when no job runs. Throws `signal`'s reason when it is aborted first. */
  async whenIdle(signal?: AbortSignal): Promise<void> {
    while (this.#inUse > 0) await this.changed.wait(signal);
  }
}
