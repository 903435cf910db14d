/**
 * A pool whose workers come and go by a rule, in simulated time: jobs come, wait for a place, run;
 * workers are asked for, boot, run jobs, and end when they have been idle for a while.
 *
 * It goes from event to event: a job comes, a worker is there, a job ends, a worker has been idle
 * for long enough, the rule looks. All that is random was decided by the load's seed.
 */
import type { SimulatedJob } from "./load.js";
import type { Policy, SimulatedWorker } from "./policies.js";

export interface SimulationOptions {
  readonly jobs: readonly SimulatedJob[];
  readonly capacity: number;
  /** Seconds until an engine begins with an instance, and until its worker is there then. */
  readonly pending: number;
  readonly boot: number;
  /** Seconds without a job after which a worker ends itself. */
  readonly idleTimeout: number;
}

export interface Outcome {
  /** Of jobs, in seconds: their mean, and what 95 % of them did not exceed. */
  readonly meanWait: number;
  readonly p95Wait: number;
  /**
   * Hours that workers were there, booting included; and those in which none of their places was
   * used.
   */
  readonly machineHours: number;
  readonly idleHours: number;
  /** Workers that were asked for, and the most that there were at a time. */
  readonly started: number;
  readonly peak: number;
  /** Jobs that ended, all of them if the rule is any good. */
  readonly done: number;
}

interface Worker extends SimulatedWorker {
  state: SimulatedWorker["state"];
  running: number;
  since: number;
  /** Since when it has been idle. */
  idleSince: number;
  used: number;
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** When nothing has ended for so long, nothing will, in seconds. */
const STUCK = 7 * 86_400;

export function simulate(policy: Policy, options: SimulationOptions): Outcome {
  const { boot, capacity, idleTimeout, jobs, pending } = options;
  const events = new Events();
  const queue: SimulatedJob[] = [];
  const workers = new Map<string, Worker>();
  const waits: number[] = [];
  const durations: number[] = [];
  let queued = 0;
  let machine = 0;
  let idle = 0;
  let started = 0;
  let peak = 0;

  const end = (worker: Worker): void => {
    workers.delete(worker.id);
    // What waits in a queue of a batch system costs nothing.
    if (worker.state === "pending") return;
    const there = events.now - worker.since;
    machine += there;
    idle += there - worker.used;
  };
  const rest = (worker: Worker): void => {
    worker.idleSince = events.now;
    if (worker.state === "retiring") {
      end(worker);
      return;
    }
    events.add(idleTimeout, () => {
      const isOver = events.now - worker.idleSince >= idleTimeout - 1e-6;
      if (workers.get(worker.id) === worker && worker.running === 0 && isOver) end(worker);
    });
  };
  const give = (): void => {
    for (const worker of workers.values()) {
      while (worker.state === "connected" && worker.running < capacity && queued < queue.length) {
        const job = queue[queued++]!;
        waits.push(events.now - job.at);
        if (worker.running++ === 0) worker.idleSince = events.now;
        const busySince = events.now;
        events.add(job.seconds, () => {
          durations.push(job.seconds);
          worker.running--;
          worker.used += (events.now - busySince) / capacity;
          if (worker.running === 0) rest(worker);
          give();
        });
      }
    }
  };
  const launch = (): void => {
    const worker: Worker = {
      ...{ id: `w-${started++}`, state: "pending", running: 0 },
      ...{ since: events.now, idleSince: events.now, used: 0 },
    };
    workers.set(worker.id, worker);
    events.add(pending, () => {
      if (workers.get(worker.id) !== worker) return;
      worker.state = "booting";
      worker.since = events.now;
      events.add(boot, () => {
        worker.state = "connected";
        rest(worker);
        give();
      });
    });
  };
  const look = (): void => {
    const answer = policy.look({
      now: events.now,
      queued: queue.length - queued,
      running: [...workers.values()].reduce((sum, { running }) => sum + running, 0),
      seconds: median(durations),
      workers: [...workers.values()],
    });
    for (const id of answer.cancel) {
      const worker = workers.get(id);
      if (worker?.state === "pending") end(worker);
    }
    for (const id of answer.drain) {
      const worker = workers.get(id);
      if (worker?.state !== "connected") throw new Error(`${id} is not there to be drained`);
      worker.state = "retiring";
      if (worker.running === 0) end(worker);
    }
    for (let n = 0; n < answer.launch; n++) launch();
    peak = Math.max(peak, workers.size);
    const isOver = durations.length === jobs.length && workers.size === 0;
    if (!isOver && events.now < jobs.at(-1)!.at + STUCK) events.add(policy.interval, look);
  };

  for (const job of jobs) {
    events.addAt(job.at, () => {
      queue.push(job);
      give();
    });
  }
  events.add(0, look);
  events.run();

  waits.sort((a, b) => a - b);
  return {
    meanWait: waits.reduce((sum, wait) => sum + wait, 0) / waits.length,
    p95Wait: waits[Math.floor(0.95 * (waits.length - 1))]!,
    machineHours: machine / 3600,
    idleHours: idle / 3600,
    started,
    peak,
    done: durations.length,
  };
}

/** Of the last hundred: as much as a scheduler remembers. */
function median(durations: readonly number[]): number {
  const last = durations.slice(-100).sort((a, b) => a - b);
  return last[last.length >> 1] ?? 0;
}

/** A heap of what is to happen, by its time, then in the order in which it was added. */
class Events {
  now = 0;
  #count = 0;
  readonly #heap: Event[] = [];

  add(delay: number, run: () => void): void {
    this.addAt(this.now + delay, run);
  }

  addAt(at: number, run: () => void): void {
    const heap = this.#heap;
    heap.push({ at, order: this.#count++, run });
    for (let i = heap.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!isBefore(heap[i]!, heap[parent]!)) break;
      [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
      i = parent;
    }
  }

  run(): void {
    for (let next = this.#take(); next; next = this.#take()) {
      this.now = next.at;
      next.run();
    }
  }

  #take(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    heap[0] = last;
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && isBefore(heap[child]!, heap[least]!)) least = child;
      }
      if (least === i) return first;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
