/**
 * The states of jobs as people are told of them, on the wire.
 */
import type { JobState as WireJobState } from "./generated/extensions.js";

/** In the order of the wire's enumeration. */
const STATES = ["waiting", "queued", "running", "succeeded", "failed", "cancelled"] as const;

export type JobState = (typeof STATES)[number];

export function stateToWire(state: JobState): WireJobState {
  return STATES.indexOf(state) as WireJobState;
}

/** A state that a later version may add is nothing that has ended. */
export function stateFromWire(state: WireJobState): JobState {
  return STATES[state] ?? "running";
}

/** What this needs of capnp-es' lists of enumerations. */
interface StateList {
  set(index: number, state: WireJobState): void;
  toArray(): WireJobState[];
}

export function writeStates(list: Pick<StateList, "set">, states: readonly JobState[]): void {
  for (const [index, state] of states.entries()) list.set(index, stateToWire(state));
}

/** Without those that a later version may have. */
export function readStates(list: Pick<StateList, "toArray">): JobState[] {
  return list.toArray().flatMap((state) => STATES[state] ?? []);
}
