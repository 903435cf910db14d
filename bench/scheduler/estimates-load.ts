/**
 * A day of jobs for the simulation of estimates: several clients, with jobs of 1 s to 2 h, seeded.
 *
 * Each client is of a kind that clusters have: a few thousand jobs that a person is waiting for,
 * and some hundred that fill the cluster for hours.
 */
import type { Random } from "../../test/rpc/model/random.js";

export interface SimulatedJob {
  readonly client: string;
  readonly hint: string;
  /** Seconds from the beginning of the day. */
  readonly submitted: number;
  /** Seconds on a worker that holds the layers of its hint, and on another. */
  readonly cachedSeconds: number;
  readonly seconds: number;
}

export interface ClientKind {
  readonly name: string;
  readonly rate: number;
  /**
   * It submits `burst` jobs at a time, `times` times, every `interval` seconds or so from `from`
   * on.
   */
  readonly burst: number;
  readonly times: number;
  readonly interval: number;
  readonly from: number;
  /** Seconds of its shortest and longest hints; evenly spread by their logarithms. */
  readonly seconds: readonly [number, number];
  /** How many hints there are; 0: none are given. */
  readonly hints: number;
  /** What is left of the seconds when the layers are there: at least, at most. */
  readonly left: readonly [number, number];
}

/**
 * `full`: the queue lasts for hours. `roomy`: most workers are free most of the time, and nobody
 * rebuilds everything.
 */
export type LoadKind = "full" | "roomy";

export const WORKERS: Readonly<Record<LoadKind, number>> = { full: 10, roomy: 20 };

const HOUR = 3600;

const CLIENTS: readonly ClientKind[] = [
  {
    ...{ name: "editor", rate: 1, burst: 30, times: 48, interval: 600, from: 0 },
    ...{ seconds: [1, 30], hints: 40, left: [0.2, 0.8] },
  },
  {
    ...{ name: "ci", rate: 2, burst: 1, times: 720, interval: 40, from: 0 },
    ...{ seconds: [20, 900], hints: 30, left: [0.1, 0.6] },
  },
  {
    ...{ name: "rebuild", rate: 1, burst: 400, times: 1, interval: 0, from: 0 },
    ...{ seconds: [120, 2400], hints: 0, left: [1, 1] },
  },
  {
    ...{ name: "heavy", rate: 1, burst: 60, times: 1, interval: 0, from: 0 },
    ...{ seconds: [0.5 * HOUR, 2 * HOUR], hints: 6, left: [0.8, 1] },
  },
  {
    ...{ name: "release", rate: 2, burst: 300, times: 1, interval: 0, from: 0 },
    ...{ seconds: [60, 1200], hints: 60, left: [0.3, 0.9] },
  },
  {
    ...{ name: "anybody", rate: 0.5, burst: 1, times: 96, interval: 300, from: 0 },
    ...{ seconds: [1, 2 * HOUR], hints: 0, left: [1, 1] },
  },
];

/** One job in so many fails at once. */
const FAILURES = 20;

export function clientsOf(load: LoadKind): readonly ClientKind[] {
  return CLIENTS.filter(({ name }) => load === "full" || name !== "rebuild");
}

export function dayOfJobs(load: LoadKind, random: Random): SimulatedJob[] {
  return clientsOf(load).flatMap((kind) => jobsOf(kind, random));
}

function jobsOf(kind: ClientKind, random: Random): SimulatedJob[] {
  const { burst, from, hints, interval, left, name, times } = kind;
  const [low, high] = kind.seconds.map(Math.log) as [number, number];
  const anySeconds = () => Math.exp(between(random, low, high));
  const known = Array.from({ length: hints }, (_, i) => ({
    hint: `${name}-${i}`,
    seconds: anySeconds(),
    left: between(random, ...left),
  }));
  return Array.from({ length: burst * times }, (_, i) => {
    const usual = random.pick(known) ?? { hint: "", seconds: anySeconds(), left: 1 };
    const seconds = random.once(FAILURES) ? 1 : usual.seconds * between(random, 0.8, 1.25);
    const start = from + Math.floor(i / burst) * interval + between(random, 0, interval / 2);
    return {
      client: name,
      hint: usual.hint,
      submitted: start,
      cachedSeconds: Math.max(1, seconds * usual.left),
      seconds: Math.max(1, seconds),
    };
  });
}

function between(random: Random, low: number, high: number): number {
  return low + (high - low) * (random.below(2 ** 30) / 2 ** 30);
}
