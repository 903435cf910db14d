/**
 * A simulated job: what a client says about it, and what a worker does instead of building.
 *
 * It travels as a custom job whose payload is a text, so that queue, relaying, logs, results and
 * cancellation are the real ones.
 */
import { Message, ObjectSize, type Pointer, Struct, Text, utils } from "capnp-es";
import type { CustomBuild } from "../../src/api/index.js";
import { sleep } from "../../src/async/sleep.js";
import type { CustomHandler } from "../../src/worker/build.js";
import { JobFailed } from "../../src/worker/failure.js";
import type { WorkerMetrics } from "../../src/worker/metrics.js";

/** The kind of custom jobs that these are. */
export const KIND = "stress";

export interface SimulatedJob {
  readonly hint: string;
  /** Seconds on a worker that has not seen the hint, and on one that has. */
  readonly cold: number;
  readonly warm: number;
  /** Bytes of output, spread over the job's duration. */
  readonly output: number;
  /** Whether it fails in the end. */
  readonly fails: boolean;
}

/** Only as a place for the payload while it is written. */
class Box extends Struct {
  static readonly _capnp = {
    displayName: "Box",
    id: "a5c1d8f0e2b34967",
    size: new ObjectSize(0, 1),
  };
}

export function describe(job: SimulatedJob): CustomBuild {
  const box = new Message().initRoot(Box);
  utils.setText(0, JSON.stringify(job), box);
  return { kind: "custom", name: KIND, payload: utils.getPointer(0, box) };
}

function read(payload: Pointer): SimulatedJob {
  return JSON.parse(Text.fromPointer(payload).get(0)) as SimulatedJob;
}

/** In how many pieces a job's output comes. */
const PIECES = 10;
const LINE = `${"A line of the output of a simulated job.".padEnd(79, ".")}\n`;

/**
 * What a worker does with such jobs. It remembers the hints it has seen, as a builder's cache does.
 */
export function simulator(metrics: WorkerMetrics): CustomHandler {
  const seen = new Set<string>();
  return async ({ payload, log, signal }) => {
    const { hint, cold, warm, output, fails } = read(payload);
    const cached = hint !== "" && seen.has(hint);
    seen.add(hint);
    (cached ? metrics.cacheHits : metrics.cacheMisses).inc();
    const lines = Math.ceil(output / LINE.length / PIECES);
    for (let piece = 0; piece < PIECES; piece++) {
      await sleep(((cached ? warm : cold) * 1000) / PIECES, signal);
      await log.write(LINE.repeat(lines));
    }
    if (fails) throw new JobFailed("This simulated job was told to fail");
    return "";
  };
}
