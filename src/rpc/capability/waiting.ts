/**
 * Who waits for whom. Promises, answers and calls that wait for each other in a circle would do so
 * forever; that is found when the circle is about to be closed.
 */
import { RpcError } from "../errors.js";

export interface Waiting {
  /**
   * What must happen first, if that is known here; this itself, if it is decided by a user or a
   * peer. Undefined: it waits for nothing.
   */
  readonly waitsFor: Waiting | undefined;
}

/** How far a circle is looked for: far beyond what programs do, and less than a millisecond. */
const LONGEST = 65_536;

/**
 * Why `waiting` must not wait for `other`, if it must not: that waits for it already, or for so
 * much that nobody can tell.
 */
export function circle(waiting: Waiting, other: Waiting): RpcError | undefined {
  let at = other;
  for (let steps = 0; steps < LONGEST; steps++) {
    if (at === waiting) return WAITS_FOR_ITSELF;
    const next = at.waitsFor;
    if (next === undefined || next === at) return undefined;
    at = next;
  }
  return WAITS_FOR_TOO_MUCH;
}

export const WAITS_FOR_ITSELF = new RpcError("failed", "this would have to wait for itself");
const WAITS_FOR_TOO_MUCH = new RpcError(
  "overloaded",
  `this would have to wait for more than ${LONGEST} others, one after the other`,
);
