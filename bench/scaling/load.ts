/** Loads for the simulation of autoscalers: when jobs come, and how long each takes. Seeded. */

export interface SimulatedJob {
  /** Seconds from the beginning. */
  readonly at: number;
  /** How long it takes. */
  readonly seconds: number;
}

/** Numbers from 0 to 1 that look random, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const HOUR = 3600;

export const LOADS = {
  /** A batch of a thousand short jobs each hour, and nothing between. */
  batches: (random: () => number) =>
    [0, 1, 2, 3, 4, 5].flatMap((hour) =>
      Array.from({ length: 1000 }, () => ({
        at: hour * HOUR + 60 * random(),
        seconds: lognormal(random, 30, 0.5),
      })),
    ),

  /** Builds that trickle in, more by day than by night. */
  days: (random: () => number) => {
    const jobs: SimulatedJob[] = [];
    for (let at = 0; at < 24 * HOUR; ) {
      const rate = (0.2 + Math.max(0, Math.sin((Math.PI * (at / HOUR - 7)) / 12))) / 30;
      at += -Math.log(1 - random()) / rate;
      jobs.push({ at, seconds: lognormal(random, 120, 0.8) });
    }
    return jobs;
  },

  /** Long jobs, a few at a time. */
  long: (random: () => number) =>
    Array.from({ length: 8 }, (_, wave) => wave).flatMap((wave) =>
      Array.from({ length: 12 }, () => ({
        at: wave * HOUR + 600 * random(),
        seconds: lognormal(random, 1800, 0.4),
      })),
    ),
} as const satisfies Record<string, (random: () => number) => SimulatedJob[]>;

export type LoadName = keyof typeof LOADS;

export function loadOf(name: LoadName, seed: number): SimulatedJob[] {
  return LOADS[name](randomOf(seed)).sort((a, b) => a.at - b.at);
}

/** With that median, and that spread. */
function lognormal(random: () => number, median: number, sigma: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return median * Math.exp(sigma * normal);
}
