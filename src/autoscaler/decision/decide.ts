/**
 * How many more instances of a group, and which workers are told to end. Pure: all follows from
 * what is there, the history, the limits and the time.
 *
 * - As many workers are to be there as the scheduler wants, less what is there or coming elsewhere,
 *   within `min` and `max`. Workers that are given no jobs are not there, but the jobs that they
 *   still run need no place elsewhere.
 * - More are asked for at once, in portions: `backlog` and `perMinute` bound what a wrong number
 *   can do. After failures there is a pause.
 * - Fewer are wanted only after the cool-down, in which the most that were wanted count. What is
 *   pending is called off first; then workers are told to end, those with the fewest jobs first.
 *   Each finishes its jobs: nothing here ends one that is busy.
 * - An instance is stopped only if no worker is in it: none that has connected in time, or none
 *   since it was connected last, and no job that it may still run. It must be known to be of this
 *   group: asked for here, or its worker was seen. Others may have instances that look the same.
 *   And if none of the group's has ever been found by its name while workers of nobody's group are
 *   connected, these may be theirs, under other names.
 */
import { exactDuration, roughDuration } from "../../text/index.js";
import type { History, InstanceState } from "./history.js";
import type { Decision, Demand, Elsewhere, Limits, Member, OtherGroup, View } from "./types.js";
import { byInstance, idOfWorker, type Occupant } from "./worker-ids.js";

/** Against sums of fractions that come to a little more than a whole number. */
const EPSILON = 1e-6;

/** Tells the history what is seen, and decides. */
export function decide(view: View, history: History, limits: Limits, now: number): Decision {
  const { demand } = view;
  history.observe(view, wantedHere(view, view.elsewhere.before), limits, now);
  const states = history.instances(now);
  const ids = new Set(states.map(({ id }) => id));
  const workers = byInstance(view.members, ids);
  const there = states.filter((each) => isThere(each, workers.get(each.id)));
  const places = sum(there, ({ id }) => placesOf(workers.get(id), demand.capacity));
  const coming = states.filter(isComing);
  const waiting = coming.filter(({ state }) => state !== "starting");

  const wanted = wantedHere(view, view.elsewhere.all);
  const missing = Math.max(Math.ceil(wanted - places - EPSILON), limits.min - there.length);
  const bounds: readonly (readonly [count: number, name: string])[] = [
    [limits.max - states.length, `max ${limits.max}`],
    [limits.backlog - waiting.length, `backlog ${limits.backlog}`],
    [limits.perMinute - history.lately(now), `${limits.perMinute} a minute`],
  ];
  const paused = history.paused(now);
  const launch = paused ? 0 : Math.max(0, Math.min(missing, ...bounds.map(([count]) => count)));
  const held = bounds.filter(([count]) => count < missing && Math.max(0, count) === launch);
  const { left, stop } = abandoned(states, workers, { view, history, limits, now });
  const { cancel, drain } = surplus(there, workers, { view, history, limits, now });
  return {
    launch,
    cancel,
    drain,
    stop,
    why: [
      `want ${describeDemand(view)}`,
      describeGroup(states, there.length, coming.length),
      ...(launch > 0 ? [`start ${launch}`] : []),
      ...(missing > launch && !paused
        ? [`no more: ${held.map(([, name]) => name).join(", ")}`]
        : []),
      ...(missing > 0 && paused
        ? [`start none for ${roughDuration(Math.ceil(paused.seconds))}: ${paused.why}`]
        : []),
      ...(cancel.length > 0 ? [`call off ${cancel.length}`] : []),
      ...(drain.length > 0 ? [`have ${drain.length} end`] : []),
      ...(left > 0
        ? [`leave ${left} alone that may be others', or have workers by other names`]
        : []),
    ].join("; "),
  };
}

/**
 * How many are wanted of this group, in workers of the usual capacity.
 *
 * @param elsewhere how many of these are there or coming without it
 */
function wantedHere({ demand, members }: View, elsewhere: number): number {
  let busyAway = 0;
  for (const { active, connected, running } of members) {
    if (!connected || !active) busyAway += running;
  }
  return Math.max(0, demand.wanted - Math.floor(busyAway / demand.capacity) - elsewhere);
}

/** What there is of a pool without the group at `index`, of all groups in their order. */
export function elsewhere(
  { capacity }: Pick<Demand, "capacity">,
  members: readonly Member[],
  groups: readonly OtherGroup[],
  index: number,
): Elsewhere {
  const places = groups.map(({ coming }) => coming);
  let strangers = 0;
  for (const member of members) {
    if (!member.connected || !member.active) continue;
    const group = groups.findIndex(({ ids }) => idOfWorker(member.name, ids) !== undefined);
    if (group < 0) strangers += placesOf(member, capacity);
    else places[group] = places[group]! + placesOf(member, capacity);
  }
  const before = strangers + sum(places.slice(0, index), (each) => each);
  return { before, all: before + sum(places.slice(index + 1), (each) => each), strangers };
}

