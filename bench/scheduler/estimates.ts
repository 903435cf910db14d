/**
 * What estimates do: the pool, with its clock simulated, runs two days of jobs
 * (`estimates-load.ts`) by fixed estimates, and by what it learns. The second day begins with what
 * was learned in the first one, and with the layers that workers have by then.
 */

import {
  ESTIMATE_KINDS,
  type EstimateKind,
  FIXED_ESTIMATES,
} from "../../src/scheduler/pool/estimates.js";
import { IndexedHeap, type Slotted } from "../../src/scheduler/pool/heap.js";
import { INACTIVE } from "../../src/scheduler/pool/inactive-reasons.js";
import { LearnedEstimates } from "../../src/scheduler/pool/learned-estimates.js";
import { Pool } from "../../src/scheduler/pool/pool.js";
import type { PoolWorker } from "../../src/scheduler/pool/pool-worker.js";
import type { Ticket } from "../../src/scheduler/pool/ticket.js";
import type { PoolStore } from "../../src/scheduler/pool/types.js";
import { Store } from "../../src/scheduler/state/store.js";
import { Random } from "../../test/rpc/model/random.js";
import type { Figures } from "../report.js";
import { median, percentile } from "../statistics.js";
import {
  type ClientKind,
  clientsOf,
  dayOfJobs,
  type LoadKind,
  type SimulatedJob,
  WORKERS,
} from "./estimates-load.js";

/** Jobs at a time of a worker. */
const CAPACITY = 2;
const SEEDS = 10;

interface Run {
  readonly job: SimulatedJob;
  /** Seconds from the beginning of the day. */
  readonly started: number;
  readonly ended: number;
}

interface Event extends Slotted {
  readonly at: number;
  readonly order: number;
  happen(): void;
}

/** What lasts from one day to the next. */
interface Memory {
  readonly store: PoolStore;
  readonly learned: LearnedEstimates | undefined;
  /** The layers that workers have: worker and hint. */
  readonly layers: Set<string>;
}

/** By name, for the table of scenarios. */
export const ESTIMATES: Readonly<Record<string, () => Promise<Figures>>> = Object.fromEntries(
  (["full", "roomy"] as const).flatMap((load) =>
    ([1, 2] as const).flatMap((day) =>
      ESTIMATE_KINDS.map((kind) => [
        `estimates: ${load} cluster, day ${day}, ${kind}`,
        async () => mediansOf(kind, load, day),
      ]),
    ),
  ),
);

/** Medians over several seeds. */
function mediansOf(kind: EstimateKind, load: LoadKind, day: 1 | 2): Figures {
  const all: Figures[] = [];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const store = Store.open(":memory:");
    const learned = kind === "learned" ? new LearnedEstimates() : undefined;
    const memory: Memory = { store: store.pool("bench"), learned, layers: new Set() };
    const jobs = dayOfJobs(load, new Random(seed));
    let runs: Run[] = [];
    for (let past = 0; past < day; past++) runs = new Day(jobs, load, memory).run();
    const figures = figuresOf(runs, clientsOf(load));
    // Where most workers are free, nobody has to share.
    const shared = load === "full" && {
      "evenness of seconds (1: even)": evenness(runs, clientsOf(load)),
    };
    all.push({ ...figures, ...shared });
    store.close();
  }
  return Object.fromEntries(
    Object.keys(all[0]!).map((name) => [name, median(all.map((figures) => figures[name]!))]),
  );
}

/** A day's jobs, until the last one has ended. */
class Day {
  private now = 0;
  private order = 0;
  private readonly runs: Run[] = [];
  private readonly asking = new Set<PoolWorker<SimulatedJob>>();
  private readonly events = new IndexedHeap<Event>((a, b) =>
    a.at !== b.at ? a.at < b.at : a.order < b.order,
  );
  private readonly pool: Pool<SimulatedJob>;

