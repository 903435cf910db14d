/**
 * What the interfaces' callers have in common: waiting for an answer, and taking a capability out of one to come.
 */
import type { Struct } from "capnp-es";
import type { Capability, PendingCall } from "../rpc/index.js";

/** Options of every call that is waited for. */
export interface CallOptions {
  /** Cancels the call, which rejects as "failed" then. */
  readonly signal?: AbortSignal | undefined;
}

/** Waits for the answer, takes a value out of it and releases it. Rejects with the call's `RpcError`. */
export async function resultOf<R extends Struct, T>(
  call: PendingCall<R>,
  read: (results: R) => T,
): Promise<T> {
  try {
    return read((await call.response).results);
  } finally {
    call.cancel();
  }
}

/** Waits for an answer that says nothing. Rejects with the call's `RpcError`. */
export function done(call: PendingCall<Struct>): Promise<void> {
  return resultOf(call, () => undefined);
}

/** The capability that the answer will hold at pointer `index`, usable at once and owned by the caller. */
export function capabilityOf(call: PendingCall<Struct>, index: number): Capability {
  const capability = call.capability(index);
  call.cancel(); // The capability holds the call now.
  return capability;
}
