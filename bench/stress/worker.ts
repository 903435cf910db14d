/**
 * Simulated workers: real ones, with their connection, capacity, logs and metrics, which only do
 * not build.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { sleep } from "../../src/async/sleep.js";
import { Worker } from "../../src/worker/worker.js";
import { KIND, simulator } from "./job.js";
import type { Random } from "./random.js";

export interface SimulatedWorkerOptions {
  /** The pool's capability file. */
  readonly connect: string;
  readonly name: string;
  readonly capacity: number;
  /** A directory for its state. */
  readonly directory: string;
  /** Seconds until it goes away, on average; undefined: it stays. */
  readonly life: number | undefined;
  readonly random: Random;
}

/** A worker that has gone away is back after so many seconds, on average. */
const ABSENCE = 5;

/** Runs the worker until `signal` is aborted; it comes and goes meanwhile if its life is short. */
export async function runSimulatedWorker(
  { connect, name, capacity, directory, life, random }: SimulatedWorkerOptions,
  signal: AbortSignal,
): Promise<void> {
  const stateDir = join(directory, name);
  await mkdir(stateDir, { recursive: true });
  while (!signal.aborted) {
    const worker: Worker = new Worker({
      connect,
      name,
      capacity,
      stateDir,
      // A new one each time: it starts with an empty cache.
      custom: { [KIND]: (job) => simulate(job) },
    });
    const simulate = simulator(worker.metrics);
    const end = new AbortController();
    const timer = life && setTimeout(() => end.abort(), random.interval(life) * 1000);
    await worker.run(AbortSignal.any([signal, end.signal]));
    clearTimeout(timer);
    await sleep(random.interval(ABSENCE) * 1000, signal).catch(() => {});
  }
}