  constructor(
    jobs: readonly SimulatedJob[],
    load: LoadKind,
    private readonly memory: Memory,
  ) {
    const estimates = memory.learned ?? FIXED_ESTIMATES;
    this.pool = new Pool<SimulatedJob>({
      name: "bench",
      clock: () => this.now,
      store: memory.store,
      traits: { hint: ({ hint }) => hint, costs: (job) => estimates.costs(job), label: () => "" },
      defer: () => {},
    });
    for (const { name, rate } of clientsOf(load)) this.pool.client(name).setRate(rate);
    for (let i = 0; i < WORKERS[load]; i++) {
      const worker = this.pool.register(`w${i}`, CAPACITY)!;
      worker.setActive(true, INACTIVE.worker);
      this.pop(worker);
    }
    for (const job of jobs) {
      this.at(job.submitted, () => this.pool.client(job.client).submit(job));
    }
  }

  run(): Run[] {
    for (let event = this.events.peek(); event; event = this.events.peek()) {
      this.events.remove(event);
      this.now = event.at;
      event.happen();
      this.pool.settle();
    }
    return this.runs;
  }

  private at(moment: number, happen: () => void): void {
    this.events.push({ at: moment, order: this.order++, slot: 0, happen });
  }

  /** The worker asks for its next job if it has room, and has not asked already. */
  private pop(worker: PoolWorker<SimulatedJob>): void {
    if (this.asking.has(worker) || worker.running >= CAPACITY) return;
    this.asking.add(worker);
    worker.pop((ticket) => {
      this.asking.delete(worker);
      this.start(worker, ticket!);
      this.pop(worker);
    });
  }

  private start(worker: PoolWorker<SimulatedJob>, { cached, job }: Ticket<SimulatedJob>): void {
    const { layers, learned } = this.memory;
    const layer = `${worker.name} ${job.hint}`;
    const seconds = layers.has(layer) ? job.cachedSeconds : job.seconds;
    const started = this.now;
    this.at(started + seconds, () => {
      this.runs.push({ job, started, ended: this.now });
      layers.add(layer);
      learned?.learn({ ...job, cached, seconds });
      worker.jobFinished();
      this.pop(worker);
    });
  }
}

function figuresOf(runs: readonly Run[], clients: readonly ClientKind[]): Figures {
  const waitsOf = (some: readonly Run[]) => some.map(({ job, started }) => started - job.submitted);
  const figures: Record<string, number> = {};
  const add = (whose: string, waits: readonly number[]) => {
    figures[`wait p50, ${whose} (s)`] = percentile(waits, 0.5);
    figures[`wait p95, ${whose} (s)`] = percentile(waits, 0.95);
  };
  add("all", waitsOf(runs));
  for (const { name } of clients) add(name, waitsOf(runs.filter(({ job }) => job.client === name)));
  figures["makespan (h)"] = Math.max(...runs.map(({ ended }) => ended)) / 3600;
  figures["work (h)"] = sum(runs.map(({ ended, started }) => ended - started)) / 3600;
  return figures;
}

/**
 * How evenly seconds were shared among the clients that submit all at once, until the first of them
 * has no job waiting: Jain's index of the seconds that each had for its rate, which is 1 if all had
 * the same.
 */
function evenness(runs: readonly Run[], clients: readonly ClientKind[]): number {
  const filling = clients
    .filter(({ times }) => times === 1)
    .map(({ name, rate }) => ({ rate, runs: runs.filter(({ job }) => job.client === name) }));
  const until = Math.min(
    ...filling.map(({ runs }) => Math.max(...runs.map(({ started }) => started))),
  );
  const shares = filling.map(({ rate, runs }) => {
    const used = runs.map(
      ({ ended, started }) => Math.min(ended, until) - Math.min(started, until),
    );
    return sum(used) / rate;
  });
  return sum(shares) ** 2 / (shares.length * sum(shares.map((share) => share ** 2)));
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
