/**
 * A pool's last hour: a point for each ten seconds, of the last look in them. Numbers of jobs that
 * started and ended are what was added to the scheduler's counts since the point before.
 */
import { isoMoment } from "../../text/index.js";

/** Seconds, and points of an hour. */
export const STEP = 10;
const POINTS = 360;

/** Points of a minute. */
const MINUTE = 6;

type SparkLine = "running" | "queued" | "started" | "finished";

/** One look at a pool. `started` and `finished` since the scheduler began; null: not told. */
export interface Sample {
  readonly capacity: number;
  readonly running: number;
  readonly queued: number;
  readonly totals: { readonly started: number; readonly finished: number } | null;
}

/** capacity, running, queued, started, finished */
export type Point = readonly [number, number, number, number | null, number | null];

export class PoolHistory {
  /** By number of the step; steps without a look are missing. */
  private readonly points = new Map<number, Point>();
  private previous: Sample["totals"] = null;
  private step = 0;

  /** @param now in seconds since the Unix epoch */
  add({ capacity, queued, running, totals }: Sample, now: number): void {
    const step = Math.floor(now / STEP);
    const before = this.points.get(step);
    const started = added(totals?.started, this.previous?.started);
    const finished = added(totals?.finished, this.previous?.finished);
    this.points.set(step, [
      capacity,
      running,
      queued,
      sum(before?.[3], started),
      sum(before?.[4], finished),
    ]);
    if (totals) this.previous = totals;
    this.step = step;
    for (const old of this.points.keys()) {
      if (old > step - POINTS && old <= step) continue;
      this.points.delete(old);
    }
  }

  get last(): Point | null {
    return this.points.get(this.step) ?? null;
  }

  /** Jobs that started and ended in what there is of the hour; null: not told. */
  get rate(): { readonly started: number; readonly finished: number } | null {
    let [started, finished, known] = [0, 0, false];
    for (const point of this.points.values()) {
      if (point[3] === null) continue;
      known = true;
      started += point[3];
      finished += point[4] ?? 0;
    }
    return known ? { started, finished } : null;
  }

  /**
   * How long a job waits, in seconds, by Little's law: the mean length of the queue by the rate at
   * which jobs leave it. Null: nothing has left it, or nobody knows.
   */
  get wait(): number | null {
    const { rate } = this;
    if (rate === null || rate.started === 0) return null;
    let queued = 0;
    for (const point of this.points.values()) queued += point[2];
    const seconds = this.points.size * STEP;
    return Math.round((queued / this.points.size / (rate.started / seconds)) * 1000) / 1000;
  }

  /** The same by minutes, for small charts: means, and sums of what started and finished. */
  get spark() {
    const first = Math.floor(Math.min(this.step, ...this.points.keys()) / MINUTE);
    const columns: Record<SparkLine, (number | null)[]> = {
      ...{ running: [], queued: [], started: [], finished: [] },
    };
    for (let minute = first; minute <= Math.floor(this.step / MINUTE); minute++) {
      const points: Point[] = [];
      for (let step = minute * MINUTE; step < (minute + 1) * MINUTE; step++) {
        const point = this.points.get(step);
        if (point) points.push(point);
      }
      const total = (index: 1 | 2 | 3 | 4) =>
        points.reduce((all, one) => all + (one[index] ?? 0), 0);
      const mean = (index: 1 | 2) => Math.round((total(index) / points.length) * 100) / 100;
      const isKnown = points.some((point) => point[3] !== null);
      columns.running.push(points.length === 0 ? null : mean(1));
      columns.queued.push(points.length === 0 ? null : mean(2));
      columns.started.push(isKnown ? total(3) : null);
      columns.finished.push(isKnown ? total(4) : null);
    }
    return { step: STEP * MINUTE, ...columns };
  }

  get json() {
    const first = Math.min(this.step, ...this.points.keys());
    const points: (Point | null)[] = [];
    for (let step = first; step <= this.step; step++) points.push(this.points.get(step) ?? null);
    return { from: isoMoment(first * STEP), step: STEP, points };
  }
}

/** The scheduler counts anew when it was restarted. */
function added(now: number | undefined, before: number | undefined): number | null {
  if (now === undefined || before === undefined) return now === undefined ? null : 0;
  return now >= before ? now - before : now;
}

function sum(a: number | null | undefined, b: number | null): number | null {
  return a === null || a === undefined ? b : a + (b ?? 0);
}
