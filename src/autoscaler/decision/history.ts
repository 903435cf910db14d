/**
 * What has become of a group's instances, and how many workers were wanted: the memory that
 * decisions are made with. It is told what is seen and done, with the time, and has no clock.
 *
 * The states of an instance:
 *
 * - *asked for*: a launch has named it, and the engine does not list it yet. When it does,
 *   *pending* or *starting*; if it never does, *failed*.
 * - *pending*: its engine has nothing running for it, such as a job in a queue.
 * - *starting*: something runs, and its worker has not connected.
 * - *working*: its worker is connected, or was lately.
 * - *ending*: its worker was told to end, or has said that it does.
 * - *left*: its worker was connected, and is gone, while the instance still runs. When the worker
 *   is back, *working*.
 * - *ended*: not listed any more after it has worked, or after it was called off; *failed*: not
 *   listed any more without that. Either is forgotten at once.
 *
 * Time in which nobody has looked does not count, nor a while after it: without the scheduler, no
 * worker could connect, and they take a moment to come back.
 *
 * A group whose launches are refused, or whose instances fail in a row, waits before it tries
 * again, each time for longer; one worker that connects ends that.
 */
import type { Instance, Limits, View } from "./types.js";
import { byInstance, idOfWorker } from "./worker-ids.js";

/** What is remembered of an instance. */
interface Remembered {
  phase: "asked for" | Instance["phase"];
  /** Since when it has been in that phase. */
  since: number;
  /** When its worker was connected last; undefined: never. */
  connected: number | undefined;
  /** Its worker takes no more jobs, and ends. */
  isEnding: boolean;
  /** It is of no use any more, by our doing. */
  calledOff: boolean;
  /** It is of this group: it was asked for here, or its worker was seen connected. */
  isOwn: boolean;
}

/** As it is when it is heard of. */
const NEW = { connected: undefined, isEnding: false, calledOff: false, isOwn: false };

export interface InstanceState {
  readonly id: string;
  readonly state: "asked for" | "pending" | "starting" | "working" | "ending" | "left";
  /** For how long it has been in it. */
  readonly seconds: number;
  /** Certainly of this group: asked for here, or its worker was seen. */
  readonly isOwn: boolean;
}

/** For how long an engine may not list what it was asked for. */
const LISTED_WITHIN = 120;

/** For how long a worker that is not connected is thought to be about to come back. */
const BACK_WITHIN = 60;

/** Instances that fail in a row before that is taken for more than bad luck. */
const FAILURES_TOLERATED = 3;

/** The shortest and the longest pause after failures. */
const PAUSES = { first: 15, longest: 900 };

export class History {
  readonly #instances = new Map<string, Remembered>();
  /** Launches of the last minute. */
  #launches: { readonly at: number; readonly count: number }[] = [];
  /** How many were wanted: each more than all that came later. */
  #wanted: { readonly at: number; readonly count: number }[] = [];
  #begun: number | undefined;
  #looked: number | undefined;
  #hasWorked = false;
  #failures = 0;
  #failedStarts = 0;
  /** Looks in a row at which too many had failed. */
  #badLooks = 0;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #lastFailure = "";

  /**
   * @param longestPause between two looks, in seconds: after a longer one, nobody has looked
   */
  constructor(private readonly longestPause = Number.POSITIVE_INFINITY) {}

  /** Whether any worker was ever found connected in one of its instances. */
  get hasWorked(): boolean {
    return this.#hasWorked;
  }

