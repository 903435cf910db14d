/**
 * What starts instances for workers: a batch system, a container engine, a cloud. One file in
 * drivers/ for each kind, and a line in drivers/index.ts.
 */
import { createHash } from "node:crypto";
import type { Instance } from "./decision/index.js";

/** An engine that refuses, cannot be reached, or says what makes no sense: in words for people. */
export class DriverError extends Error {
  override readonly name = "DriverError";
}

/** What a launch has come to. */
export interface Launched {
  /** Of the instances that were accepted. */
  readonly ids: readonly string[];
  /** Why there are fewer than were asked for, if there are. */
  readonly failure?: string;
}

/**
 * One group of instances. All methods reject with a `DriverError`, or with the signal's reason.
 * None takes longer than some tens of seconds: an engine that does not answer is an error.
 */
export interface Driver {
  /** For people: `Slurm's partition "build"`. */
  readonly title: string;

  /**
   * The group's instances that have not ended, whoever has asked for them. When it rejects, nothing
   * is known, and nothing is done.
   */
  list(signal: AbortSignal): Promise<Instance[]>;

  /** Asks for `count` more; they need not have begun. Rejects if none was accepted. */
  launch(count: number, signal: AbortSignal): Promise<Launched>;

  /**
   * Calls off instances that are pending. One that has begun meanwhile is left alone. Left out
   * where an engine cannot promise that.
   */
  cancel?(ids: readonly string[], signal: AbortSignal): Promise<void>;

  /**
   * Ends instances in which there is no worker, as far as is known. Left out where an engine
   * chooses by itself which ones it ends.
   */
  stop?(ids: readonly string[], signal: AbortSignal): Promise<void>;

  /** Has the engine expect as many as there are, where it has a number of its own. */
  settle?(signal: AbortSignal): Promise<void>;
}

/**
 * A pool's name where only letters, digits and `.`, `_`, `-` are taken, 63 of them at most, as in
 * labels of Kubernetes: one that has others is known by its hash.
 */
export function labelOf(pool: string): string {
  if (/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(pool)) return pool;
  return `pool-${createHash("sha256").update(pool).digest("hex").slice(0, 16)}`;
}

/** Instances that an engine lists at most: beyond that, something else is listed. */
export const MAX_INSTANCES = 20_000;

/**
 * What ids may look like: they are arguments of programs, parts of URLs and of names of workers.
 */
export function isInstanceId(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/.test(text);
}
