/** The last hour of a pool: what its charts are of. */
import type { History, Pool, Sample } from "./api/types.js";
import type { Point } from "./ui/chart-path.js";

export interface Hour {
  /** Seconds between two points. */
  readonly step: number;
  readonly running: readonly Point[];
  readonly queued: readonly Point[];
  /** Since the point before. */
  readonly finished: readonly Point[];
}

const COLUMNS = { running: 1, queued: 2, finished: 4 } as const;

/** As many as there are in an hour of ten seconds each. */
const MAX_POINTS = 360;

export function hourOf({ points, step }: History): Hour {
  const column = (name: keyof typeof COLUMNS) =>
    points.map((point) => point?.[COLUMNS[name]] ?? null);
  return {
    step,
    running: column("running"),
    queued: column("queued"),
    finished: column("finished"),
  };
}

/** Of a pool in a list, if there is one. */
export function sparkOf({ spark }: Pool): Hour | null {
  return spark ?? null;
}

/** The history with one more sample; the oldest goes. */
export function extended(history: History, sample: Sample): History {
  const points = [...history.points, sample];
  const over = Math.max(0, points.length - MAX_POINTS);
  const from = new Date(Date.parse(history.from) + over * history.step * 1000).toISOString();
  return { ...history, from, points: points.slice(over) };
}

/**
 * How many seconds before the end of `points` points one of them ends; or one of the `groups` that
 * they are put together in.
 */
export function ageOf(step: number, points: number, index: number, groups = points): number {
  const size = Math.max(1, Math.ceil(points / groups));
  return Math.max(0, (points - (index + 1) * size) * step);
}