  /** What is there now. `wanted`: workers of this group. */
  observe(
    { departed, instances, members }: View,
    wanted: number,
    { coolDown }: Limits,
    now: number,
  ): void {
    this.#skipGap(now);
    this.#begun ??= now;
    this.#noteWanted(wanted, coolDown, now);
    const listed = new Map(instances.map((each) => [each.id, each]));
    const ids = new Set([...listed.keys(), ...this.#instances.keys()]);
    const workers = byInstance(members, ids);
    const gone = new Set(departed.map((name) => idOfWorker(name, ids)));
    for (const { id, phase } of instances) {
      const known = this.#instances.get(id);
      if (!known) {
        this.#instances.set(id, { ...NEW, phase, since: now });
      } else if (known.phase !== phase) {
        known.phase = phase;
        known.since = now;
      }
    }
    let failed: string | undefined;
    for (const [id, known] of this.#instances) {
      const worker = workers.get(id);
      if (worker?.connected) {
        this.#hasConnected(known, now);
        known.isEnding &&= !worker.active;
      } else if (gone.has(id) || worker) {
        // Perhaps it has come and gone between two looks.
        known.connected ??= now;
        known.isEnding ||= gone.has(id);
      }
      if (listed.has(id)) continue;
      if (known.phase === "asked for" && now - known.since < LISTED_WITHIN) continue;
      this.#instances.delete(id);
      if (known.connected !== undefined) this.#works();
      else if (!known.calledOff) {
        failed = id;
        this.#failedStarts++;
      }
    }
    if (failed !== undefined) this.#startFailed(failed, now);
  }

  /** The instances of which is known, asked for ones included. */
  instances(now: number): InstanceState[] {
    return Array.from(this.#instances, ([id, each]) => {
      const { connected, isEnding, isOwn, phase, since } = each;
      if (connected !== undefined) {
        const seconds = now - connected;
        const present = isEnding ? "ending" : "working";
        const state = seconds > BACK_WITHIN ? "left" : present;
        return { id, isOwn, state, seconds } as const;
      }
      const state = phase === "running" ? "starting" : phase;
      return { id, isOwn, state, seconds: now - since } as const;
    });
  }

  launched(ids: readonly string[], now: number): void {
    this.#launches.push({ at: now, count: ids.length });
    this.#failures = 0;
    for (const id of ids) {
      const known = this.#instances.get(id);
      if (known) known.isOwn = true;
      else this.#instances.set(id, { ...NEW, phase: "asked for", since: now, isOwn: true });
    }
  }

  /** A worker was told to end. */
  toldToEnd(worker: string): void {
    const id = idOfWorker(worker, new Set(this.#instances.keys()));
    const known = id === undefined ? undefined : this.#instances.get(id);
    if (known) known.isEnding = true;
  }

  /** The engine has refused to launch anything, or could not be asked. */
  launchFailed(why: string, now: number): void {
    this.#lastFailure = why;
    this.#pause(++this.#failures, now);
  }

  /** It is called off, or stopped: that it never came is no failure. */
  calledOff(id: string): void {
    const known = this.#instances.get(id);
    if (known) known.calledOff = true;
  }

  /** Instances that were asked for within the last minute. */
  lately(now: number): number {
    this.#launches = this.#launches.filter(({ at }) => at > now - 60);
    return this.#launches.reduce((sum, { count }) => sum + count, 0);
  }

  /**
   * The most that were wanted within the time of the cool-down; undefined until that has been seen
   * as a whole.
   */
  mostWanted(coolDown: number, now: number): number | undefined {
    if (this.#begun === undefined || now - this.#begun < coolDown) return undefined;
    return this.#wanted[0]?.count;
  }

  /** For how many seconds nothing is to be launched, and why; null: it may be. */
  paused(now: number): { readonly seconds: number; readonly why: string } | null {
    const seconds = this.#pausedUntil - now;
    return seconds > 0 ? { seconds, why: this.#lastFailure } : null;
  }

  /** See above. What was wanted before a gap says nothing of what was wanted in it, either. */
  #skipGap(now: number): void {
    const gap = now - (this.#looked ?? now);
    this.#looked = now;
    if (gap <= this.longestPause) return;
    this.#begun = now;
    const later = (time: number) => Math.min(now, time + gap + BACK_WITHIN);
    for (const known of this.#instances.values()) {
      known.since = later(known.since);
      if (known.connected !== undefined) known.connected = later(known.connected);
    }
  }

  #noteWanted(count: number, coolDown: number, now: number): void {
    while (this.#wanted.length > 0 && this.#wanted.at(-1)!.count <= count) this.#wanted.pop();
    this.#wanted.push({ at: now, count });
    while (this.#wanted[0]!.at < now - coolDown) this.#wanted.shift();
  }

  #hasConnected(known: Remembered, now: number): void {
    known.connected = now;
    known.isOwn = true;
    this.#hasWorked = true;
    this.#works();
  }

  /** Workers do come of instances. */
  #works(): void {
    this.#failedStarts = 0;
    if (this.#badLooks === 0) return;
    this.#badLooks = 0;
    if (this.#failures === 0) this.#pausedUntil = Number.NEGATIVE_INFINITY;
  }

  #startFailed(id: string, now: number): void {
    if (this.#failedStarts < FAILURES_TOLERATED) return;
    this.#lastFailure = `${this.#failedStarts} instances in a row ended without a worker, at last ${id}`;
    this.#pause(++this.#badLooks, now);
  }

  #pause(failures: number, now: number): void {
    const seconds = Math.min(PAUSES.longest, PAUSES.first * 2 ** (failures - 1));
    this.#pausedUntil = Math.max(this.#pausedUntil, now + seconds);
  }
}
