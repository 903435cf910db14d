/**
 * What a decision is made from, and what it says. All times are in seconds of one clock that does
 * not jump.
 */

/** What the scheduler says that a pool asks for. */
export interface Demand {
  /** Workers of the usual capacity that would have the queue empty within the target. */
  readonly wanted: number;
  /** The usual capacity; at least 1. */
  readonly capacity: number;
  /** In seconds. */
  readonly target: number;
  /** Jobs. */
  readonly running: number;
  /** Jobs for whatever worker. */
  readonly queued: number;
  /** What one of these is expected to take, in seconds; 0: not known. */
  readonly seconds: number;
}

/** A worker of the pool, whoever has started it. */
export interface Member {
  readonly name: string;
  readonly connected: boolean;
  /** Is given jobs. */
  readonly active: boolean;
  readonly capacity: number;
  /** Jobs; of one that is not connected, those that it may still run. */
  readonly running: number;
}

/** A machine, container or allocation of a group, as its engine lists it. */
export interface Instance {
  /** The name of its worker ends with it. */
  readonly id: string;
  /** `pending`: it has been asked for, and nothing runs in it yet. */
  readonly phase: "pending" | "running";
}

/** What an operator sets for a group. */
export interface Limits {
  /** Instances that there are in any case, and at most. */
  readonly min: number;
  readonly max: number;
  /** Instances that an engine has not begun with at most: those that wait in its queue. */
  readonly backlog: number;
  /** Instances that are asked for within a minute at most. */
  readonly perMinute: number;
  /** For so long fewer must have been wanted before any is told to end. */
  readonly coolDown: number;
  /** So long may an instance run before its worker has connected. */
  readonly startTimeout: number;
  /** So long may an instance run after its worker is gone. */
  readonly goneTimeout: number;
}

/** What is there now. */
export interface View {
  readonly demand: Demand;
  /** All of the pool. */
  readonly members: readonly Member[];
  /** Names of workers that were there, and are forgotten. */
  readonly departed: readonly string[];
  /** Of the group. */
  readonly instances: readonly Instance[];
  readonly elsewhere: Elsewhere;
  /** What its engine can do with one of them. */
  readonly can: { readonly cancel: boolean; readonly stop: boolean };
}

/** Workers that are there or coming without the group, in workers of the usual capacity. */
export interface Elsewhere {
  /** Those of nobody's group, and of all other groups. */
  readonly all: number;
  /** The same without groups that come after this one: these shrink first. */
  readonly before: number;
  /** Of `all`, those of nobody's group. */
  readonly strangers: number;
}

/** A group of the pool, for the others. */
export interface OtherGroup {
  /** Of its instances. */
  readonly ids: ReadonlySet<string>;
  /** How many of them have no worker yet. */
  readonly coming: number;
}

export interface Decision {
  /** So many more instances. */
  readonly launch: number;
  /** Instances that are pending, and not wanted any more. */
  readonly cancel: readonly string[];
  /** Workers that are told to end once their jobs have. */
  readonly drain: readonly string[];
  /** Instances that run without a worker, and why they are stopped. */
  readonly stop: readonly { readonly id: string; readonly why: string }[];
  /** One line for people. */
  readonly why: string;
}
