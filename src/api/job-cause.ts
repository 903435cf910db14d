/**
 * How attempts and jobs end, on the wire.
 */
import type { Cause as WireCause } from "./generated/extensions.js";

/** In the order of the wire's enumeration. */
const CAUSES = [
  null,
  "succeeded",
  "failed",
  "timeout",
  "no space",
  "evicted",
  "lost",
  "crashed",
  "cancelled",
] as const;

/** How an attempt, or a job, ended; see `Cause` in extensions.capnp. */
export type Cause = NonNullable<(typeof CAUSES)[number]>;

/** The wire's number of a cause; 0 for null. */
export function causeToWire(cause: Cause | null): WireCause {
  return CAUSES.indexOf(cause) as WireCause;
}

/** Null also for what a later version may add. */
export function causeFromWire(cause: WireCause): Cause | null {
  return CAUSES[cause] ?? null;
}
