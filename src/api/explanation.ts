/**
 * Why a job does not run, or a worker is given none: the part of a `PoolMonitor` that says so as
 * data.
 */

import { writeTexts } from "./calls.js";
import {
  Obstacle_Kind as Kind,
  Subject_Which,
  type Explanation as WireExplanation,
  type Obstacle as WireObstacle,
  type Subject as WireSubject,
} from "./generated/extensions.js";
import { type QueuePlace, readPlace, writePlace } from "./ticket.js";

/**
 * What is asked about: a worker, a client's first queued job, a durable job by its number, or none
 * of them: the pool's first.
 */
export type Subject =
  | { readonly kind: "pool" }
  | { readonly kind: "worker"; readonly worker: string }
  | { readonly kind: "client"; readonly client: string }
  | { readonly kind: "job"; readonly job: number };

/** Why workers are given no jobs. */
export interface PauseReasons {
  readonly workerPause: boolean;
  readonly adminPause: boolean;
  readonly shuttingDown: boolean;
}

/** One reason, of which there may be several at once. Times are in seconds. */
export type Obstacle =
  /** No worker is connected; so many were, and are known. */
  | { readonly kind: "noWorkers"; readonly workers: number }
  /** So many connected workers are given no jobs. */
  | ({ readonly kind: "paused"; readonly workers: number } & PauseReasons)
  /** So many workers run as many jobs as they can. */
  | {
      readonly kind: "busy";
      readonly workers: number;
      readonly running: number;
      readonly capacity: number;
    }
  /** So many workers have room, and have not asked for a job. */
  | { readonly kind: "silent"; readonly workers: number }
  /** So many jobs of its queue come before it. */
  | { readonly kind: "behind"; readonly ahead: number }
  /** Its client has had its share; its fair start is yet to come. */
  | { readonly kind: "share"; readonly seconds: number }
  /** It waits for this worker, which has work for so long in its queue. */
  | { readonly kind: "reserved"; readonly worker: string; readonly seconds: number }
  /** The worker is not connected, and was left paused by an administrator or not. */
  | { readonly kind: "disconnected"; readonly adminPause: boolean }
  /** The worker has asked for a job, and none is queued for it. */
  | { readonly kind: "idle" }
  /** It waits until so many jobs have succeeded, `job` among them. */
  | { readonly kind: "after"; readonly job: number; readonly jobs: number }
  /** Its next attempt is due. */
  | { readonly kind: "pause"; readonly seconds: number }
  | { readonly kind: "running"; readonly worker: string }
  /** It runs on this worker as far as is known, which is out of touch. */
  | { readonly kind: "outOfTouch"; readonly worker: string }
  /** So many connected workers lack some of these abilities, all of which it needs. */
  | { readonly kind: "unable"; readonly workers: number; readonly needs: readonly string[] }
  /** What a later version may add. */
  | { readonly kind: "unknown" };

export interface WaitingJob {
  readonly client: string;
  /** Its cache hint, as `show` has it. */
  readonly label: string;
  readonly urgent: boolean;
  readonly place: QueuePlace;
  /** Seconds until its fair start; at most 0: it is due. */
  readonly delay: number;
}

export interface Explanation {
  /**
   * The queued job in question; of a worker, the one that it would be given next. Null: none is
   * queued.
   */
  readonly job: WaitingJob | null;
  /** What weighs most comes first. */
  readonly obstacles: readonly Obstacle[];
}

export function writeSubject(wire: WireSubject, subject: Subject): void {
  if (subject.kind === "worker") wire.worker = subject.worker;
  else if (subject.kind === "client") wire.client = subject.client;
  else if (subject.kind === "job") wire.job = BigInt(subject.job);
  else wire.pool = true;
}

/** Null for what a later version may ask about. */
export function readSubject(wire: WireSubject): Subject | null {
  switch (wire.which()) {
    case Subject_Which.POOL:
      return { kind: "pool" };
    case Subject_Which.WORKER:
      return { kind: "worker", worker: wire.worker };
    case Subject_Which.CLIENT:
      return { kind: "client", client: wire.client };
    case Subject_Which.JOB:
      return { kind: "job", job: Number(wire.job) };
    default:
      return null;
  }
}

