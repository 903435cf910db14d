/**
 * What a capability is, for programs that take any kind: what our schedulers' objects that have
 * capability files offer beyond the shared contract. Others answer "unimplemented".
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, resultOf } from "./calls.js";
import { Access$Client, type AccessKind as WireKind } from "./generated/extensions.js";

const [DESCRIBE] = Access$Client.methods;

/** In the order of the wire's enumeration. */
const KINDS = ["client", "viewer", "admin"] as const;

export type AccessKind = (typeof KINDS)[number];

export interface AccessDescription {
  readonly kind: AccessKind;
  /** Of the client or the viewer; "" of an administrator. */
  readonly id: string;
}

/** The method of a service that makes it an `Access`, too. `describe` may throw: to the caller. */
export function accessMethods(describe: () => AccessDescription): MethodEntry[] {
  return [
    method(DESCRIBE, (call) => {
      const { id, kind } = describe();
      const results = call.results();
      results.kind = KINDS.indexOf(kind) as WireKind;
      results.id = id;
    }),
  ];
}

/**
 * What it is; undefined: a kind that is not known here. Rejects as "unimplemented" if the scheduler
 * does not tell.
 */
export function describe(
  capability: Capability,
  options?: CallOptions,
): Promise<AccessDescription | undefined> {
  return resultOf(capability.call(DESCRIBE, undefined, options), (results) => {
    const kind = KINDS[results.kind];
    return kind && { kind, id: results.id };
  });
}
