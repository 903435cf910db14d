/**
 * Workers whose names do not come back: what our schedulers' `Queue`s offer beyond the shared
 * contract. Others answer "unimplemented", and remember such a worker as any other.
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, done } from "./calls.js";
import { EphemeralQueue$Client } from "./generated/extensions.js";

const [FORGET_WHEN_GONE] = EphemeralQueue$Client.methods;

export interface EphemeralQueueService {
  /** Resolves when that is on disk. */
  forgetWhenGone(): Promise<void>;
}

/** The method of a `Queue` that makes it an `EphemeralQueue`, too. */
export function ephemeralQueueMethods(service: EphemeralQueueService): MethodEntry[] {
  return [method(FORGET_WHEN_GONE, () => service.forgetWhenGone())];
}

/** Nothing is to be kept of the worker once it is gone. */
export function forgetWhenGone(queue: Capability, options?: CallOptions): Promise<void> {
  return done(queue.call(FORGET_WHEN_GONE, undefined, options));
}