export function writeExplanation(wire: WireExplanation, { job, obstacles }: Explanation): void {
  if (job) {
    const { place, ...rest } = job;
    writePlace(Object.assign(wire._initJob(), rest)._initPlace(), place);
  }
  writeObstacles(wire._initObstacles(obstacles.length), obstacles);
}

export function readExplanation(wire: WireExplanation): Explanation {
  return { job: readJob(wire), obstacles: readObstacles(wire.obstacles) };
}

function readJob(wire: WireExplanation): WaitingJob | null {
  if (!wire._hasJob()) return null;
  const { client, delay, label, place, urgent } = wire.job;
  // One that is in no queue (any more) waits for nothing.
  const queued = readPlace(place);
  return queued && { client, label, urgent, place: queued, delay };
}

const KINDS: Record<Obstacle["kind"], (typeof Kind)[keyof typeof Kind]> = {
  unknown: Kind.UNKNOWN,
  noWorkers: Kind.NO_WORKERS,
  paused: Kind.PAUSED,
  busy: Kind.BUSY,
  silent: Kind.SILENT,
  behind: Kind.BEHIND,
  share: Kind.SHARE,
  reserved: Kind.RESERVED,
  disconnected: Kind.DISCONNECTED,
  idle: Kind.IDLE,
  after: Kind.AFTER,
  pause: Kind.PAUSE,
  running: Kind.RUNNING,
  outOfTouch: Kind.OUT_OF_TOUCH,
  unable: Kind.UNABLE,
};

/** A list of obstacles on the wire; each kind's fields are those of the same names. */
interface WireObstacles extends Iterable<WireObstacle> {
  get(index: number): WireObstacle;
}

export function writeObstacles(wire: WireObstacles, obstacles: readonly Obstacle[]): void {
  for (const [index, obstacle] of obstacles.entries()) {
    const entry = wire.get(index);
    const { kind, ...fields } = obstacle;
    entry.kind = KINDS[kind];
    if (obstacle.kind === "unable") {
      entry.workers = obstacle.workers;
      writeTexts(entry._initNeeds(obstacle.needs.length), obstacle.needs);
    } else {
      const job = obstacle.kind === "after" && { job: BigInt(obstacle.job) };
      Object.assign(entry, { ...fields, ...job });
    }
  }
}

export function readObstacles(wire: Iterable<WireObstacle>): Obstacle[] {
  return Array.from(wire, readObstacle);
}

function readObstacle(wire: WireObstacle): Obstacle {
  const { adminPause, ahead, capacity, kind, running, seconds, worker, workers } = wire;
  switch (kind) {
    case Kind.NO_WORKERS:
      return { kind: "noWorkers", workers };
    case Kind.PAUSED: {
      const { shuttingDown, workerPause } = wire;
      return { kind: "paused", workers, workerPause, adminPause, shuttingDown };
    }
    case Kind.BUSY:
      return { kind: "busy", workers, running, capacity };
    case Kind.SILENT:
      return { kind: "silent", workers };
    case Kind.BEHIND:
      return { kind: "behind", ahead };
    case Kind.SHARE:
      return { kind: "share", seconds };
    case Kind.RESERVED:
      return { kind: "reserved", worker, seconds };
    case Kind.DISCONNECTED:
      return { kind: "disconnected", adminPause };
    case Kind.IDLE:
      return { kind: "idle" };
    case Kind.AFTER:
      return { kind: "after", job: Number(wire.job), jobs: wire.jobs };
    case Kind.PAUSE:
      return { kind: "pause", seconds };
    case Kind.RUNNING:
      return { kind: "running", worker };
    case Kind.OUT_OF_TOUCH:
      return { kind: "outOfTouch", worker };
    case Kind.UNABLE:
      return { kind: "unable", workers, needs: wire.needs.toArray() };
    default:
      return { kind: "unknown" };
  }
}
