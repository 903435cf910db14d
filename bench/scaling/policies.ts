/** The rules that are compared: how many more workers are asked for, at each look. */
import { decide, History, type Limits } from "../../src/autoscaler/decision/index.js";
import { workersWanted } from "../../src/scheduler/pool/workers-wanted.js";

/** What a rule can know at a look. */
export interface Situation {
  readonly now: number;
  readonly queued: number;
  readonly running: number;
  /** What jobs took so far, in the middle; 0: none has ended. */
  readonly seconds: number;
  readonly workers: readonly SimulatedWorker[];
}

export interface SimulatedWorker {
  readonly id: string;
  readonly state: "pending" | "booting" | "connected" | "retiring";
  readonly running: number;
}

export interface Answer {
  readonly launch: number;
  readonly cancel: readonly string[];
  readonly drain: readonly string[];
}

export interface Policy {
  readonly name: string;
  /** Seconds between two looks. */
  readonly interval: number;
  look(situation: Situation): Answer;
}

export interface Scene {
  readonly max: number;
  readonly capacity: number;
  /** Seconds. */
  readonly target: number;
}

const NOTHING = { cancel: [], drain: [] };

/** Ours, with its usual settings. */
export function ours({ capacity, max, target }: Scene): Policy {
  const history = new History();
  const limits: Limits = {
    ...{ min: 0, max, backlog: 10, perMinute: 30 },
    ...{ coolDown: 300, startTimeout: 900, goneTimeout: 900 },
  };
  return {
    name: "ocluster-autoscaler",
    interval: 10,
    look({ now, queued, running, seconds, workers }) {
      const waiting =
        queued > 0 ? [{ jobs: queued, seconds: seconds || Number.POSITIVE_INFINITY }] : [];
      const wanted = workersWanted({ running, waiting }, target, capacity);
      const connected = workers.filter(
        ({ state }) => state === "connected" || state === "retiring",
      );
      return decide(
        {
          demand: { wanted, capacity, target, running, queued, seconds },
          members: connected.map(({ id, running: jobs, state }) => ({
            ...{ name: id, connected: true, active: state === "connected", capacity },
            running: jobs,
          })),
          departed: [],
          instances: workers.map(({ id, state }) => ({
            id,
            phase: state === "pending" ? "pending" : "running",
          })),
          elsewhere: { all: 0, before: 0, strangers: 0 },
          can: { cancel: true, stop: true },
        },
        history,
        limits,
        now,
      );
    },
  };
}

/**
 * HyperQueue's automatic allocation, one worker for each allocation: while tasks wait that the
 * workers which are there or coming would not take at once, allocations are kept waiting in the
 * batch system's queue, as many as its backlog.
 * https://it4innovations.github.io/hyperqueue/stable/deployment/allocation/
 */
export function hyperQueue({ capacity, max }: Scene, backlog = 1): Policy {
  return {
    name: `HyperQueue's rule, backlog ${backlog}`,
    interval: 10,
    look({ queued, workers }) {
      const pending = workers.filter(({ state }) => state === "pending");
      const coming = workers.filter(({ state }) => state === "pending" || state === "booting");
      const useful = Math.ceil(queued / capacity) - coming.length;
      const launch = Math.min(useful, backlog - pending.length, max - workers.length);
      return { ...NOTHING, launch: Math.max(0, launch) };
    },
  };
}

/**
 * KEDA's ScaledJob with its default strategy, on the number of waiting jobs: as many Jobs as there
 * are waiting ones for a worker, less those that run.
 * https://keda.sh/docs/latest/reference/scaledjob-spec/
 */
export function keda({ capacity, max }: Scene): Policy {
  return {
    name: "KEDA's rule, queue length",
    interval: 30,
    look({ queued, workers }) {
      const scale = Math.min(max, Math.ceil(queued / capacity));
      return { ...NOTHING, launch: Math.max(0, scale - workers.length) };
    },
  };
}

/** The same on the number that the scheduler gives, as in deploy/kubernetes/keda.yml. */
export function kedaWanted({ capacity, max, target }: Scene): Policy {
  return {
    name: "KEDA on ocluster_pool_workers_wanted",
    interval: 15,
    look({ queued, running, seconds, workers }) {
      const waiting =
        queued > 0 ? [{ jobs: queued, seconds: seconds || Number.POSITIVE_INFINITY }] : [];
      const scale = Math.min(max, workersWanted({ running, waiting }, target, capacity));
      return { ...NOTHING, launch: Math.max(0, scale - workers.length) };
    },
  };
}
