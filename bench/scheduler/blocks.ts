/**
 * For how long nothing else could run in this process. On a machine that is busy with other things
 * most of that is time in which it had no processor; what its own work took is told apart.
 */
import { readFileSync } from "node:fs";

/** How often is looked, in ms. */
const RESOLUTION_MS = 5;

export class BlockMonitor {
  /** The longest time since `reset` for which nothing else could run, in ms. */
  longest = 0;
  /** The most processor time that the main thread took without letting anything else run, in ms. */
  longestWork = 0;
  private time = performance.now();
  private work = workTime();

  constructor() {
    setInterval(() => this.look(), RESOLUTION_MS).unref();
  }

  reset(): void {
    this.longest = 0;
    this.longestWork = 0;
  }

  private look(): void {
    const [time, work] = [performance.now(), workTime()];
    this.longest = Math.max(this.longest, time - this.time - RESOLUTION_MS);
    this.longestWork = Math.max(this.longestWork, work - this.work);
    this.time = time;
    this.work = work;
  }
}

/** Processor time of the main thread, in ms: proc(5), `schedstat`. */
export function workTime(): number {
  const [nanoseconds] = readFileSync("/proc/self/schedstat", "utf8").split(" ");
  return Number(nanoseconds) / 1e6;
}
