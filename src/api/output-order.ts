/**
 * Which files of a durable job's result are kept for its client, as it is asked for.
 */
import type {
  DurableOptions as WireDurableOptions,
  OutputOrder as WireOutputOrder,
  OutputWhen as WireOutputWhen,
} from "./generated/extensions.js";

/** Of which results: `failure` is the failed step's root as it was. */
export type OutputWhen = "success" | "failure" | "always";

export interface OutputOrder {
  /** Absolute paths and patterns in the result; at least one. */
  readonly paths: readonly string[];
  readonly when: OutputWhen;
  /** What is not there is no failure. */
  readonly optional: boolean;
}

/** In the order of the wire's enumeration. */
const WHEN: readonly OutputWhen[] = ["success", "failure", "always"];

/** What may hold an order; without paths there is none. */
type Holder = Pick<WireDurableOptions, "_initOutputs" | "_hasOutputs" | "outputs">;

export function writeOutputOrder(holder: Holder, order: OutputOrder | undefined): void {
  if (!order) return;
  const wire = holder._initOutputs();
  const paths = wire._initPaths(order.paths.length);
  for (const [index, path] of order.paths.entries()) paths.set(index, path);
  wire.when = WHEN.indexOf(order.when) as WireOutputWhen;
  wire.optional = order.optional;
}

export function readOutputOrder(holder: Holder): OutputOrder | undefined {
  if (!holder._hasOutputs()) return undefined;
  const wire: WireOutputOrder = holder.outputs;
  const paths = wire.paths.toArray();
  if (paths.length === 0) return undefined;
  // What a later version may add is nothing to keep files of needlessly.
  return { paths, when: WHEN[wire.when] ?? "success", optional: wire.optional };
}