/** How many of the usual workers one is worth; of one that has not come, one. */
function placesOf(
  member: Pick<Member, "capacity" | "connected"> | undefined,
  capacity: number,
): number {
  return member?.connected ? member.capacity / capacity : 1;
}

/** Whether it works, or will. */
function isThere({ state }: InstanceState, worker: Occupant | undefined): boolean {
  if (state === "left" || state === "ending") return false;
  if (worker?.connected) return worker.active;
  // Of jobs that it may still run is known elsewhere.
  return (worker?.running ?? 0) === 0;
}

/** Whether its worker is on its way. */
export function isComing({ state }: InstanceState): boolean {
  return state === "asked for" || state === "pending" || state === "starting";
}

interface Circumstances {
  readonly view: View;
  readonly history: History;
  readonly limits: Limits;
  readonly now: number;
}

function surplus(
  there: readonly InstanceState[],
  workers: ReadonlyMap<string, Occupant>,
  { history, limits, now, view }: Circumstances,
): Pick<Decision, "cancel" | "drain"> {
  const most = history.mostWanted(limits.coolDown, now);
  if (most === undefined) return { cancel: [], drain: [] };
  const keep = Math.min(limits.max, most);
  let left = sum(there, ({ id }) => placesOf(workers.get(id), view.demand.capacity));
  let count = there.length;
  const cancel: string[] = [];
  const drain: string[] = [];
  const candidates = [...there].sort((a, b) => cost(a, workers) - cost(b, workers) || order(a, b));
  for (const { id, state } of candidates) {
    const worker = workers.get(id);
    const places = placesOf(worker, view.demand.capacity);
    if (count <= limits.min || left - places < keep - EPSILON) break;
    if (state === "pending" && view.can.cancel) cancel.push(id);
    else if (worker?.name !== undefined) drain.push(worker.name);
    else continue; // It ends itself when it has come, and there is nothing to do.
    left -= places;
    count--;
  }
  return { cancel, drain };
}

/** What is lost with an instance: nothing while it is pending. */
function cost({ id, state }: InstanceState, workers: ReadonlyMap<string, Occupant>): number {
  return state === "pending" ? -1 : (workers.get(id)?.running ?? 0);
}

function order(a: InstanceState, b: InstanceState): number {
  return a.id < b.id ? -1 : 1;
}

/** What is stopped; and how many are `left` that would be if it were certain whose they are. */
function abandoned(
  states: readonly InstanceState[],
  workers: ReadonlyMap<string, Occupant>,
  { history, limits: { goneTimeout, startTimeout }, view }: Circumstances,
): Pick<Decision, "stop"> & { readonly left: number } {
  const stop: { readonly id: string; readonly why: string }[] = [];
  let left = 0;
  if (!view.can.stop) return { left, stop };
  const mayBeUnderOtherNames = !history.hasWorked && view.elsewhere.strangers > 0;
  for (const { id, isOwn, seconds, state } of states) {
    const worker = workers.get(id);
    if (worker?.connected || (worker?.running ?? 0) > 0) continue;
    if (state === "starting" && seconds > startTimeout) {
      if (!isOwn || mayBeUnderOtherNames) left++;
      else stop.push({ id, why: `no worker of it has come within ${exactDuration(startTimeout)}` });
    } else if (state === "left" && seconds > goneTimeout) {
      if (!isOwn) left++;
      else stop.push({ id, why: `its worker has been gone for ${roughDuration(seconds)}` });
    }
  }
  return { left, stop };
}

/** `12: 40 queued jobs of ~90 s, 8 running, target wait 5m` */
function describeDemand({ demand }: View): string {
  const { queued, running, seconds, target, wanted } = demand;
  const long = seconds > 0 ? ` of ~${Math.round(seconds)} s` : " of unknown length";
  const jobs = `${queued} queued job${queued === 1 ? "" : "s"}${queued > 0 ? long : ""}`;
  return `${wanted}: ${jobs}, ${running} running, target wait ${exactDuration(target)}`;
}

/** `have 3, 2 of them on their way` */
function describeGroup(states: readonly InstanceState[], there: number, coming: number): string {
  const others = states.length - there;
  return (
    `have ${there}` +
    (coming > 0 ? `, ${coming} of them on their way` : "") +
    (others > 0 ? `, ${others} ending or without work` : "")
  );
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
