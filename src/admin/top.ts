/**
 * `top`: a pool as it changes. On a terminal a view that is redrawn in place; elsewhere text or
 * JSON, once unless asked for more.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type ColorChoice, canRedraw, Screen, useColor } from "../console/index.js";
import type { Capability } from "../rpc/index.js";
import { withPool } from "./named-pool.js";
import { printJson } from "./output.js";
import { PoolReporter } from "./pool-report.js";
import { type Sample, topView, type ViewOptions } from "./top-view.js";

export interface TopOptions {
  /** Pause between looks, in seconds. */
  readonly interval: number;
  /** How many looks; undefined: on a terminal until the user has seen enough, elsewhere one. */
  readonly count: number | undefined;
  readonly json: boolean;
  readonly color: ColorChoice;
}

/** Ends with a rejection, the signal's reason, when the signal is aborted. */
export async function top(
  admin: Capability,
  poolName: string,
  options: TopOptions,
  signal: AbortSignal,
): Promise<void> {
  await withPool(admin, poolName, async (pool) => {
    const reporter = new PoolReporter(pool);
    // A pool that does not exist is told of before the terminal is taken.
    const first = await sample(reporter, signal);
    const isLive = canRedraw(process.stdout) && !options.json && options.count === undefined;
    const show = isLive ? watch : print;
    await show(poolName, reporter, first, options, signal);
  });
}

/** Appends to standard output. */
async function print(
  pool: string,
  reporter: PoolReporter,
  first: TimedSample,
  { color, count = 1, interval, json }: TopOptions,
  signal: AbortSignal,
): Promise<void> {
  const view: ViewOptions = {
    pool,
    color: useColor(color, process.stdout),
    columns: Number.POSITIVE_INFINITY,
    rows: Number.POSITIVE_INFINITY,
  };
  let before: TimedSample | null = null;
  let now = first;
  for (let shown = 1; ; shown++) {
    if (json) {
      printJson({ pool, ...now.report });
    } else {
      const gap = shown > 1 ? "\n" : "";
      process.stdout.write(`${gap}${topView(now, before, view).join("\n")}\n`);
    }
    if (shown >= count) return;
    await pause(reporter, interval, now, signal);
    before = now;
    now = await sample(reporter, signal);
  }
}

/** Takes the terminal over, until the user presses q or Ctrl-C. */
async function watch(
  pool: string,
  reporter: PoolReporter,
  first: TimedSample,
  { color, interval }: TopOptions,
  signal: AbortSignal,
): Promise<void> {
  const quit = new AbortController();
  const stop = AbortSignal.any([signal, quit.signal]);
  let before: TimedSample | null = null;
  let now = first;
  const draw = () => {
    const { columns, rows } = screen;
    const view = { pool, color: useColor(color, process.stdout), columns, rows };
    screen.draw(topView(now, before, view));
  };
  const screen = new Screen({
    onKey: (key) => {
      if (QUIT_KEYS.includes(key)) quit.abort();
    },
    onRedraw: draw,
  });
  // At once, as a second signal would kill the process before anything else is done.
  signal.addEventListener("abort", screen.close);
  try {
    for (;;) {
      draw();
      await pause(reporter, interval, now, stop);
      const next = await sample(reporter, stop);
      before = now;
      now = next;
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!quit.signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", screen.close);
    screen.close();
  }
}

const QUIT_KEYS = ["q", "Q", "\u0003"];

interface TimedSample extends Sample {
  /** How long the scheduler took to answer, in ms. */
  readonly took: number;
}

async function sample(reporter: PoolReporter, signal: AbortSignal): Promise<TimedSample> {
  signal.throwIfAborted();
  const start = performance.now();
  const report = await reporter.report(signal);
  return { report, time: Date.now(), took: performance.now() - start };
}

/**
 * The share of its time that a scheduler shall spend on us at most, where it has to describe every
 * queued job.
 */
const BURDEN = 0.1;

/** Rejects with the signal's reason when it is aborted. */
async function pause(
  reporter: PoolReporter,
  interval: number,
  { took }: TimedSample,
  signal: AbortSignal,
): Promise<void> {
  const atLeast = reporter.isExpensive ? took / BURDEN : 0;
  try {
    await sleep(Math.max(interval * 1000, atLeast), undefined, { signal });
  } catch {
    signal.throwIfAborted();
  }
}
