/**
 * Why a queued job does not run, or a worker is given none: as data, from the pool's state at this
 * moment.
 *
 * It looks and changes nothing. It follows the dispatcher's rules backwards: a job in a worker's
 * own queue waits for that worker only; one in the backlog for whoever comes first, behind those
 * that are more entitled; and while it is there no active worker's pop waits in line, so that each
 * connected worker is paused, busy, or has not asked. The same holds for one that is aside, and the
 * workers that it does not avoid.
 */

import type { PoolClient } from "./client.js";
import type { Dispatcher } from "./dispatcher.js";
import type { PoolWorker } from "./pool-worker.js";
import { type Place, type Ticket, ticketBefore } from "./ticket.js";

/** One reason, of which there may be several at once. Times are in seconds. */
export type Obstacle =
  /** No worker is connected to the pool; so many were, and are known. */
  | { readonly kind: "noWorkers"; readonly workers: number }
  /** So many connected workers are given no jobs, for this set of `INACTIVE` reasons. */
  | { readonly kind: "paused"; readonly workers: number; readonly reasons: number }
  /** So many active workers run as many jobs as they can, or more. */
  | {
      readonly kind: "busy";
      readonly workers: number;
      readonly running: number;
      readonly capacity: number;
    }
  /** So many active workers have room, and have not asked for a job. */
  | { readonly kind: "silent"; readonly workers: number }
  /** So many jobs of its queue come before it, by urgency and fair start; see `Place.ahead`. */
  | { readonly kind: "behind"; readonly ahead: number }
  /** Its client has had its share, and its fair start is yet to come. */
  | { readonly kind: "share"; readonly seconds: number }
  /**
   * It is in this worker's own queue, which has work for so long: the worker holds its hint, or had
   * waited longest.
   */
  | { readonly kind: "reserved"; readonly worker: string; readonly seconds: number }
  /** So many connected workers are not able to do it, as it needs all of this. */
  | { readonly kind: "unable"; readonly workers: number; readonly needs: readonly string[] }
  /** The worker is not connected, and was left paused by an administrator or not. */
  | { readonly kind: "disconnected"; readonly paused: boolean }
  /** The worker has asked for a job, and none is queued for it. */
  | { readonly kind: "idle" };

export interface WaitingJob<J> {
  readonly ticket: Ticket<J>;
  readonly place: Place;
  /** Seconds until its fair start; at most 0: it is due. */
  readonly delay: number;
}

export interface Explanation<J> {
  /**
   * The job in question; of a worker, the one that it would be given next. Null: none is queued.
   */
  readonly job: WaitingJob<J> | null;
  /** What weighs most comes first. */
  readonly obstacles: readonly Obstacle[];
}

/**
 * Why the job that is next does not run: the first of the backlog, else the first of workers' own
 * queues.
 */
export function explainPool<J>(dispatcher: Dispatcher<J>): Explanation<J> {
  const { aside, demands, workers } = dispatcher;
  let next = earlier(
    demands.first(),
    aside.first(() => true),
  );
  if (!next) {
    for (const { queue } of workers.values()) next = earlier(next, queue.peek());
  }
  return explainTicket(dispatcher, next);
}

/**
 * Why the first of a client's jobs does not run. Looks at all jobs aside and in workers' own
 * queues: they are few.
 */
export function explainClient<J>(
  dispatcher: Dispatcher<J>,
  client: PoolClient<J> | undefined,
): Explanation<J> {
  if (!client || client.queued.high + client.queued.low === 0) return NOTHING;
  let next: Ticket<J> | undefined;
  for (const backlog of dispatcher.demands.backlogs) {
    for (const ticket of backlog.firstOf(client)) next = earlier(next, ticket);
  }
  const queues = Array.from(dispatcher.workers.values(), ({ queue }) => queue);
  for (const tickets of [dispatcher.aside, ...queues]) {
    for (const ticket of tickets.toArray()) {
      if (ticket.client === client) next = earlier(next, ticket);
    }
  }
  return explainTicket(dispatcher, next);
}

/** Why a known worker is given no job, and what it would be given next. */
export function explainWorker<J>(dispatcher: Dispatcher<J>, name: string): Explanation<J> {
  const { store, workers } = dispatcher;
  const worker = workers.get(name);
  if (!worker) {
    return { job: null, obstacles: [{ kind: "disconnected", paused: store.isPaused(name) }] };
  }
  const next = worker.queue.peek() ?? dispatcher.nextFor(worker);
  const job = next ? waiting(dispatcher, next) : null;
  const isIdle = worker.active && !next && worker.pops.size > 0;
  return { job, obstacles: isIdle ? [{ kind: "idle" }] : ofWorkers([worker]) };
}

/** Why this job does not run. */
export function explainTicket<J>(
  dispatcher: Dispatcher<J>,
  ticket: Ticket<J> | undefined,
): Explanation<J> {
  const job = ticket ? waiting(dispatcher, ticket) : null;
  if (!job) return NOTHING;
  const { ahead, worker: name } = job.place;
  const { store, workers } = dispatcher;
  const obstacles: Obstacle[] = [];
  const reservedFor = name === null ? undefined : workers.get(name);
  if (reservedFor) {
    obstacles.push({ kind: "reserved", worker: reservedFor.name, seconds: reservedFor.workload });
  } else if (workers.size === 0) {
    obstacles.push({ kind: "noWorkers", workers: store.knownWorkers().length });
  }
  const { demand } = job.ticket;
  const unable = [...workers.values()].filter((worker) => !demand.isMetBy(worker)).length;
  const isUnable = { kind: "unable", workers: unable, needs: demand.needs } as const;
  if (unable > 0 && unable === workers.size) return { job, obstacles: [...obstacles, isUnable] };
  if (ahead > 0) {
    obstacles.push({ kind: "behind", ahead });
    if (job.delay > 0) obstacles.push({ kind: "share", seconds: job.delay });
  }
  const suitable = [...workers.values()].filter((w) => dispatcher.mayGet(w, job.ticket));
  obstacles.push(...ofWorkers(reservedFor ? [reservedFor] : suitable));
  if (unable > 0 && !reservedFor) obstacles.push(isUnable);
  return { job, obstacles };
}

/**
 * What keeps these workers from taking a job that is there for them, put together where it is the
 * same.
 */
function ofWorkers<J>(workers: Iterable<PoolWorker<J>>): Obstacle[] {
  const paused = new Map<number, number>();
  const busy = { workers: 0, running: 0, capacity: 0 };
  let silent = 0;
  for (const { capacity, pops, reasons, running } of workers) {
    if (reasons !== 0) {
      paused.set(reasons, (paused.get(reasons) ?? 0) + 1);
    } else if (running >= capacity) {
      busy.workers++;
      busy.running += running;
      busy.capacity += capacity;
    } else if (pops.size === 0) {
      silent++;
    }
  }
  return [
    ...(busy.workers > 0 ? [{ kind: "busy" as const, ...busy }] : []),
    ...(silent > 0 ? [{ kind: "silent" as const, workers: silent }] : []),
    ...Array.from(paused, ([reasons, count]) => ({
      kind: "paused" as const,
      workers: count,
      reasons,
    })),
  ];
}

function waiting<J>({ clock }: Dispatcher<J>, ticket: Ticket<J>): WaitingJob<J> | null {
  const place = ticket.place();
  return place && { ticket, place, delay: ticket.start - clock() };
}

function earlier<J>(a: Ticket<J> | undefined, b: Ticket<J> | undefined): Ticket<J> | undefined {
  return a && (!b || ticketBefore(a, b)) ? a : b;
}

const NOTHING = { job: null, obstacles: [] };
