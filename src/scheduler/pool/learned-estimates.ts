/**
 * Estimates by what jobs took: the median of the last few, which one that hung, or failed at once,
 * does not move.
 *
 * Jobs of a hint are told apart by whether their worker was chosen because it held the hint. As
 * long as there are too few of a kind, the client's other jobs count, and as long as there are too
 * few of these, the fixed figures. What other clients' jobs take says nothing: one client's take
 * seconds, another's hours.
 *
 * Memory is bounded: of hints and clients, those are forgotten that no job has ended of for the
 * longest time.
 */
import { type Estimates, FIXED_COSTS, type JobKind } from "./estimates.js";
import type { Costs } from "./types.js";

/** How many durations each median is of. */
const REMEMBERED = 9;

/** How many it takes to say more than the next wider circle of jobs does. */
const ENOUGH = 3;

/** Hints and clients that are remembered: some 500 bytes each, and the name itself. */
const MAX_HINTS = 5000;
const MAX_CLIENTS = 1000;

/**
 * The longest that a job is said to take, in seconds: nobody's next jobs are to wait for ever
 * because some have hung.
 */
const LONGEST = 7 * 86_400;

/** A job that has ended. */
export interface Experience extends JobKind {
  /** Whether its worker was chosen because it held the hint. */
  readonly cached: boolean;
  /** For how long it ran. */
  readonly seconds: number;
}

/** The last few durations of jobs of one kind, in seconds. */
class Sample {
  /** Null as long as there are too few. */
  median: number | null = null;
  private readonly last: number[] = [];
  private next = 0;

  add(seconds: number): void {
    const { last } = this;
    const before = last[this.next];
    last[this.next] = seconds;
    this.next = (this.next + 1) % REMEMBERED;
    // Thousands a second of jobs that all take as long.
    if (before === seconds) return;
    if (last.length >= ENOUGH) this.median = [...last].sort((a, b) => a - b)[last.length >> 1]!;
  }
}

/** Jobs that have something in common. */
class Circle {
  readonly cached = new Sample();
  readonly nonCached = new Sample();

  add(cached: boolean, seconds: number): void {
    (cached ? this.cached : this.nonCached).add(seconds);
  }
}

export class LearnedEstimates implements Estimates {
  /** By client and hint. */
  private readonly hints = new Map<string, Circle>();
  private readonly clients = new Map<string, Circle>();

  costs({ client, hint }: JobKind): Costs {
    const near = hint === "" ? undefined : this.hints.get(keyOf(client, hint));
    const wide = this.clients.get(client);
    const cached = near?.cached.median ?? wide?.cached.median ?? FIXED_COSTS.cached;
    const nonCached = near?.nonCached.median ?? wide?.nonCached.median ?? FIXED_COSTS.nonCached;
    return { cached, nonCached: Math.max(cached, nonCached) };
  }

  /** Takes note of a job that has ended. */
  learn({ cached, client, hint, seconds }: Experience): void {
    if (!Number.isFinite(seconds)) return;
    const whole = Math.min(Math.max(1, Math.round(seconds)), LONGEST);
    newest(this.clients, client, MAX_CLIENTS).add(cached, whole);
    if (hint !== "") newest(this.hints, keyOf(client, hint), MAX_HINTS).add(cached, whole);
  }
}

/**
 * A client's own hint: what others say of a hint of that name, who may want it to seem long, is not
 * asked.
 */
function keyOf(client: string, hint: string): string {
  return JSON.stringify([client, hint]);
}

/** What is kept under the key, made if need be, as the newest of at most so many. */
function newest(kept: Map<string, Circle>, key: string, most: number): Circle {
  const circle = kept.get(key) ?? new Circle();
  kept.delete(key);
  kept.set(key, circle);
  if (kept.size > most) kept.delete(kept.keys().next().value!);
  return circle;
}
